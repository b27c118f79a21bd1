import type { Clock, Random } from '../../base/index.js'

/**
 * A browser cannot put a token on a plain download, and the API's token must never stand in a URL (it would end up in
 * histories). So the web page asks for a ticket: good for reading one path, for a minute.
 */
const ticketMs = 60_000
/** More downloads than this begun within a minute are no person's. */
const ticketsMax = 256

export class Tickets {
  readonly #clock: Clock
  readonly #random: Random
  readonly #open = new Map<string, { path: string; expiresMs: number }>()

  constructor(components: { clock: Clock; random: Random }) {
    this.#clock = components.clock
    this.#random = components.random
  }

  issue(path: string): { ticket: string; expiresAt: number } {
    const now = this.#clock.monotonicMs()
    for (const [ticket, entry] of this.#open) {
      if (entry.expiresMs <= now || this.#open.size >= ticketsMax) this.#open.delete(ticket)
    }
    const ticket = Buffer.from(this.#random.bytes(24)).toString('base64url')
    this.#open.set(ticket, { path, expiresMs: now + ticketMs })
    return { ticket, expiresAt: this.#clock.wallMs() + ticketMs }
  }

  admits(ticket: string, path: string): boolean {
    const entry = this.#open.get(ticket)
    return entry !== undefined && entry.path === path && entry.expiresMs > this.#clock.monotonicMs()
  }
}
