/**
 * Group commit: a synced write costs milliseconds whether it carries one operation or a hundred, so while one sync is
 * under way everything that arrives is gathered into the next. Each caller is answered after its own batch is on disk.
 */
export interface GroupCommitInit<Op> {
  /** Writes all of it atomically; resolves once it is as durable as the caller was promised. */
  write: (operations: Op[]) => Promise<void>
  /** How many operations one batch takes at most; the rest go into the next. */
  operationsMax: number
}

interface Waiting<Op> {
  operations: readonly Op[]
  resolve: () => void
  reject: (error: unknown) => void
}

export class GroupCommit<Op> {
  readonly #init: GroupCommitInit<Op>
  #pending: Waiting<Op>[] = []
  #running: Promise<void> | undefined

  constructor(init: GroupCommitInit<Op>) {
    this.#init = init
  }

  /** Resolves when all of `operations`, which are never split over two batches, are written. */
  commit(operations: readonly Op[]): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      this.#pending.push({ operations, resolve, reject })
      this.#running ??= this.#drain()
    })
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #drain(): Promise<void> {
    // One turn of the event loop lets callers of the same tick share the first batch too.
    await Promise.resolve()
    while (this.#pending.length > 0) {
      const group = this.#takeGroup()
      try {
        await this.#init.write(group.flatMap((entry) => entry.operations))
        for (const entry of group) entry.resolve()
      } catch (error) {
        for (const entry of group) entry.reject(error)
      }
    }
    this.#running = undefined
  }

  /** As many whole entries as one batch may carry; always at least one, however large. */
  #takeGroup(): Waiting<Op>[] {
    let count = 0
    let taken = 0
    for (const entry of this.#pending) {
      if (taken > 0 && count + entry.operations.length > this.#init.operationsMax) break
      count += entry.operations.length
      taken++
    }
    return this.#pending.splice(0, taken)
  }
}
