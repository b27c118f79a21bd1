/** From `factor` times slower on, a range moves after `slowWrites` slow writes. */
export interface Step {
  readonly factor: number
  readonly slowWrites: number
}

/** Each a default with its because. */
export interface MigrationSettings {
  /**
   * One writer, adaptive: the slower, the sooner. At 50 times (200 ms for 1) somebody is waiting at a keyboard; at less
   * than twice nobody notices. Steepest first.
   */
  readonly adaptiveSteps: readonly Step[]
  readonly basicSteps: readonly Step[]
  /** Basic: below this a range never moves. */
  readonly minLatencyFactor: number
  /** What a local write is taken to last at least, ms: a fast disk must not make every LAN look like an ocean. */
  readonly localLatencyMsMin: number
  /** Several writers: average latency now against that at the best place. */
  readonly minImprovementRatio: number
  /** Several writers: who waits no longer than this does not ask. */
  readonly ownLatencyMsMin: number
  /** A third place must beat the best writer's own by so much: it is nobody's home. */
  readonly thirdPlaceAdvantage: number
  /** After a move, of the range or a part of it. */
  readonly cooldownMs: number
  /** Each move within `hysteresisMs` multiplies what the next one must bring by this. */
  readonly hysteresis: number
  /** Long against the window, so that turns of some minutes are seen to be turns; short against a working day. */
  readonly hysteresisMs: number
  /** Several writers: the benefit must be this many standard errors above nothing, and so many writes old. */
  readonly evidence: number
  readonly samplesMin: number
  /** Refusals in a row, or time, after which a region that would be better served no longer has to overcome hysteresis. */
  readonly maxConsecutiveOwnership: number
  readonly starvationTimeoutMs: number
  readonly maxConcurrentMigrations: number
  /** What a move is taken to carry a second: a home's uplink. */
  readonly bytesPerSecond: number
  /** How far back accesses count; the same as heat's. */
  readonly windowMs: number
}

export const defaultMigrationSettings: MigrationSettings = {
  adaptiveSteps: [{ factor: 50, slowWrites: 1 }, { factor: 10, slowWrites: 2 }, { factor: 5, slowWrites: 3 }, { factor: 2, slowWrites: 5 }, { factor: 0, slowWrites: 10 }],
  basicSteps: [{ factor: 10, slowWrites: 3 }, { factor: 5, slowWrites: 5 }, { factor: 0, slowWrites: 10 }],
  minLatencyFactor: 2,
  localLatencyMsMin: 1,
  minImprovementRatio: 1.5,
  ownLatencyMsMin: 100,
  thirdPlaceAdvantage: 1.1,
  cooldownMs: 30_000,
  // The least with which two who take turns of any length lose under a tenth against the best single place.
  hysteresis: 32,
  hysteresisMs: 2_700_000,
  evidence: 3,
  samplesMin: 10,
  maxConsecutiveOwnership: 100,
  starvationTimeoutMs: 60_000,
  maxConcurrentMigrations: 100,
  bytesPerSecond: 10e6,
  windowMs: 300_000,
}
