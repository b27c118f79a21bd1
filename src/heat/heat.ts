import type { Clock, Connections, Gossip, GossipTopic, GossipVerdict, Hlc, Log, NodeId, Random } from '../base/index.js'
import { HlcClock, hlcToMs, messageOf } from '../base/index.js'
import { Distances } from './coordinates.js'
import { HeatHistory } from './history.js'
import { decodeNews, encodeNews, newsBytesMax, newsRangesMax, roundTripsMax } from './news.js'
import type { News, RangeNews } from './news.js'
import { pictureOf } from './picture.js'
import type { Contribution } from './picture.js'
import type { HeatSettings } from './settings.js'
import type { Access, Heat, HeatCounters, HeatEntry, RangeHeat } from './types.js'

export interface HeatComponents {
  readonly gossip: Gossip
  readonly connections: Connections
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  /** What a member says of where it stands. */
  readonly regionOf: (node: NodeId) => string | undefined
}

export interface HeatInit {
  /** Blocks of a segment. */
  readonly segmentBlocks: number
  readonly settings: HeatSettings
}

interface Heard {
  readonly news: News
  readonly heardMs: number
}

/** What a node told of one volume. */
interface Told {
  readonly node: NodeId
  readonly ranges: readonly RangeNews[]
  readonly made: Hlc
  /** Since it was heard. */
  readonly ageMs: number
}

/** Nodes whose news are kept; 16 KiB each at most. A mesh is some hundreds. */
const heardMax = 1024
/** News of one node that come faster than this are a flood: they are neither taken nor passed on. */
const newsApartMsMin = 500
/** As long as coordinates need to find their places after a start: some twenty looks at each neighbour. */
const settlingMs = 120_000

/** `Heat` with history, coordinates and gossip. What each part does is said there. */
export class MeshHeat implements Heat {
  readonly #components: HeatComponents
  readonly #init: HeatInit
  readonly #self: NodeId
  readonly #history: HeatHistory
  readonly #distances: Distances
  readonly #hlc: HlcClock
  readonly #topic: GossipTopic
  /** Newest news of each node; order is that of hearing. */
  readonly #heard = new Map<NodeId, Heard>()
  #newsSent = 0
  #newsRefused = 0
  #last: { news: News; atMs: number } | undefined

  constructor(components: HeatComponents, init: HeatInit) {
    this.#components = components
    this.#init = init
    this.#self = components.connections.self
    this.#history = new HeatHistory(components, init.settings)
    this.#hlc = new HlcClock(components.clock)
    this.#distances = new Distances(
      {
        measured: (peer) => components.connections.rttMs(peer),
        told: (node) => {
          const news = this.#heard.get(node)?.news
          return news === undefined ? undefined : { coordinate: news.coordinate, rttMs: (other) => news.roundTrips.get(other) }
        },
        random: components.random,
      },
      { self: this.#self },
    )
    this.#topic = components.gossip.topic('heat', { messageBytesMax: newsBytesMax })
  }

