import type { Random } from '../base/index.js'
import type { Appointment } from './agenda.js'
import type { Ballot } from './ballot.js'
import type { Readings, Timing } from './clocks.js'
import type { ConfigRecord } from './config.js'
import type { ReplyBody, RequestBody } from './messages.js'
import type { NextPromise } from './round.js'
import type { SessionId, VoterId } from './types.js'

/** Requests that wait for replies. Cancelled, none of their replies counts any more. */
export interface Asked {
  cancel(): void
}

/** What the rounds see of the node they run on. `now` is that of the input being handled. */
export interface Context {
  readonly random: Random
  readonly timing: Timing
  readonly now: Readings
  readonly session: SessionId
  readonly config: ConfigRecord
  /**
   * One request to each; every one has a nonce of its own, and `heard` is called once per voter at most. `config`: the
   * configuration that is meant, if not the newest known.
   */
  ask(voters: readonly VoterId[], body: RequestBody | ((voter: VoterId) => RequestBody), heard: (voter: VoterId, reply: ReplyBody) => void, config?: number): Asked
  /** On this node's monotonic clock. */
  after(delayMs: number, run: () => void): Appointment
  /** Once, soon after this node has learnt of the configuration after the newest that it knows now. */
  onceReconfigured(run: () => void): Appointment
  /** A ballot above all that this node has used or seen. Never twice the same. */
  nextBallot(): Ballot
  /** Rounds must start above what others were promised. */
  sawBallot(ballot: Ballot): void
  /** The highest token of what compaction dropped, as far as a voter of this configuration has told: new ones start above. */
  readonly floor: number
  sawFloor(floor: number): void
  /** Whether every voter has answered something lately: only then is it worth a try to have all of them accept. */
  doAllAnswer(): boolean
  takeNextPromise(scope: string): NextPromise | undefined
  putNextPromise(scope: string, promise: NextPromise): void
}
