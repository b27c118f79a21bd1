/**
 * How peers behave, as measured here: what makes a node a worse place for new copies, and proves nothing about the ones
 * that it has (`trust.ts` is about those).
 *
 * Intuition. A node that says that it has room and refuses, that floods, or whose messages are none, may be broken, or mean
 * it; either way others should come first. Every offence is worth points, which halve with time. Few points lower the
 * measured reliability that placement weighs; many, and nothing new goes there until most of them have worn off.
 *
 * Assumes that an honest node offends now and then: news is seconds old, and ten nodes may rush to the last room of one.
 * In memory only: a restart forgives, and whoever goes on is known again within minutes. (The road not taken: to tell
 * others. Whoever can blacken a name can do more harm than a liar about its room.)
 */
import type { Clock, NodeId } from '../base/index.js'

/** What each is worth. */
export const offences = {
  /** Refused for want of room what its own last message had room for twice over. Once for each such message. */
  'no room': 1,
  /** The same of a move towards balance, or of room that it has to evict for: ten may have planned with it on the same news. */
  'less room': 0.25,
  /** A message that cannot be read. */
  garbage: 1,
  /** A page that is none, more entries than any node has. */
  inventory: 4,
  /** One request beyond its rate. */
  flood: 1 / 64,
} as const
export type Offence = keyof typeof offences

/** Long enough to stop who goes on, short enough that a repaired node is back within the hour. */
const halfLifeMs = 10 * 60_000
/** With so many points it counts as half as reliable. */
const halfReliable = 4
/** Nothing new goes to a node from here on… */
const shunnedFrom = 8
/** …until it is down to this: two half-lives at least. */
const shunnedTo = 2
/** More change nothing: after six half-lives it is welcome again, whatever it did. */
const pointsMax = 128
/** More than any mesh here has members. */
const peersMax = 10_000

const sentencesMax = 5

interface Record {
  points: number
  atMs: number
  shunned: boolean
}

export class Conduct {
  readonly #clock: Clock
  readonly #records = new Map<NodeId, Record>()

  constructor(components: { clock: Clock }) {
    this.#clock = components.clock
  }

  offended(peer: NodeId, offence: Offence): void {
    const record = this.#now(peer) ?? { points: 0, atMs: this.#clock.monotonicMs(), shunned: false }
    record.points = Math.min(pointsMax, record.points + offences[offence])
    if (record.points >= shunnedFrom) record.shunned = true
    if (!this.#records.has(peer) && this.#records.size >= peersMax) for (const oldest of this.#records.keys()) {
      this.#records.delete(oldest)
      break
    }
    this.#records.set(peer, record)
  }

  /** What its measured reliability is to be multiplied with, 0…1. */
  reliabilityShare(peer: NodeId): number {
    return halfReliable / (halfReliable + (this.#now(peer)?.points ?? 0))
  }

  /** Nothing new is to go there until its points have worn off. */
  isShunned(peer: NodeId): boolean {
    return this.#now(peer)?.shunned === true
  }

  /** For people: what nothing new goes to. */
  sentences(): string[] {
    const shunned = [...this.#records.keys()].filter((peer) => this.isShunned(peer))
    return shunned.slice(0, sentencesMax).map((peer) => `nothing new goes to ${peer} for a while: it refuses what it says it has room for, or sends what is of no use`)
  }

  /** With what has worn off taken off. */
  #now(peer: NodeId): Record | undefined {
    const record = this.#records.get(peer)
    if (record === undefined) return undefined
    const nowMs = this.#clock.monotonicMs()
    record.points *= 2 ** (-(nowMs - record.atMs) / halfLifeMs)
    record.atMs = nowMs
    if (record.points <= shunnedTo) record.shunned = false
    return record
  }
}
