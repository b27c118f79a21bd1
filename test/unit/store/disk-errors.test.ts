import assert from 'node:assert/strict'
import { storeErrorOf } from '../../../src/store/disk-errors.js'

describe('what the disk said', () => {
  const notOpen = (cause?: string): Error =>
    Object.assign(new Error('Database failed to open', cause === undefined ? {} : { cause: new Error(cause) }), { code: 'LEVEL_DATABASE_NOT_OPEN' })

  it('is told in words, also where the database says only that it is not open', () => {
    assert.equal(storeErrorOf(notOpen(), '/h/meta').code, 'CLOSED')
    assert.equal(storeErrorOf(notOpen('IO error: /h/meta/000005.log: No space left on device'), '/h/meta').code, 'NO_SPACE')
    for (const text of ['IO error: /h/meta/LOCK: Read-only file system', 'IO error: /h/meta/LOCK: Permission denied']) {
      const error = storeErrorOf(notOpen(text), '/h/meta')
      assert.deepEqual([error.code, error.message], ['DISK', '/h/meta may not be written to'])
    }
  })
})
