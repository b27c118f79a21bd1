import type { AppendLog } from '../../base/index.js'

interface Wanted {
  readonly key: Uint8Array
  readonly resolve: (value: Uint8Array | undefined) => void
  readonly reject: (error: unknown) => void
}

/** Node reads with four threads: more groups would wait for them, fewer would leave a disk idle that can do several things. */
const groupsMax = 4
/** One thread reads a group, one row after the other: 512 KiB of rows at most until the first of them is answered. */
const groupKeysMax = 16

/**
 * Reads of single rows, those of one moment together. Where a row is in memory, as it mostly is, handing it to another
 * thread and taking the answer back costs as much as all the rest of the read; sixteen clients' reads that came together
 * share it. While every thread has a group, what comes gathers; before that nothing waits.
 */
export class RowReads {
  readonly #log: Pick<AppendLog, 'get' | 'getMany'>
  #wanted: Wanted[] = []
  #groups = 0
  #isDue = false

  constructor(components: { log: Pick<AppendLog, 'get' | 'getMany'> }) {
    this.#log = components.log
  }

  /** The value, undefined if there is none. Rejects as the log does. */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      this.#wanted.push({ key, resolve, reject })
      if (this.#isDue) return
      this.#isDue = true
      // Those that came with it are as far as this one by then, and have been added.
      queueMicrotask(() => {
        this.#isDue = false
        this.#begin()
      })
    })
  }

  #begin(): void {
    while (this.#groups < groupsMax && this.#wanted.length > 0) {
      const group = this.#wanted.splice(0, Math.min(groupKeysMax, Math.ceil(this.#wanted.length / (groupsMax - this.#groups))))
      this.#groups++
      void (group.length > 1 ? this.#together(group) : this.#singly(group)).then(() => {
        this.#groups--
        this.#begin()
      })
    }
  }

  /** Never rejects. */
  async #together(group: readonly Wanted[]): Promise<void> {
    let values: readonly (Uint8Array | undefined)[]
    try {
      values = await this.#log.getMany(group.map(({ key }) => key))
    } catch {
      // What is damaged fails its own read and no other.
      await this.#singly(group)
      return
    }
    for (const [i, { resolve }] of group.entries()) resolve(values[i])
  }

  /** Never rejects. */
  async #singly(group: readonly Wanted[]): Promise<void> {
    for (const { key, resolve, reject } of group) await this.#log.get(key).then(resolve, reject)
  }
}
