import type { Clock, Log } from '../../base/index.js'
import type { Heat } from '../../heat/index.js'
import type { BlockRange } from '../geometry.js'
import { decideMigration } from './policy.js'
import type { MigrationSettings } from './settings.js'
import type { MigrationCounters, MigrationDecision, MigrationGovernor, MigrationNote, MigrationQuestion, MigrationView, StayReason } from './types.js'

export interface GovernorComponents {
  readonly heat: Pick<Heat, 'at' | 'unused' | 'rttMs' | 'forget'>
  readonly clock: Clock
  readonly log: Log
  /** Hears of every move that was made or tried, when it is over. */
  readonly told?: (note: MigrationNote, outcome: 'moved' | 'failed') => void
}

interface Move extends BlockRange {
  readonly atMs: number
}

interface Wait extends BlockRange {
  readonly region: string
  readonly sinceMs: number
  readonly refusals: number
  /** When it asked last. */
  readonly askedMs: number
}

/** What guards need to know of one segment. */
interface SegmentPast {
  moves: Move[]
  waits: Wait[]
  /** On their way. */
  readonly going: Set<MigrationDecision>
  /** The last answer, so that the same one is not written down a thousand times. */
  lastReason: StayReason | undefined
}

/** Segments whose past is remembered, at some 200 bytes; those asked about longest ago are forgotten. */
const segmentsMax = 4096
/** As many ranges as a segment has. */
const movesMax = 64
const waitsMax = 64
const notesPerVolumeMax = 32
const volumesMax = 256
/** So many accesses side by side, of which the last one asks, are a run. */
const runAccesses = 4
/** Stays that keep waiting what would be better served elsewhere. */
const waiting: ReadonlySet<StayReason> = new Set(['HYSTERESIS', 'COOLDOWN', 'TOO_MANY_MOVES'])

/**
 * The policy with a memory. It lives where ranges are held: the holder sees everybody's writes, and whoever receives a
 * range was told so by `arrived`, so the node that decides always knows of the last move.
 */
export class Governor implements MigrationGovernor {
  readonly #components: GovernorComponents
  readonly #settings: MigrationSettings
  /** Order is that of use. */
  readonly #pasts = new Map<string, SegmentPast>()
  readonly #notes = new Map<string, MigrationNote[]>()
  #moving = 0
  #asked = 0
  #moved = 0
  #failed = 0

  constructor(components: GovernorComponents, settings: MigrationSettings) {
    this.#components = components
    this.#settings = settings
  }

