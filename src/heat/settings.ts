/** Each a default with its because. */
export interface HeatSettings {
  /** How far back accesses count. */
  readonly windowMs: number
  /** An access that is this old weighs 1/e. */
  readonly decayMs: number
  /** Ranges kept of all volumes; some 300 bytes each. The segments used longest ago go first. */
  readonly rangesMax: number
  /** Ranges of one segment: as many as its register holds, so that heat is as fine as what can be moved. */
  readonly rangesPerSegmentMax: number
  /** Nodes told apart in one range; the lightest gives way. */
  readonly placesPerRangeMax: number
  /** News are sent this often for each member: 3 messages a second in the whole mesh, however large it is. */
  readonly newsPerMemberMs: number
  readonly newsMsMin: number
  readonly newsMsMax: number
  /** A node through which no volume is used tells so seldom, unless it has new neighbours. A fifth of the window: loss does no harm. */
  readonly newsMsAtRest: number
  /** Hottest ranges told to others: with the rest of the message, 16 KiB at most. */
  readonly newsRangesMax: number
}

export const defaultHeatSettings: HeatSettings = {
  windowMs: 300_000,
  decayMs: 300_000,
  rangesMax: 8_192,
  rangesPerSegmentMax: 64,
  placesPerRangeMax: 8,
  newsPerMemberMs: 300,
  newsMsMin: 5_000,
  newsMsMax: 120_000,
  newsMsAtRest: 60_000,
  newsRangesMax: 128,
}
