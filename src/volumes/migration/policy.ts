import type { Facts, NodeId } from '../../base/index.js'
import { formatDuration, formatSize } from '../../base/index.js'
import type { Place, PlaceHeat } from '../../heat/index.js'
import type { MigrationSettings } from './settings.js'
import type { MigrationDecision, MigrationView, StayReason } from './types.js'

/**
 * Whether a range moves to whoever writes to it from afar. Pure.
 *
 * Intuition: a lease at the wrong place costs a round trip a write, a move costs some round trips once. So if one place
 * alone writes, the range goes there after a few slow writes, the sooner the slower they are (the bet of renting skis
 * until they could have been bought). If several write, whatever one gains another loses, and the range moves only if all
 * of them together are clearly better off; then it stays there for a while.
 *
 * Assumes that the near future is like the near past: the window's writes, weighted by age.
 *
 * Road not taken: the asker decides and takes. Two askers would take in turns, each with good reasons; the holder sees
 * everybody's writes.
 */
export function decideMigration(view: MigrationView, settings: MigrationSettings): MigrationDecision {
  const { asker, holder, heat } = view
  if (asker.node === holder.node) return stay('OWN', 'the asker holds it already')
  const own = heat.find(({ place }) => place.node === asker.node)
  // The access that asks is one of them: something must have come before it.
  if (own === undefined || own.slowWrites < 2) return stay('ONE_OFF', `this is the first write from ${name(asker)}; a single one moves nothing`)
  const others = heat.filter((one) => one !== own && one.writes >= presenceMin)
  const alone = others.every(({ place }) => place.region === asker.region && place.node !== holder.node)
  return alone ? forOne(view, settings, own) : forSeveral(view, settings, own, [own, ...others])
}

/**
 * Blocks that were cut out of a larger range bring along their share of its writes. Less than one write probably was
 * none.
 */
const presenceMin = 1

/** Nobody else wrote here within the window. */
function forOne(view: MigrationView, settings: MigrationSettings, own: PlaceHeat): MigrationDecision {
  const slowMs = own.slowLatencyMs ?? 0
  const localMs = Math.max(settings.localLatencyMsMin, own.localLatencyMs ?? 0)
  const factor = slowMs / localMs
  const slowWrites = Math.floor(own.slowWrites + 1e-9)
  const steps = view.policy === 'basic' ? settings.basicSteps : settings.adaptiveSteps
  const step = steps.find(({ factor: from }) => factor >= from)
  const wanted = step === undefined ? undefined : Math.ceil(step.slowWrites * reluctance(view, settings))
  const figures: Facts = { policy: view.policy, writers: 1, slowMs: round(slowMs), localMs: round(localMs), factor: round(factor), slowWrites, slowWritesWanted: wanted ?? null }
  if ((view.policy === 'basic' && factor < settings.minLatencyFactor) || wanted === undefined || slowMs <= localMs) {
    return stay('NOT_SLOW', `writes from ${name(view.asker)} take ${ms(slowMs)}, ${times(factor)} as long as local ones`, figures)
  }
  // So many lie behind the one that asks.
  if (slowWrites <= wanted) {
    return stay('TOO_FEW_SLOW_WRITES', `${count(slowWrites, 'slow write')} from ${name(view.asker)} (${ms(slowMs)}, ${times(factor)} as long as local ones); it takes ${String(wanted)} and one more`, figures)
  }
  const held = guarded(view, settings, figures, own.weight * (slowMs - localMs))
  if (held !== undefined) return held
  return {
    type: 'move',
    range: view.range,
    to: view.asker,
    figures,
    explanation: `moves to ${name(view.asker)}: ${count(slowWrites, 'slow write')} from there (${ms(slowMs)}, ${times(factor)} as long as local ones), and none from elsewhere within ${formatDuration(settings.windowMs)}`,
  }
}

interface Candidate {
  readonly place: Place
  /** Weighted average of what a write would take, ms. */
  readonly averageMs: number
}

