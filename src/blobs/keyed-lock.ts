/** One at a time per key, in order of arrival; keys nobody uses take no memory. */
export class KeyedLock {
  readonly #tails = new Map<string, Promise<void>>()

  isBusy(key: string): boolean {
    return this.#tails.has(key)
  }

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    return this.runAll([key], work)
  }

  /** Under all of the keys. They are asked for in one moment, so that no two callers ever wait for each other. */
  async runAll<T>(keys: readonly string[], work: () => Promise<T>): Promise<T> {
    const before = keys.flatMap((key) => this.#tails.get(key) ?? [])
    const result = before.length === 0 ? work() : Promise.all(before).then(work)
    const tail = result.then(
      () => undefined,
      () => undefined,
    )
    for (const key of keys) this.#tails.set(key, tail)
    try {
      return await result
    } finally {
      for (const key of keys) if (this.#tails.get(key) === tail) this.#tails.delete(key)
    }
  }
}
