import type { NodeId } from '../../base/index.js'
import { messageOf } from '../../base/index.js'
import type { SegmentId } from '../replica-types.js'
import type { Segment, Session } from '../segment.js'
import type { VolumeSettings } from '../types.js'
import { encodeId, toWire } from './codec.js'
import type { Registers } from './registers.js'
import type { Replica } from './replica.js'
import { ReplicaLinks } from './replica-links.js'
import type { EngineComponents, EngineInit } from './types.js'
import { ask, verbs } from './verbs.js'

/** Counts of what happened since the start. */
export class EngineCounters {
  writesLocal = 0
  writesProxied = 0
  writesReplayed = 0
  flushes = 0
  claims = 0
  recoveries = 0
  handOffs = 0
  handOffsFailed = 0
  replicasRemoved = 0
  replicasJoined = 0
  devicesFailed = 0
}

/** What the parts of the engine share. */
export class EngineContext {
  readonly components: EngineComponents
  readonly init: EngineInit
  readonly registers: Registers
  readonly replica: Replica
  readonly links: ReplicaLinks
  readonly self: NodeId
  readonly counters = new EngineCounters()
  readonly #settings = new Map<string, VolumeSettings>()
  /** Aborts when the engine ends. */
  signal: AbortSignal = new AbortController().signal

  constructor(components: EngineComponents, init: EngineInit, parts: { registers: Registers; replica: Replica }) {
    this.components = components
    this.init = init
    this.registers = parts.registers
    this.replica = parts.replica
    this.links = new ReplicaLinks(components)
    this.self = components.connections.self
  }

  /** The session under which this node may act now. */
  session(): Session | undefined {
    const { consensus } = this.components
    return consensus.sessionRemainingMs() > 0 ? consensus.session : undefined
  }

  learnSettings(volume: string, settings: VolumeSettings): void {
    this.#settings.set(volume, settings)
  }

  async settingsOf(volume: string): Promise<VolumeSettings | undefined> {
    const known = this.#settings.get(volume)
    if (known !== undefined) return known
    const found = await this.components.settingsOf(volume)
    if (found !== undefined) this.#settings.set(volume, found)
    return found
  }

  forgetSettings(volume: string): void {
    this.#settings.delete(volume)
  }

  /** Tells others what a majority has accepted. Not awaited: who misses it finds out when it is refused something. */
  tell(id: SegmentId, segment: Segment, nodes: Iterable<NodeId>): void {
    const news = { segment: encodeId(id), value: toWire(segment) }
    for (const node of new Set(nodes)) {
      if (node === this.self) continue
      ask(this.components.rpc, node, verbs.news, news, { deadlineMs: newsDeadlineMs, signal: this.signal }).catch((error: unknown) => {
        this.components.log.debug('news of a segment did not arrive', { node, error: messageOf(error) })
      })
    }
  }

  /** Everybody who has a part in the segment; or had one, `before`. */
  tellAll(id: SegmentId, segment: Segment, before = segment): void {
    this.tell(id, segment, [...before.replicas, ...before.joining, ...before.ranges.entries.map((entry) => entry.value.session.node)])
  }
}

/** A hint that is older is of no use. */
const newsDeadlineMs = 3_000