function forSeveral(view: MigrationView, settings: MigrationSettings, own: PlaceHeat, writers: readonly PlaceHeat[]): MigrationDecision {
  const { holder, asker } = view
  const slowMs = own.slowLatencyMs ?? 0
  const figures: Record<string, Facts[string]> = { policy: view.policy, writers: writers.length, slowMs: round(slowMs) }
  if (slowMs <= settings.ownLatencyMsMin) {
    return stay('NEAR_ENOUGH', `${String(writers.length)} nodes write here, and ${name(asker)} waits ${ms(slowMs)}: up to ${ms(settings.ownLatencyMsMin)} is no reason to take it from the others`, figures)
  }
  const nowMs = averageAt(view, settings, writers, holder.node)
  const best = bestPlace(view, settings, writers)
  // Of the holder and the asker at least it must be known what it would be like there.
  if (nowMs === undefined || best === undefined || averageAt(view, settings, writers, asker.node) === undefined) return stay('DISTANCE_UNKNOWN', `it is not known how far the ${String(writers.length)} nodes that write here are from each other`, figures)
  const ratio = nowMs / best.averageMs
  Object.assign(figures, { nowMs: round(nowMs), bestMs: round(best.averageMs), best: best.place.region, ratio: round(ratio) })
  if (best.place.node === holder.node || ratio <= settings.minImprovementRatio) {
    return stay('NO_IMPROVEMENT', `${String(writers.length)} nodes write here, on average in ${ms(nowMs)}; at the best place (${name(best.place)}) it would be ${ms(best.averageMs)}, ${times(ratio)} better, and ${times(settings.minImprovementRatio)} is wanted`, figures)
  }
  const weight = writers.reduce((sum, one) => sum + one.weight, 0)
  const errors = standardErrors(view, settings, writers, best.place.node)
  Object.assign(figures, { weight: round(weight), standardErrors: round(errors) })
  const starving = isStarving(view, settings)
  // With so few writes even a starving region's need is a guess.
  if (weight < settings.samplesMin || (errors < settings.evidence && !starving)) {
    return stay('HYSTERESIS', `${name(best.place)} would be ${times(ratio)} better for all, but ${count(Math.floor(weight), 'write')} are too little to go by`, figures)
  }
  const wanted = settings.minImprovementRatio * reluctance(view, settings)
  if (ratio <= wanted && !starving) {
    return stay('HYSTERESIS', `it moved ${count(view.recentMoves, 'time')} within ${formatDuration(settings.hysteresisMs)}: another move must make it ${times(wanted)} better, not ${times(ratio)}`, { ...figures, recentMoves: view.recentMoves, ratioWanted: round(wanted) })
  }
  const held = guarded(view, settings, figures, weight * (nowMs - best.averageMs))
  if (held !== undefined) return held
  return {
    type: 'move',
    range: view.range,
    to: best.place,
    figures,
    explanation: `moves to ${name(best.place)}: ${String(writers.length)} nodes write here, on average in ${ms(nowMs)} now and in ${ms(best.averageMs)} then, ${times(ratio)} better${starving ? `; ${name(asker)} has waited for long enough` : ''}`,
  }
}

/**
 * Each move of late multiplies what the next one must bring. Two who take turns at just the wrong pace would else pull the
 * range to and fro, each time after most of a turn was over; like this it comes to rest after a few, and is never much
 * worse than if it had stayed.
 */
function reluctance(view: MigrationView, settings: MigrationSettings): number {
  return settings.hysteresis ** Math.min(view.recentMoves, recentMovesMax)
}

/** 32⁴ writes are never, already. */
const recentMovesMax = 4

/** What a range must pass that would be better elsewhere. `savedMs`: within a window like the last. */
function guarded(view: MigrationView, settings: MigrationSettings, figures: Facts, savedMs: number): MigrationDecision | undefined {
  const restMs = view.movedAtMs === undefined ? 0 : view.movedAtMs + settings.cooldownMs - view.nowMs
  if (restMs > 0) return stay('COOLDOWN', `it would be better elsewhere, but moved a short while ago and rests for another ${formatDuration(Math.ceil(restMs))}`, { ...figures, restMs: Math.ceil(restMs) })
  const carryMs = (view.bytes / settings.bytesPerSecond) * 1000
  if (carryMs > savedMs) {
    return stay('COSTS_MORE', `carrying ${formatSize(view.bytes)} would take ${ms(carryMs)}, and save ${ms(savedMs)}`, { ...figures, bytes: view.bytes, carryMs: round(carryMs), savedMs: round(savedMs) })
  }
  if (view.moving >= settings.maxConcurrentMigrations) {
    return stay('TOO_MANY_MOVES', `${count(view.moving, 'move')} are under way from here, and no more are allowed`, { ...figures, moving: view.moving })
  }
  return undefined
}

