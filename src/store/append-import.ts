import { existsSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock, Log, WriteOperation } from '../base/index.js'
import type { AppendFiles } from './append-log.js'
import { rowOf, unitOf, unitOfName } from './append-frames.js'
import { afterPrefix } from './bytes.js'
import { Database } from './database.js'
import type { LogFolder } from './log-folder.js'
import { openLogFolder } from './log-folder.js'

export interface OldLogInit {
  /** The node's folder. */
  home: string
  /** Of the log's rows in the old database. */
  prefix: Uint8Array
  folder: LogFolder
  open: () => Promise<AppendFiles>
}

const batchBytes = 1024 * 1024
const batchRows = 1024
const mebibyte = 1024 * 1024

/**
 * At first append logs were slices of a LevelDB, `appended`. Its rows are copied into files once, as they are;
 * then the database is renamed, which decides it, and removed. Before that a start begins anew, and nothing was written
 * to the files. It needs as much room again as the log has.
 */
export async function importOldLog({ clock, log }: { clock: Clock; log: Log }, { home, prefix, folder, open }: OldLogInit): Promise<void> {
  const old = join(home, 'appended')
  const done = join(home, 'appended.done')
  if (existsSync(join(old, 'CURRENT'))) {
    for (const name of await folder.names()) if (unitOfName(name) !== undefined) await folder.remove(name)
    log.info('the log of volumes moves into files of its own', { from: old })
    const database = new Database({ clock, log }, { folder: old, compression: false, writeBufferBytes: 4 * mebibyte, fileBytes: 16 * mebibyte, cacheBytes: mebibyte, reopenFreeBytes: 4 * mebibyte })
    await database.open()
    try {
      const files = await open()
      try {
        await copy(database, prefix, files)
        await files.sync()
      } finally {
        await files.close()
      }
    } finally {
      await database.close()
    }
    await rename(old, done)
    await (await openLogFolder({ clock }, home)).sync()
  }
  if (existsSync(done)) await rm(done, { recursive: true, force: true })
}

async function copy(database: Database, prefix: Uint8Array, files: AppendFiles): Promise<void> {
  const end = afterPrefix(prefix)
  const iterator = await database.read(async (level) => Promise.resolve(level.iterator({ gte: prefix, ...(end === undefined ? {} : { lt: end }), fillCache: false })))
  let batch: WriteOperation[] = []
  let bytes = 0
  let last = { unit: -1, row: -1 }
  const write = async (): Promise<void> => {
    await files.write(batch, { freesSpace: true })
    batch = []
    bytes = 0
  }
  try {
    for (;;) {
      const page = await database.read(async () => iterator.nextv(64))
      if (page.length === 0) break
      for (const [full, value] of page) {
        const key = full.subarray(prefix.length)
        const at = { unit: unitOf(key), row: rowOf(key) }
        // A key of a failed write that was damaged: a position has one row.
        if (at.unit === last.unit && at.row === last.row) continue
        last = at
        batch.push(files.put(key, value))
        bytes += value.length
        if (bytes >= batchBytes || batch.length >= batchRows) await write()
      }
    }
    await write()
  } finally {
    await iterator.close()
  }
}
