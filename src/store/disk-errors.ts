import { codeOf, messageOf } from '../base/index.js'
import { StoreError } from './types.js'

/**
 * LevelDB says what the disk said as text only (`IO error: /home/…/000042.log: No space left on device`), so the text is
 * what there is to go by: ENOSPC, EDQUOT and EFBIG as libc words them in the C locale, which Node never leaves.
 */
const noSpace = /No space left on device|Disk quota exceeded|File too large|ENOSPC|EDQUOT|EFBIG/
const notToBeWritten = /Read-only file system|Permission denied|EROFS|EACCES/

/** Any failure of a database or file call as this room's error. */
export function storeErrorOf(error: unknown, folder: string): StoreError {
  if (error instanceof StoreError) return error
  const text = allMessages(error)
  const codes = allCodes(error)
  if (codes.includes('LEVEL_LOCKED')) {
    return new StoreError('LOCKED', `another process has ${folder} open: a home can be used by one node at a time`, { folder }, { cause: error })
  }
  if (noSpace.test(text) || codes.some((code) => noSpace.test(code))) {
    return new StoreError('NO_SPACE', `the disk that holds ${folder} is full`, { folder }, { cause: error })
  }
  if (codes.includes('LEVEL_CORRUPTION')) {
    return new StoreError('CORRUPT', `the database in ${folder} is damaged: ${text}`, { folder, reason: text }, { cause: error })
  }
  if (notToBeWritten.test(text)) {
    return new StoreError('DISK', `${folder} may not be written to`, { folder, reason: text }, { cause: error })
  }
  if (codes.some((code) => code.endsWith('_NOT_OPEN'))) {
    return new StoreError('CLOSED', 'the store is closed', { folder }, { cause: error })
  }
  return new StoreError('DISK', `the disk refused in ${folder}: ${text}`, { folder, reason: text }, { cause: error })
}

/** LevelDB's own error is the cause of the one that says that the database is not open. */
function* causes(error: unknown): Generator {
  for (let depth = 0, at: unknown = error; at !== undefined && at !== null && depth < 8; depth++) {
    yield at
    at = at instanceof Error ? at.cause : undefined
  }
}

function allMessages(error: unknown): string {
  return [...causes(error)].map(messageOf).join('; ')
}

function allCodes(error: unknown): string[] {
  return [...causes(error)].map(codeOf).filter((code) => code !== undefined)
}