  get counters(): MigrationCounters {
    return { asked: this.#asked, moved: this.#moved, failed: this.#failed, moving: this.#moving }
  }

  decide(question: MigrationQuestion): MigrationDecision {
    this.#asked++
    const past = this.#past(question.volume, question.segment)
    const range = this.#rangeOf(question, past)
    const decision = past.going.size > 0 && [...past.going].some((move) => move.type === 'move' && overlap(move.range, range))
      ? ({ type: 'stay', reason: 'MOVING', explanation: 'it is on its way already', figures: {} } as const)
      : decideMigration(this.#view(question, range, past), this.#settings)
    this.#remember(question, range, past, decision)
    return decision
  }

  ended(question: { readonly volume: string; readonly segment: number }, move: MigrationDecision, outcome: 'moved' | 'failed'): void {
    const past = this.#past(question.volume, question.segment)
    if (move.type !== 'move' || !past.going.delete(move)) return
    this.#moving--
    if (outcome === 'moved') this.#moved++
    else this.#failed++
    // A failed one rests too: what failed now would fail again in a moment, and writers had to wait for it.
    this.#rest(past, move.range)
    this.#components.told?.({ ...move.range, volume: question.volume, segment: question.segment, at: this.#components.clock.wallMs(), decision: move }, outcome)
  }

  arrived(volume: string, segment: number, range: BlockRange): void {
    this.#rest(this.#past(volume, segment), range)
  }

  forget(volume: string): void {
    for (const key of [...this.#pasts.keys()]) {
      if (!key.startsWith(`${volume}/`)) continue
      this.#moving -= this.#pasts.get(key)?.going.size ?? 0
      this.#pasts.delete(key)
    }
    this.#notes.delete(volume)
    this.#components.heat.forget(volume)
  }

  notes(volume: string): readonly MigrationNote[] {
    return [...(this.#notes.get(volume) ?? [])].reverse()
  }

  /**
   * The blocks with the same writers around the access, as far as they are held here; the access itself if nothing is
   * known. Of a run (many accesses, each where the one before ended) as many unused blocks ahead come along as lie behind,
   * else every access would find itself at the holder's again, and cut the segment into pieces.
   */
  #rangeOf(question: MigrationQuestion, past: SegmentPast): BlockRange {
    const { held, volume, segment } = question
    const { heat } = this.#components
    const hot = heat.at(volume, segment, question.start) ?? question
    const hotEnd = hot.start + hot.blocks
    // What went before is not seen here any more: there are local writes where it went.
    let runStart = hot.start
    for (const move of [...past.moves].sort((a, b) => b.start - a.start)) if (move.start + move.blocks === runStart) runStart = move.start
    const isRun = question.start + question.blocks === hotEnd && hotEnd - runStart >= runAccesses * question.blocks
    const ahead = isRun ? heat.unused(volume, segment, hotEnd, hotEnd - runStart) : 0
    const start = Math.max(hot.start, held.start)
    const end = Math.min(hotEnd + ahead, held.start + held.blocks)
    return end > start ? { start, blocks: end - start } : { start: question.start, blocks: question.blocks }
  }

  #view(question: MigrationQuestion, range: BlockRange, past: SegmentPast): MigrationView {
    const nowMs = this.#components.clock.monotonicMs()
    const moves = past.moves.filter((move) => overlap(move, range) && nowMs - move.atMs < this.#settings.hysteresisMs)
    const wait = past.waits.find((one) => one.region === question.asker.region && overlap(one, range))
    return {
      nowMs,
      policy: question.policy,
      range,
      holder: question.holder,
      asker: question.asker,
      heat: this.#components.heat.at(question.volume, question.segment, question.start)?.places ?? [],
      others: question.others ?? [],
      rttMs: (a, b) => this.#components.heat.rttMs(a, b),
      bytes: question.bytesToMove(range),
      movedAtMs: moves.reduce<number | undefined>((latest, { atMs }) => (latest === undefined || atMs > latest ? atMs : latest), undefined),
      recentMoves: moves.length,
      waitingSinceMs: wait?.sinceMs,
      refusals: wait?.refusals ?? 0,
      moving: this.#moving,
    }
  }

  #remember(question: MigrationQuestion, range: BlockRange, past: SegmentPast, decision: MigrationDecision): void {
    const nowMs = this.#components.clock.monotonicMs()
    const wait = past.waits.find((one) => one.region === question.asker.region && overlap(one, range))
    past.waits = past.waits.filter((one) => one !== wait && nowMs - one.askedMs < this.#settings.windowMs)
    const facts = { volume: question.volume, segment: question.segment, start: range.start, blocks: range.blocks, explanation: decision.explanation, ...decision.figures }
    if (decision.type === 'move') {
      past.going.add(decision)
      this.#moving++
      past.lastReason = undefined
      this.#components.log.info('a range moves', { ...facts, to: decision.to.node })
      this.#note(question, range, decision)
      return
    }
    if (waiting.has(decision.reason)) {
      past.waits.push({ ...range, region: question.asker.region, sinceMs: wait?.sinceMs ?? nowMs, refusals: (wait?.refusals ?? 0) + 1, askedMs: nowMs })
      if (past.waits.length > waitsMax) past.waits.shift()
    } else if (decision.reason === 'MOVING' && wait !== undefined) {
      past.waits.push(wait)
    }
    if (decision.reason === past.lastReason) return
    past.lastReason = decision.reason
    this.#components.log.debug('a range stays', { ...facts, reason: decision.reason })
    this.#note(question, range, decision)
  }

  #note(question: MigrationQuestion, range: BlockRange, decision: MigrationDecision): void {
    const notes = this.#notes.get(question.volume) ?? []
    notes.push({ volume: question.volume, segment: question.segment, start: range.start, blocks: range.blocks, at: this.#components.clock.wallMs(), decision })
    if (notes.length > notesPerVolumeMax) notes.shift()
    this.#notes.delete(question.volume)
    this.#notes.set(question.volume, notes)
    if (this.#notes.size > volumesMax) dropFirst(this.#notes)
  }

  #rest(past: SegmentPast, range: BlockRange): void {
    const atMs = this.#components.clock.monotonicMs()
    past.moves = past.moves.filter((move) => atMs - move.atMs < this.#settings.hysteresisMs)
    past.moves.push({ start: range.start, blocks: range.blocks, atMs })
    if (past.moves.length > movesMax) past.moves.shift()
    past.waits = past.waits.filter((wait) => !overlap(wait, range))
  }

  #past(volume: string, segment: number): SegmentPast {
    const key = `${volume}/${String(segment)}`
    const past: SegmentPast = this.#pasts.get(key) ?? { moves: [], waits: [], going: new Set(), lastReason: undefined }
    this.#pasts.delete(key)
    this.#pasts.set(key, past)
    if (this.#pasts.size > segmentsMax) {
      for (const [oldest, { going }] of this.#pasts) {
        if (going.size > 0) continue
        this.#pasts.delete(oldest)
        break
      }
    }
    return past
  }
}

function overlap(a: BlockRange, b: BlockRange): boolean {
  return a.start < b.start + b.blocks && b.start < a.start + a.blocks
}

function dropFirst<K, V>(map: Map<K, V>): void {
  for (const key of map.keys()) {
    map.delete(key)
    return
  }
}
