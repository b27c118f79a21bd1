/**
 * Copying steps back while somebody works at this node: everything here shares one thread and one line, so two dozen
 * copies under way are what a person waits for who puts a file meanwhile.
 *
 * It goes on, only narrower; so a node that is busy all day falls behind and never stops. Road not taken: to pause it
 * altogether until it is quiet. A film that is read for two hours would leave what was put before on one node for as long.
 *
 * Copies that this node asks others to make, and those that it makes for others, have places of their own. Whoever asks keeps
 * its place until the other has stored the copy; with places for both, nodes that are busy at once and ask each other would
 * wait for each other until their requests run out. Storing waits for no place at another node, so it always goes on.
 */
import { Limiter } from '../base/index.js'

/** Above this a blob is one that takes the line for a while… */
const largeBytes = 256 * 1024
/** …and of those two overlap, so that one is on the line while the other is on the disk. */
const largeAtOnce = 2
/** Small ones are bound by round trips. */
const smallAtOnce = 8
const queueMax = 10_000

export class SteppingBack {
  readonly #isBusy: () => boolean
  readonly #large = new Limiter({ concurrency: largeAtOnce, queueMax })
  readonly #small = new Limiter({ concurrency: smallAtOnce, queueMax })

  constructor(init: { isBusy: () => boolean }) {
    this.#isBusy = init.isBusy
  }

  /** Right away when nobody works here; else when it is its turn. */
  async run<T>(bytes: number, work: () => Promise<T>, signal: AbortSignal): Promise<T> {
    if (!this.#isBusy()) return work()
    return (bytes > largeBytes ? this.#large : this.#small).run(work, signal)
  }
}
