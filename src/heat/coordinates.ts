import type { NodeId, Random } from '../base/index.js'

/**
 * Network coordinates: a point for each node, such that the distance of two points is about the round trip of the two
 * nodes, learnt from the round trips that nodes happen to measure (Dabek, Cox, Kaashoek, Morris: "Vivaldi: A
 * Decentralized Network Coordinate System", SIGCOMM 2004). Think of springs between nodes, each as long as it should be:
 * every measurement pulls this node a little along one of them.
 *
 * With a height (section 5.4): what a packet spends on the access link of a node (a household's line) is added at both
 * ends and is no distance between places.
 *
 * Assumes that round trips are about symmetric, and nearly a metric. Where they are not, guesses are off by some tens of
 * percent, which is enough to tell which of three cities is in the middle.
 *
 * Road not taken: measuring every pair. A thousand nodes are half a million pairs.
 */
export interface Coordinate {
  /** Milliseconds of round trip. */
  readonly position: readonly number[]
  /** Milliseconds that this node's access link adds. */
  readonly height: number
  /** How far off its guesses were lately, as a share of the truth: 1 at the start. */
  readonly error: number
}

/** Two dimensions and a height predict as well as five without, by the paper's figures. */
export const dimensions = 2
/** How far one measurement moves us, and how fast the error follows: the paper's 0.25 for both. */
const stepShare = 0.25
const errorShare = 0.25
/** A height of nothing could never grow. */
const heightMin = 0.1
const errorMin = 0.01
const errorMax = 1
/** Half a minute: more is no round trip but a broken clock. */
export const coordinateMsMax = 30_000

export const originCoordinate: Coordinate = { position: [0, 0], height: heightMin, error: errorMax }

/** Round trip between two points, ms. */
export function distanceMs(a: Coordinate, b: Coordinate): number {
  return length(difference(a.position, b.position)) + a.height + b.height
}

/** Where a node is after it measured `rttMs` to another. The arguments are the node's own coordinate and the other's. */
export function moved(own: Coordinate, other: Coordinate, rttMs: number, random: Random): Coordinate {
  if (!(rttMs > 0) || rttMs > coordinateMsMax) return own
  const guessMs = distanceMs(own, other)
  // Who is sure of itself moves little for one who is not.
  const trust = own.error / Math.max(1e-9, own.error + other.error)
  const miss = Math.abs(guessMs - rttMs) / rttMs
  const weight = errorShare * trust
  const error = clamp(miss * weight + own.error * (1 - weight), errorMin, errorMax)
  const force = stepShare * trust * (rttMs - guessMs)
  const apart = difference(own.position, other.position)
  const far = length(apart)
  // Two nodes at one point: any direction will do, as long as it is not the same one. Else along the spring, of which the
  // two heights are a part.
  const along = far > 1e-6 ? apart.map((value) => value / guessMs) : unitVector(random)
  const position = own.position.map((value, i) => clamp(value + force * (along[i] ?? 0), -coordinateMsMax, coordinateMsMax))
  const height = far > 1e-6 ? clamp(own.height + (force * (own.height + other.height)) / guessMs, heightMin, coordinateMsMax) : own.height
  return { position, height, error }
}

export function isCoordinate(value: Coordinate): boolean {
  return (
    value.position.length === dimensions &&
    value.position.every((one) => Number.isFinite(one) && Math.abs(one) <= coordinateMsMax) &&
    Number.isFinite(value.height) && value.height >= 0 && value.height <= coordinateMsMax &&
    Number.isFinite(value.error) && value.error >= 0 && value.error <= errorMax
  )
}

function difference(a: readonly number[], b: readonly number[]): number[] {
  return a.map((value, i) => value - (b[i] ?? 0))
}

function length(vector: readonly number[]): number {
  return Math.hypot(...vector)
}

function unitVector(random: Random): number[] {
  const angle = random.float() * 2 * Math.PI
  return [Math.cos(angle), Math.sin(angle)]
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value))
}

/** A node's guess worse than this says nothing. */
const usefulErrorMax = 0.6

/**
 * Distances between nodes, as this node knows them. A pair's own measurement (ours, or one that either of the two tells
 * of) goes before a guess from coordinates.
 */
export class Distances {
  readonly #self: NodeId
  readonly #measured: (peer: NodeId) => number | undefined
  readonly #told: (node: NodeId) => { coordinate: Coordinate; rttMs: (other: NodeId) => number | undefined } | undefined
  readonly #random: Random
  #own: Coordinate = originCoordinate

  constructor(
    components: { measured: (peer: NodeId) => number | undefined; told: (node: NodeId) => { coordinate: Coordinate; rttMs: (other: NodeId) => number | undefined } | undefined; random: Random },
    init: { self: NodeId },
  ) {
    this.#measured = components.measured
    this.#told = components.told
    this.#random = components.random
    this.#self = init.self
  }

  get own(): Coordinate {
    return this.#own
  }

  /** A look at one neighbour: moves our own coordinate if both its coordinate and the round trip to it are known. */
  learn(peer: NodeId): void {
    const rttMs = this.#measured(peer)
    const told = this.#told(peer)
    if (rttMs !== undefined && told !== undefined) this.#own = moved(this.#own, told.coordinate, rttMs, this.#random)
  }

  between(a: NodeId, b: NodeId): number | undefined {
    if (a === b) return 0
    if (a === this.#self) return this.#from(b)
    if (b === this.#self) return this.#from(a)
    const [one, other] = [this.#told(a), this.#told(b)]
    const told = [one?.rttMs(b), other?.rttMs(a)].filter((value) => value !== undefined)
    if (told.length > 0) return told.reduce((sum, value) => sum + value, 0) / told.length
    return one === undefined || other === undefined ? undefined : guess(one.coordinate, other.coordinate)
  }

  #from(peer: NodeId): number | undefined {
    const told = this.#told(peer)
    return this.#measured(peer) ?? told?.rttMs(this.#self) ?? (told === undefined ? undefined : guess(this.#own, told.coordinate))
  }
}

function guess(a: Coordinate, b: Coordinate): number | undefined {
  return a.error > usefulErrorMax || b.error > usefulErrorMax ? undefined : distanceMs(a, b)
}
