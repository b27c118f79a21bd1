import type { Cancel, Clock, GossipTopic, GossipVerdict, Log, NodeId } from '../base/index.js'
import { codeOf, Limiter, messageOf } from '../base/index.js'
import type { Version } from './merge.js'
import { hashBytes } from './record.js'
import type { Records } from './records.js'
import { CatalogNews } from './wire/catalog.js'

/** 250 records or so: small enough to be forwarded at once by everybody. */
export const newsBytesMax = 64 * 1024
/** Left for the frame around the records. */
const newsSlackBytes = 1024
/** Records in one message, so that a hostile one cannot keep us decoding empty ones. */
const newsRecordsMax = 1024
/** A quiet node may say this many records' worth at once, whatever the rate. */
const burstSeconds = 3
/**
 * Between two announcements. Peers walk the digests at each, which costs up to 1 MiB while everything changes, and
 * changes should be seen within seconds.
 */
const announceMs = 1500
/** Messages being verified at once, and waiting. One more is ignored, and made up for by a pull. */
const inbound = { concurrency: 2, queueMax: 32 }

export interface NewsComponents {
  readonly records: Records
  readonly topic: GossipTopic
  readonly clock: Clock
  readonly log: Log
  /** A peer says, or seems, to have more than gossip carries. */
  readonly onBehind: (peer: NodeId, theirRoot: Uint8Array | undefined) => void
}

export interface NewsInit {
  readonly gossipDelayMs: number
  readonly gossipRecordsPerSecondMax: number
}

/**
 * Tells everybody what changes, while that is little: records as they are, many to a message. Above a rate it only
 * announces the root digest, once in a while, and peers come and fetch: ten thousand new files then cost each peer one
 * exchange and not ten thousand messages through every link.
 */
export class News {
  readonly sent = { records: 0, announcements: 0 }
  readonly #components: NewsComponents
  readonly #init: NewsInit
  readonly #limiter = new Limiter(inbound)
  #outbox: Uint8Array[] = []
  /** Records that may be sent now, as of `#creditAtMs`. */
  #credit: number
  #creditAtMs: number
  #flushing: Cancel | undefined
  #announcing: Cancel | undefined
  #lastAnnouncedMs = Number.NEGATIVE_INFINITY

  constructor(components: NewsComponents, init: NewsInit) {
    this.#components = components
    this.#init = init
    this.#credit = burstSeconds * init.gossipRecordsPerSecondMax
    this.#creditAtMs = components.clock.monotonicMs()
  }

  /** Sends and hears news until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { records, topic } = this.#components
    const unsubscribe = [
      records.events.on('written', (versions) => this.#push(versions)),
      topic.subscribe(async (message, from) => this.#hear(message, from)),
    ]
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    })
    for (const stop of unsubscribe) stop()
    this.#flushing?.()
    this.#announcing?.()
  }

  /** Says soon what this node's root is: whoever has another one comes and fetches. */
  announce(): void {
    if (this.#announcing !== undefined) return
    const { clock } = this.#components
    const wait = this.#lastAnnouncedMs + announceMs - clock.monotonicMs()
    this.#announcing = clock.setTimer(Math.max(this.#init.gossipDelayMs, wait), () => {
      this.#announcing = undefined
      this.#lastAnnouncedMs = clock.monotonicMs()
      this.sent.announcements++
      this.#publish(CatalogNews.encode({ records: [], root: this.#components.records.digests.root() }))
    })
  }

  #push(versions: readonly Version[]): void {
    // What the credit cannot cover is not even kept: memory stays small however fast files come in.
    const room = this.#creditNow() - this.#outbox.length
    if (versions.length > room) {
      this.announce()
      return
    }
    for (const { bytes } of versions) this.#outbox.push(bytes)
    this.#flushing ??= this.#components.clock.setTimer(this.#init.gossipDelayMs, () => {
      this.#flushing = undefined
      this.#flush()
    })
  }

  #flush(): void {
    const outbox = this.#outbox
    this.#outbox = []
    this.#credit = this.#creditNow() - outbox.length
    this.sent.records += outbox.length
    let batch: Uint8Array[] = []
    let bytes = 0
    for (const record of outbox) {
      if (batch.length > 0 && (bytes + record.length + 8 > newsBytesMax - newsSlackBytes || batch.length >= newsRecordsMax)) {
        this.#publish(CatalogNews.encode({ records: batch }))
        batch = []
        bytes = 0
      }
      batch.push(record)
      bytes += record.length + 8
    }
    if (batch.length > 0) this.#publish(CatalogNews.encode({ records: batch }))
  }

  #creditNow(): number {
    const now = this.#components.clock.monotonicMs()
    const perSecond = this.#init.gossipRecordsPerSecondMax
    this.#credit = Math.min(burstSeconds * perSecond, this.#credit + ((now - this.#creditAtMs) / 1000) * perSecond)
    this.#creditAtMs = now
    return this.#credit
  }

  /** Gossip is likely and never certain: what fails here, anti-entropy makes up for. */
  #publish(message: Uint8Array): void {
    this.#components.topic.publish(message).catch((error: unknown) => {
      this.#components.log.debug('catalog news not published', { error: messageOf(error) })
    })
  }

  async #hear(message: Uint8Array, from: NodeId): Promise<GossipVerdict> {
    let news: CatalogNews
    try {
      news = CatalogNews.decode(message, { limits: { records: newsRecordsMax } })
    } catch {
      return 'reject'
    }
    const { records } = this.#components
    let verdict: GossipVerdict = 'accept'
    if (news.records.length > 0) {
      try {
        const { broken, refused } = await this.#limiter.run(async () => records.ingest(news.records))
        if (broken) return 'reject'
        if (refused === news.records.length) verdict = 'ignore'
      } catch (error) {
        if (codeOf(error) !== 'OVERLOADED') this.#components.log.warn('catalog news not taken in', { error: messageOf(error) })
        this.#components.onBehind(from, undefined)
        return 'ignore'
      }
    }
    if (news.root === undefined) return verdict
    if (news.root.length !== hashBytes) return 'reject'
    if (Buffer.compare(news.root, records.digests.root()) !== 0) this.#components.onBehind(from, news.root)
    return verdict
  }
}
