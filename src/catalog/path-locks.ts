/**
 * One change of a path at a time: between reading what is stored and having written what follows from it, nobody else
 * may do the same. Whoever needs several takes them in the order of their text, so that no two wait for each other.
 */
export class PathLocks {
  readonly #tails = new Map<string, Promise<void>>()

  /** Waits for all of `paths`; the function it resolves to gives them back, and may be called twice. */
  async acquire(paths: Iterable<string>): Promise<() => void> {
    const sorted = [...new Set(paths)].sort()
    let release = (): void => undefined
    const mine = new Promise<void>((resolve) => {
      release = resolve
    })
    for (const path of sorted) {
      const before = this.#tails.get(path)
      // The one behind us waits for us alone: we have waited for all before.
      this.#tails.set(path, mine)
      if (before !== undefined) await before
    }
    return () => {
      for (const path of sorted) if (this.#tails.get(path) === mine) this.#tails.delete(path)
      release()
    }
  }
}
