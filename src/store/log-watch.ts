import { fstatSync } from 'node:fs'
import type { FileHandle } from 'node:fs/promises'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { codeOf } from '../base/index.js'

/**
 * Makes what LevelDB wrote durable, and notices when LevelDB began a new log file.
 *
 * Why it is needed (LevelDB 1.20, `db_impl.cc`): a write with `sync` calls fdatasync on the *current* log file only. When
 * the write buffer is full, `MakeRoomForWrite` closes the log without syncing it and begins another; the closed one's
 * content becomes durable only when the background thread has written, synced and announced its table. Until then a
 * synced write says nothing about the writes before it: after a power cut the older log may be cut short (recovery drops
 * the rest of it without an error) while the newer one is whole. Nor is the folder synced when a log file is made.
 *
 * What is relied on, all in the same file: every record is handed to the operating system before the write returns
 * (`log_writer.cc` flushes), so that fdatasync through a descriptor of our own reaches it; there is at most one table
 * waiting to be written (`imm_`), so that at most two logs matter; a log is deleted only after its table and the manifest
 * that names it are synced.
 *
 * So: a descriptor is held on the current log; after each completed write (one at a time, the caller sees to that) a
 * file that did not grow is no longer the current one. Then the folder is read, and whatever logs are there besides the
 * newest have to be synced too before anything is called durable.
 *
 * Road not taken: one database write with `sync` per commit, and waiting for LevelDB's table after each change of logs.
 * It stalls every commit for the 0.2 s that 64 MiB take, and fdatasync of our own can run beside the next writes.
 */
export class LogWatch {
  readonly #folder: string
  #current: { name: string; handle: FileHandle; size: number } | undefined
  /** Logs that are no longer current and may hold writes that nothing has synced. */
  #older: { name: string; handle: FileHandle }[] = []
  #folderDirty = true
  #dirty = false

  constructor(folder: string) {
    this.#folder = folder
  }

  /** After the database was opened: all logs of the past are in synced tables, only the newest counts. */
  async begin(): Promise<void> {
    await this.end()
    await this.#openNewest()
    this.#folderDirty = true
  }

  async end(): Promise<void> {
    const handles = [this.#current, ...this.#older].filter((log) => log !== undefined)
    this.#current = undefined
    this.#older = []
    this.#dirty = false
    await Promise.all(handles.map(async ({ handle }) => handle.close()))
  }

  /** Bytes in the logs: what LevelDB has yet to write as tables, at most. */
  logBytes(): number {
    let bytes = this.#current?.size ?? 0
    for (const { handle } of this.#older) bytes += fstatSync(handle.fd).size
    return bytes
  }

  /**
   * To be called after each write, before the next one. True if that write, or part of it, went into a new log: the log
   * that was the current one has grown by less than the values that were written. (What LevelDB adds, 7 bytes in 32 KiB
   * and the keys, is far less than any one value of a write that consists of several; an empty value leaves a key.)
   * fstat is called synchronously: it takes two microseconds, the way through the thread pool fifty.
   */
  async wrote(valueBytes = 1): Promise<boolean> {
    this.#dirty = true
    const current = this.#current
    if (current !== undefined) {
      const { size } = fstatSync(current.handle.fd)
      const grownBytes = size - current.size
      current.size = size
      if (grownBytes >= Math.max(1, valueBytes)) return false
    }
    // The log before the last one is in a table by now, or LevelDB would not have changed logs again.
    const settled = this.#older
    this.#older = []
    if (current !== undefined) this.#older.push(current)
    this.#current = undefined
    await this.#openNewest()
    // Again: a sync that began while the new log was being opened did not reach it.
    this.#dirty = true
    this.#folderDirty = true
    await Promise.all(settled.map(async ({ handle }) => handle.close()))
    return true
  }

  /** There are logs besides the newest: tables that LevelDB has yet to write. */
  async hasOlder(): Promise<boolean> {
    return (await readdir(this.#folder)).filter(isLog).length > 1
  }

  /** Everything written before the call survives a power cut once this resolves. */
  async sync(): Promise<void> {
    if (!this.#dirty) return
    this.#dirty = false
    try {
      // Both begin at once: a log that stops being current meanwhile must not fall between them.
      await Promise.all([this.#current?.handle.datasync(), this.syncOlder()])
    } catch (error) {
      this.#dirty = true
      throw error
    }
  }

  /** The same for all logs but the current one, which LevelDB synced itself, and for the folder. */
  async syncOlder(): Promise<void> {
    const older = [...this.#older]
    await Promise.all(older.map(async ({ handle }) => handle.datasync()))
    this.#older = this.#older.filter((log) => !older.includes(log))
    await Promise.all(older.map(async ({ handle }) => handle.close()))
    if (!this.#folderDirty) return
    this.#folderDirty = false
    try {
      await syncFolder(this.#folder)
    } catch (error) {
      this.#folderDirty = true
      throw error
    }
  }

  async #openNewest(): Promise<void> {
    const names = (await readdir(this.#folder)).filter(isLog)
    names.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10))
    const newest = names.pop()
    for (const name of names) {
      if (this.#older.some((log) => log.name === name)) continue
      const handle = await openIfThere(join(this.#folder, name))
      if (handle !== undefined) this.#older.push({ name, handle })
    }
    if (newest === undefined) return
    const handle = await open(join(this.#folder, newest), 'r')
    this.#current = { name: newest, handle, size: fstatSync(handle.fd).size }
  }
}

function isLog(name: string): boolean {
  return /^\d+\.log$/.test(name)
}

/** A log that is gone by the time it is opened is in a synced table. */
async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function syncFolder(folder: string): Promise<void> {
  // Windows cannot open a folder as a file, and keeps its entries in a journal of its own.
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
