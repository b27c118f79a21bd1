import { statfsSync } from 'node:fs'
import type { Clock } from '../base/index.js'
import { formatSize } from '../base/index.js'
import { StoreError } from '../store/index.js'

/** Asking the system costs some microseconds; a block costs hundreds. Others fill the disk too, so it is asked again soon. */
const askAgainMs = 500

/** Watches over `min_free_space`: refuses what would leave less on the disk, before it is written. */
export class DiskSpace {
  readonly #clock: Clock
  readonly #path: string
  #leaveBytes: number
  #freeBytes = 0
  #acceptedBytes = 0
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(components: { clock: Clock }, init: { path: string; leaveBytes: number }) {
    this.#clock = components.clock
    this.#path = init.path
    this.#leaveBytes = init.leaveBytes
  }

  /** From the next block on. */
  leave(bytes: number): void {
    this.#leaveBytes = bytes
  }

  freeBytes(): number {
    const now = this.#clock.monotonicMs()
    if (now - this.#askedMs >= askAgainMs) {
      const { bavail, bsize } = statfsSync(this.#path)
      this.#freeBytes = bavail * bsize
      this.#acceptedBytes = 0
      this.#askedMs = now
    }
    return Math.max(0, this.#freeBytes - this.#acceptedBytes)
  }

  /** Throws NO_SPACE, and then counts nothing. */
  admit(bytes: number): void {
    const free = this.freeBytes()
    if (free - bytes < this.#leaveBytes) {
      throw new StoreError('NO_SPACE', `the disk has ${formatSize(free)} free, and ${formatSize(this.#leaveBytes)} are to be left (storage.min_free_space)`, {
        freeBytes: free,
        minFreeBytes: this.#leaveBytes,
      })
    }
    this.#acceptedBytes += bytes
  }
}
