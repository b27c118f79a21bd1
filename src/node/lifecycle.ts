import { messageOf } from '../base/index.js'
import type { Log } from '../base/index.js'

/**
 * Parts in the order in which they came up; `stop` takes them down in reverse, each whatever became of the one before.
 * A start that fails half-way stops what is up by the same list, so that there is one way down only.
 */
export class Lifecycle {
  readonly #log: Log
  readonly #parts: { name: string; stop: () => Promise<void> }[] = []

  constructor(components: { log: Log }) {
    this.#log = components.log
  }

  add(name: string, stop: () => Promise<void>): void {
    this.#parts.push({ name, stop })
  }

  /** A part that runs until it is told to stop. If it ends by itself, or fails, `failed` hears of it. */
  run(name: string, work: (signal: AbortSignal) => Promise<unknown>, failed: (error: unknown) => void): void {
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
    })
  }

  async stop(): Promise<void> {
    for (const { name, stop } of this.#parts.splice(0).reverse()) {
      try {
        await stop()
      } catch (error) {
        this.#log.error('a part of the node could not be stopped in order', { part: name, error: messageOf(error) })
      }
    }
  }
}
