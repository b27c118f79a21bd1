/**
 * Who holds what: registers that a majority of voters agrees on, one per scope, and this node's session with the voters.
 * The core (everything outside `driver/`) is pure: input in, effects out, time and chance are arguments; the simulator in
 * `test/simulation/consensus` runs it as it is. `driver/` gives it a disk, an rpc and one timer.
 *
 * ```ts
 * const consensus = createConsensus(
 *   { store: store.meta('lease-registers'), memoryFile: new SlottedMemoryFile({ path: join(home, 'voter.seq') }), rpc, connections, clock, random, log,
 *     seals: createSeals(signer, authority) },
 *   { clockKind: process.platform === 'darwin' ? 'sleep-aware' : 'sleep-blind', readings, chain: [configuration0] })
 * void consensus.run(signal)
 * const lease = await consensus.acquire('file:/a')       // a Value with its token, or HELD
 * if (consensus.mayAct('file:/a') === lease.token) write() // and ask once more before telling anybody
 * ```
 *
 * Where to start reading: `ballot.ts`, `voter/registers.ts`, `round.ts`, then `rounds/` in the order of their numbers.
 */
import { Consensus } from './driver/service.js'
import type { ConsensusComponents, ConsensusInit } from './driver/parts.js'

export { ConsensusError, sameSession } from './types.js'
export type { ConsensusCode, SessionId, VoterId } from './types.js'
export { isHeldBy, noBytes } from './value.js'
export type { Value } from './value.js'
export type { Ballot } from './ballot.js'
export { elapsedAtLeastMs, elapsedAtMostMs, holderMsMax, quantumMsUsual, safeVoterMs, timingDefaults } from './clocks.js'
export type { ClockKind, Readings, Timing } from './clocks.js'
export type { ConfigProof, ConfigRecord, ConfigSeals } from './config.js'
export { decodeConfigRecord, encodeConfigRecord } from './config-bytes.js'
export type { HandOffWish } from './messages.js'
export type { ChangeFunction, Proposal, Reading } from './round.js'
export type { LossReason } from './node.js'
export { createSeals, firstConfig, hashOfSnapshot } from './seals.js'
export { Consensus } from './driver/service.js'
export type { ConsensusComponents, ConsensusEvents, ConsensusInit } from './driver/parts.js'
export type { CallLimits } from './driver/service.js'
export { HeldError } from './driver/outcomes.js'
export { foundVoters } from './driver/founding.js'
export type { FirstVoterComponents } from './driver/founding.js'
export type { RecoveryReport } from './driver/recovery.js'
export { SlottedMemoryFile } from './driver/memory-file.js'
export type { MemoryFile } from './driver/memory-file.js'
export { planVoters } from './driver/voter-plan.js'
export type { VoterCandidate, VoterPlanInit } from './driver/voter-plan.js'
export { VoterKeeper } from './driver/voter-keeper.js'
export type { VoterKeeperComponents, VoterKeeperInit, VoterList } from './driver/voter-keeper.js'

/** Nothing starts before `run`. */
export function createConsensus(components: ConsensusComponents, init: ConsensusInit): Consensus {
  return new Consensus(components, init)
}
