import { close, constants, fdatasync, fstat, ftruncate, open, read, writeSync, writev } from 'node:fs'
import { mkdir, open as openHandle, readdir, rename, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Clock } from '../base/index.js'
import { codeOf } from '../base/index.js'
import { storeErrorOf } from './disk-errors.js'
import { pageCacheReader } from './page-cache.js'

/** A file of a log. Throws NO_SPACE, DISK. */
export interface LogFile {
  /** Bytes read; less than asked for at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>
  /** Whether all of the target could be read without waiting for a disk. */
  readNow(target: Uint8Array, position: number): boolean
  /** All of it. Undefined: done already. After a failure any part may be there. */
  write(bytes: Uint8Array | readonly Uint8Array[], position: number): Promise<void> | undefined
  /** Bytes and length, as they were before the call, survive the end of the machine. */
  sync(): Promise<void>
  truncate(bytes: number): Promise<void>
  bytes(): Promise<number>
  close(): Promise<void>
}

/** The folder of a log, which nobody else uses. */
export interface LogFolder {
  names(): Promise<string[]>
  /** Makes the file if `create`. Throws if it is not there. */
  open(name: string, options?: { create?: boolean }): Promise<LogFile>
  remove(name: string): Promise<void>
  /** In the place of what has that name, if anything. */
  rename(from: string, to: string): Promise<void>
  /** Which files there are survives the end of the machine. */
  sync(): Promise<void>
}

/**
 * Up to this a write is a copy into the kernel's memory that takes less than handing it to a thread and hearing of it,
 * and is done at once.
 */
const atOnceBytesMax = 128 * 1024
/**
 * But where the disk is behind, the kernel holds up those who write, and everybody would wait for that: a write that took
 * so long, of some ten microseconds, sends the next ones to a thread for a while.
 */
const heldUpMs = 4
const withThreadsMs = 10_000

const calls = {
  open: promisify(open), read: promisify(read), writev: promisify(writev), fdatasync: promisify(fdatasync), ftruncate: promisify(ftruncate), fstat: promisify(fstat), close: promisify(close),
}
const readNow = pageCacheReader()

export async function openLogFolder({ clock }: { clock: Clock }, path: string): Promise<LogFolder> {
  const pace = new Pace(clock)
  try {
    const made = await mkdir(path, { recursive: true, mode: 0o700 })
    // What is in a folder is on the disk only if the folder itself is.
    for (let at = path; made !== undefined && at !== dirname(made) && at !== dirname(at); at = dirname(at)) await new DiskFolder(dirname(at), pace).sync()
  } catch (error) {
    throw storeErrorOf(error, path)
  }
  return new DiskFolder(path, pace)
}

/** What one call of the system takes (IOV_MAX is 1,024 where it is smallest). */
const piecesMax = 512

/** What is left of the pieces when so many bytes of them are done. */
function behind(pieces: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let done = bytes
  for (const [i, piece] of pieces.entries()) {
    if (done < piece.length) return [piece.subarray(done), ...pieces.slice(i + 1)]
    done -= piece.length
  }
  return []
}

class Pace {
  readonly #clock: Clock
  #threadsUntilMs = Number.NEGATIVE_INFINITY

  constructor(clock: Clock) {
    this.#clock = clock
  }

  isFast(nowMs: number): boolean {
    return nowMs >= this.#threadsUntilMs
  }

  nowMs(): number {
    return this.#clock.monotonicMs()
  }

  took(ms: number, nowMs: number): void {
    if (ms > heldUpMs) this.#threadsUntilMs = nowMs + withThreadsMs
  }
}

class DiskFolder implements LogFolder {
  readonly #path: string
  readonly #pace: Pace

  constructor(path: string, pace: Pace) {
    this.#path = path
    this.#pace = pace
  }

  async names(): Promise<string[]> {
    return this.#sorted(async () => readdir(this.#path))
  }

  async open(name: string, { create = false } = {}): Promise<LogFile> {
    const file = await this.#sorted(async () => calls.open(join(this.#path, name), constants.O_RDWR | (create ? constants.O_CREAT | constants.O_EXCL : 0), 0o600))
    return new DiskFile(file, this.#path, this.#pace)
  }

  async remove(name: string): Promise<void> {
    await this.#sorted(async () => {
      await unlink(join(this.#path, name)).catch((error: unknown) => {
        if (codeOf(error) !== 'ENOENT') throw error
      })
    })
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#sorted(async () => rename(join(this.#path, from), join(this.#path, to)))
  }

  async sync(): Promise<void> {
    // Windows has no folders that could be opened, and keeps its own log of names.
    if (process.platform === 'win32') return
    await this.#sorted(async () => {
      const folder = await openHandle(this.#path, 'r')
      try {
        await folder.sync()
      } finally {
        await folder.close()
      }
    })
  }

  async #sorted<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw storeErrorOf(error, this.#path)
    }
  }
}

class DiskFile implements LogFile {
  readonly #file: number
  readonly #folder: string
  readonly #pace: Pace

  constructor(file: number, folder: string, pace: Pace) {
    this.#file = file
    this.#folder = folder
    this.#pace = pace
  }

  async read(target: Uint8Array, position: number): Promise<number> {
    try {
      let done = 0
      while (done < target.length) {
        const { bytesRead } = await calls.read(this.#file, target, done, target.length - done, position + done)
        if (bytesRead === 0) break
        done += bytesRead
      }
      return done
    } catch (error) {
      throw storeErrorOf(error, this.#folder)
    }
  }

  readNow(target: Uint8Array, position: number): boolean {
    return readNow?.(this.#file, target, position) === target.length
  }

  write(bytes: Uint8Array | readonly Uint8Array[], position: number): Promise<void> | undefined {
    const begunMs = this.#pace.nowMs()
    if (!(bytes instanceof Uint8Array)) return this.#writeAll(bytes, position)
    if (bytes.length > atOnceBytesMax || !this.#pace.isFast(begunMs)) return this.#writeAll([bytes], position)
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(this.#file, bytes, done, bytes.length - done, position + done)
    } catch (error) {
      throw storeErrorOf(error, this.#folder)
    } finally {
      const nowMs = this.#pace.nowMs()
      this.#pace.took(nowMs - begunMs, nowMs)
    }
    return undefined
  }

  async sync(): Promise<void> {
    try {
      await calls.fdatasync(this.#file)
    } catch (error) {
      throw storeErrorOf(error, this.#folder)
    }
  }

  async truncate(bytes: number): Promise<void> {
    try {
      await calls.ftruncate(this.#file, bytes)
    } catch (error) {
      throw storeErrorOf(error, this.#folder)
    }
  }

  async bytes(): Promise<number> {
    try {
      return (await calls.fstat(this.#file)).size
    } catch (error) {
      throw storeErrorOf(error, this.#folder)
    }
  }

  async close(): Promise<void> {
    await calls.close(this.#file)
  }

  async #writeAll(pieces: readonly Uint8Array[], position: number): Promise<void> {
    try {
      let left = [...pieces]
      for (let at = position; left.length > 0; ) {
        const { bytesWritten } = await calls.writev(this.#file, left.slice(0, piecesMax), at)
        at += bytesWritten
        left = behind(left, bytesWritten)
      }
    } catch (error) {
      throw storeErrorOf(error, this.#folder)
    }
  }
}