  get counters(): HeatCounters {
    return { ranges: this.#history.ranges, forgotten: this.#history.forgotten, newsSent: this.#newsSent, newsRefused: this.#newsRefused }
  }

  record(access: Access): void {
    this.#history.record(access)
  }

  at(volume: string, segment: number, block: number): RangeHeat | undefined {
    const range = this.#history.at(volume, segment, block)
    return range === undefined ? undefined : this.#withTold(volume, segment, range)
  }

  unused(volume: string, segment: number, block: number, blocksMax: number): number {
    return this.#history.unused(volume, segment, block, blocksMax)
  }

  of(volume: string): HeatEntry[] {
    const contributions: Contribution[] = []
    const told = new Map(this.#told(volume).map(({ node, ranges }) => [node, ranges]))
    for (const { segment, range } of this.#history.all(volume)) {
      const start = segment * this.#init.segmentBlocks + range.start
      const lastWriteMs = range.lastWrite === undefined ? undefined : hlcToMs(range.lastWrite)
      for (const { place, writes, reads, latencyMs = 0 } of range.places) {
        // What a node tells of itself is all of it; what came from it through here is a part.
        if (place.node !== this.#self && told.has(place.node)) continue
        contributions.push({ region: place.region, start, end: start + range.blocks, writes, reads, lastWriteMs, latencyMs })
      }
    }
    for (const [node, ranges] of told) {
      const region = this.#components.regionOf(node) ?? ''
      for (const { start, blocks, writes, reads, lastWrite, latencyMs } of ranges) {
        contributions.push({ region, start, end: start + blocks, writes, reads, lastWriteMs: lastWrite === undefined ? undefined : hlcToMs(lastWrite), latencyMs })
      }
    }
    return pictureOf(contributions)
  }

  forget(volume: string): void {
    this.#history.forget(volume)
  }

  rttMs(a: NodeId, b: NodeId): number | undefined {
    return this.#distances.between(a, b)
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, connections } = this.#components
    const { newsPerMemberMs, newsMsMin, newsMsMax } = this.#init.settings
    const settledMs = clock.monotonicMs() + settlingMs
    const unsubscribe = this.#topic.subscribe((message, from) => this.#hear(message, from))
    try {
      while (!signal.aborted) {
        for (const peer of connections.connected()) this.#distances.learn(peer)
        const news = this.#news()
        if (clock.monotonicMs() < settledMs || this.#isWorthTelling(news)) await this.#tell(news)
        const members = Math.max(connections.connected().length, this.#heard.size) + 1
        const everyMs = Math.min(newsMsMax, Math.max(newsMsMin, members * newsPerMemberMs))
        // Not all at once, even if all have started at once.
        await clock.sleep(everyMs * (0.75 + 0.5 * random.float()), signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      unsubscribe()
    }
  }

  #hear(message: Uint8Array, from: NodeId): GossipVerdict {
    if (from === this.#self) return 'ignore'
    const nowMs = this.#components.clock.monotonicMs()
    const before = this.#heard.get(from)
    if (before !== undefined && nowMs - before.heardMs < newsApartMsMin) {
      this.#newsRefused++
      return 'ignore'
    }
    let news: News
    try {
      news = decodeNews(message)
    } catch {
      this.#newsRefused++
      return 'reject'
    }
    // Old ones come late by other ways; and one node's wrong date must not make its later news look old for good.
    if ((before !== undefined && news.made <= before.news.made) || !this.#hlc.observe(news.made)) return 'ignore'
    this.#heard.delete(from)
    this.#heard.set(from, { news, heardMs: nowMs })
    if (this.#heard.size > heardMax) {
      for (const oldest of this.#heard.keys()) {
        this.#heard.delete(oldest)
        break
      }
    }
    return 'accept'
  }

  /** Most nodes use no volume most of the time, and then there is nothing new: no reason to tell it every few seconds. */
  #isWorthTelling(news: News): boolean {
    const last = this.#last
    if (last === undefined || news.volumes.size > 0 || last.news.volumes.size > 0) return true
    if (this.#components.clock.monotonicMs() - last.atMs >= this.#init.settings.newsMsAtRest) return true
    for (const peer of news.roundTrips.keys()) if (!last.news.roundTrips.has(peer)) return true
    return false
  }

  async #tell(news: News): Promise<void> {
    try {
      await this.#topic.publish(encodeNews(news))
      this.#newsSent++
      this.#last = { news, atMs: this.#components.clock.monotonicMs() }
    } catch (error) {
      this.#components.log.debug('news of heat could not be sent', { error: messageOf(error) })
    }
  }

  /** What others told of a volume within the window. */
  #told(volume: string): Told[] {
    const nowMs = this.#components.clock.monotonicMs()
    const told: Told[] = []
    for (const [node, { news, heardMs }] of this.#heard) {
      const ranges = news.volumes.get(volume)
      if (ranges !== undefined && nowMs - heardMs < this.#init.settings.windowMs) told.push({ node, ranges, made: news.made, ageMs: nowMs - heardMs })
    }
    return told
  }

  /**
   * Whoever received a range knows nothing of what its last holder wrote by itself; that one tells. Of what both know,
   * the larger number counts: what was seen here is fresher, what was told is all of it.
   */
  #withTold(volume: string, segment: number, range: RangeHeat): RangeHeat {
    const { windowMs, decayMs } = this.#init.settings
    const start = segment * this.#init.segmentBlocks + range.start
    const places = new Map(range.places.map((one) => [one.place.node, one]))
    for (const { node, ranges, made, ageMs } of this.#told(volume)) {
      let writes = 0
      let weight = 0
      let latency = 0
      for (const told of ranges) {
        const common = Math.min(told.start + told.blocks, start + range.blocks) - Math.max(told.start, start)
        if (common <= 0 || told.lastWrite === undefined) continue
        // Both ends of the first difference are the teller's clock.
        const oldMs = Math.max(0, hlcToMs(made) - hlcToMs(told.lastWrite)) + ageMs
        if (oldMs >= windowMs) continue
        const share = (told.writes * common) / told.blocks
        writes += share
        weight += share * Math.exp(-oldMs / decayMs)
        latency += share * told.latencyMs
      }
      const known = places.get(node)
      if (writes <= (known?.writes ?? 0)) continue
      places.set(node, {
        place: known?.place ?? { node, region: this.#components.regionOf(node) ?? '' },
        writes,
        reads: known?.reads ?? 0,
        weight: Math.max(weight, known?.weight ?? 0),
        slowWrites: known?.slowWrites ?? 0,
        latencyMs: latency / writes,
        slowLatencyMs: known?.slowLatencyMs,
        localLatencyMs: known?.localLatencyMs,
      })
    }
    const sorted = [...places.values()].sort((a, b) => b.weight - a.weight)
    return { ...range, places: sorted, writes: sorted.reduce((sum, one) => sum + one.writes, 0) }
  }

  /** Of itself only: so nothing is counted twice, however many hear of it. */
  #news(): News {
    const { connections } = this.#components
    const ranges: { volume: string; news: RangeNews }[] = []
    for (const { volume, segment, range } of this.#history.all()) {
      const own = range.places.find(({ place }) => place.node === this.#self)
      if (own === undefined || (own.writes < 0.5 && own.reads < 0.5)) continue
      ranges.push({
        volume,
        news: { start: segment * this.#init.segmentBlocks + range.start, blocks: range.blocks, writes: own.writes, reads: own.reads, lastWrite: range.lastWrite, latencyMs: own.latencyMs ?? 0 },
      })
    }
    ranges.sort((a, b) => b.news.writes - a.news.writes || b.news.reads - a.news.reads)
    const volumes = new Map<string, RangeNews[]>()
    for (const { volume, news } of ranges.slice(0, Math.min(newsRangesMax, this.#init.settings.newsRangesMax))) {
      const list = volumes.get(volume)
      if (list === undefined) volumes.set(volume, [news])
      else list.push(news)
    }
    const roundTrips = new Map<NodeId, number>()
    for (const peer of connections.connected()) {
      const rttMs = connections.rttMs(peer)
      if (rttMs !== undefined && roundTrips.size < roundTripsMax) roundTrips.set(peer, rttMs)
    }
    return { made: this.#hlc.now(), coordinate: this.#distances.own, roundTrips, volumes }
  }
}
