import { messageOf, type ContentRouting, type Log } from '../base/index.js'

/**
 * Tells the DHT what this node holds, in the order things happened, many at once: a thousand small files put in a
 * second are a few calls. Nobody waits for it; that it is on disk is the promise, and the routing keeps at it by itself.
 */
export class Announcer {
  readonly #routing: ContentRouting
  readonly #log: Log
  #pending = new Map<string, 'provide' | 'unprovide'>()
  #running = false

  constructor(routing: ContentRouting, log: Log) {
    this.#routing = routing
    this.#log = log
  }

  announce(cid: string, what: 'provide' | 'unprovide'): void {
    this.#pending.set(cid, what)
    if (!this.#running) void this.#run()
  }

  async #run(): Promise<void> {
    this.#running = true
    await Promise.resolve()
    while (this.#pending.size > 0) {
      const batch = this.#pending
      this.#pending = new Map()
      const of = (what: string): string[] => [...batch].filter(([, value]) => value === what).map(([cid]) => cid)
      try {
        const provided = of('provide')
        const unprovided = of('unprovide')
        if (provided.length > 0) await this.#routing.provide(provided)
        if (unprovided.length > 0) await this.#routing.unprovide(unprovided)
      } catch (error) {
        this.#log.warn('holdings were not announced', { blobs: batch.size, reason: messageOf(error) })
      }
    }
    this.#running = false
  }
}