/**
 * A region waits from when a move would help everybody but is not made. Who has waited for long, or was refused often,
 * need not overcome hysteresis; a move that makes things worse for all is nobody's turn. Of a range that goes to and fro,
 * turns become rarer too.
 */
function isStarving(view: MigrationView, settings: MigrationSettings): boolean {
  if (view.waitingSinceMs === undefined) return false
  const patience = reluctance(view, settings)
  return view.nowMs - view.waitingSinceMs >= settings.starvationTimeoutMs * patience || view.refusals >= settings.maxConsecutiveOwnership * patience
}

function bestPlace(view: MigrationView, settings: MigrationSettings, writers: readonly PlaceHeat[]): Candidate | undefined {
  const average = (place: Place): Candidate | undefined => {
    const averageMs = averageAt(view, settings, writers, place.node)
    return averageMs === undefined ? undefined : { place, averageMs }
  }
  const least = (places: readonly Place[]): Candidate | undefined =>
    places.map(average).reduce<Candidate | undefined>((a, b) => (a === undefined || (b !== undefined && b.averageMs < a.averageMs) ? b : a), undefined)
  // The holder first: what is no better than it is no better.
  const home = least([view.holder, view.asker, ...writers.map(({ place }) => place)])
  const writing = new Set(writers.map(({ place }) => place.node))
  const third = least(view.others.filter(({ node }) => !writing.has(node) && node !== view.holder.node && node !== view.asker.node))
  return third !== undefined && home !== undefined && third.averageMs * settings.thirdPlaceAdvantage < home.averageMs ? third : home
}

function averageAt(view: MigrationView, settings: MigrationSettings, writers: readonly PlaceHeat[], node: NodeId): number | undefined {
  let total = 0
  let weight = 0
  for (const writer of writers) {
    const cost = costAt(view, settings, writer, node)
    if (cost === undefined) return undefined
    total += writer.weight * cost
    weight += writer.weight
  }
  return weight > 0 ? total / weight : undefined
}

/** What a write of that writer takes while `node` holds the range, ms: there and back, and the write itself. */
function costAt(view: MigrationView, settings: MigrationSettings, writer: PlaceHeat, node: NodeId): number | undefined {
  const localMs = settings.localLatencyMsMin
  if (writer.place.node === node) return localMs
  const rttMs = view.rttMs(writer.place.node, node)
  if (rttMs !== undefined) return rttMs + localMs
  // Writes between the two are a measurement too, whichever way they went.
  if (node === view.holder.node) return writer.slowLatencyMs
  return writer.place.node === view.holder.node ? view.heat.find(({ place }) => place.node === node)?.slowLatencyMs : undefined
}

/** How many standard errors the average benefit of a write is above nothing. */
function standardErrors(view: MigrationView, settings: MigrationSettings, writers: readonly PlaceHeat[], node: NodeId): number {
  const benefits = writers.map((writer) => ({
    weight: writer.weight,
    value: (costAt(view, settings, writer, view.holder.node) ?? 0) - (costAt(view, settings, writer, node) ?? 0),
  }))
  const weight = benefits.reduce((sum, one) => sum + one.weight, 0)
  const mean = benefits.reduce((sum, one) => sum + one.weight * one.value, 0) / weight
  const variance = benefits.reduce((sum, one) => sum + one.weight * (one.value - mean) ** 2, 0) / weight
  return variance === 0 ? (mean > 0 ? certain : 0) : mean / Math.sqrt(variance / weight)
}

/** Not infinite: figures go into JSON. */
const certain = 1e6

function stay(reason: StayReason, explanation: string, figures: Facts = {}): MigrationDecision {
  return { type: 'stay', reason, explanation, figures }
}

function name({ region, node }: Place): string {
  return region === '' ? node.slice(-8) : region
}

function round(value: number): number {
  return Math.round(value * 100) / 100
}

function ms(value: number): string {
  return `${value < 10 ? String(round(value)) : String(Math.round(value))} ms`
}

function times(value: number): string {
  return `${value < 10 ? String(Math.round(value * 10) / 10) : String(Math.round(value))} times`
}

function count(number: number, what: string): string {
  return `${String(number)} ${what}${number === 1 ? '' : 's'}`
}
