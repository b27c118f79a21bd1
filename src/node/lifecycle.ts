import { messageOf, withDeadline } from '../base/index.js'
import type { Clock, Log } from '../base/index.js'

/** Stopping is closing files and sockets, and takes milliseconds; a disk that is busy with other things, seconds. */
const partMs = 5_000

/**
 * Parts in the order in which they came up; `stop` takes them down in reverse, each whatever became of the one before.
 * A start that fails half-way stops what is up by the same list, so that there is one way down only.
 */
export class Lifecycle {
  readonly #log: Log
  readonly #clock: Clock
  readonly #parts: { name: string; deadlineMs: number; stop: () => Promise<void> }[] = []

  constructor(components: { log: Log; clock: Clock }) {
    this.#log = components.log
    this.#clock = components.clock
  }

  /** A part that has not stopped after `deadlineMs` is left behind: those below it, the store above all, must still close. */
  add(name: string, stop: () => Promise<void>, deadlineMs = partMs): void {
    this.#parts.push({ name, stop, deadlineMs })
  }

  /** A part that runs until it is told to stop. If it ends by itself, or fails, `failed` hears of it. */
  run(name: string, work: (signal: AbortSignal) => Promise<unknown>, failed: (error: unknown) => void, deadlineMs = partMs): void {
    const controller = new AbortController()
    const running = work(controller.signal).then(
      () => undefined,
      (error: unknown) => {
        if (!controller.signal.aborted) {
          this.#log.error('a part of the node failed', { part: name, error: messageOf(error) })
          failed(error)
        }
      },
    )
    this.add(name, async () => {
      controller.abort(new Error(`${name} is stopping`))
      await running
    }, deadlineMs)
  }

  async stop(): Promise<void> {
    for (const { name, stop, deadlineMs } of this.#parts.splice(0).reverse()) {
      try {
        this.#log.debug('stopping', { part: name })
        await withDeadline(this.#clock, deadlineMs, undefined, stop)
      } catch (error) {
        this.#log.error('a part of the node could not be stopped in order', { part: name, error: messageOf(error) })
      }
    }
  }
}
