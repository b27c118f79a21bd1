export interface GatheringInit<T> {
  /** What it counts towards `bytesMax`; undefined for what is worked on by itself. */
  readonly bytesOf: (item: T) => number | undefined
  readonly itemsMax: number
  readonly bytesMax: number
  readonly groupsAtOnce: number
  /** Groups, and items by themselves, at once. */
  readonly worksAtOnce: number
}

export interface GatheringWork<T> {
  one(item: T): Promise<void>
  many(items: readonly T[]): Promise<void>
}

/**
 * Works on items as they come, small ones in groups: while a group is worked on, the next gathers, so that who comes alone
 * never waits for others, and where many come they share the cost. A second group begins beside the first only when it is
 * full: one then waits for the disk while the other is made.
 *
 * Resolves when all is done. Rejects with the first error of `work`, after what runs has ended; if the source fails, with
 * its error, and what it had given until then is worked on all the same.
 */
export async function forEachGathered<T>(items: AsyncIterable<T>, init: GatheringInit<T>, work: GatheringWork<T>): Promise<void> {
  const running = new Set<Promise<void>>()
  let failure: { error: unknown } | undefined
  let groups = 0
  let group: T[] = []
  let groupBytes = 0
  const isFull = (): boolean => group.length >= init.itemsMax || groupBytes >= init.bytesMax
  const start = (working: Promise<void>, ended: () => void): void => {
    const one: Promise<void> = working
      .catch((error: unknown) => {
        failure ??= { error }
      })
      .finally(() => {
        ended()
        running.delete(one)
      })
    running.add(one)
  }
  const startIfDue = (): void => {
    if (failure !== undefined || group.length === 0 || groups >= init.groupsAtOnce || (groups > 0 && !isFull())) return
    const these = group
    group = []
    groupBytes = 0
    groups++
    start(work.many(these), () => {
      groups--
      startIfDue()
    })
  }
  let broken: { error: unknown } | undefined
  try {
    for await (const item of items) {
      if (failure !== undefined) break
      const bytes = init.bytesOf(item)
      if (bytes === undefined) start(work.one(item), () => undefined)
      else {
        group.push(item)
        groupBytes += bytes
        startIfDue()
      }
      while (running.size >= init.worksAtOnce || (running.size > 0 && isFull())) await Promise.race(running)
    }
  } catch (error) {
    broken = { error }
  }
  while (running.size > 0) await Promise.race(running)
  if (failure !== undefined) throw failure.error
  if (broken !== undefined) throw broken.error
}
