import type { NodeId, Rpc, Signer } from '../../base/index.js'
import type { ConfigRecord } from '../config.js'
import type { ReplyBody, RequestBody } from '../messages.js'
import { majorityOf } from '../quorum.js'
import { recoveryTokenJump } from '../rounds/memory.js'
import { recoveryConfig } from '../seals.js'
import type { Snapshot } from '../snapshot.js'
import { mergeSnapshots } from '../snapshot.js'
import type { VoterId } from '../types.js'
import { ConsensusError, sameVoter } from '../types.js'

/**
 * Round 11, the second half: a majority of the voters is lost for good. No round can tell any more what it had chosen, so
 * this is no round but the authority's word: a configuration far above all that the lost ones may have decided, with this
 * node as its only voter, that starts from whatever those who are left know. What keeps it from doing harm:
 *
 * - The voters that are left are sealed first, so nothing is chosen behind our back with one that was thought lost.
 * - Every token from here on is above the highest that anybody reachable has seen, by 2³²: more than the lost voters can
 *   have given out unseen. So a holder by their word, or a frozen one, is refused by whoever compares tokens.
 * - Every node that learns of it drops what it holds and begins a new epoch (`Node.learn`): of two nodes that each held a
 *   scope by what different voters knew, neither goes on.
 *
 * If the "lost" majority lives on somewhere, out of reach, it grants leases there until it hears of this: then two can
 * hold one scope, and only tokens tell them apart. That is why it takes the authority's key and a `--force`.
 */
export interface RecoveryParts {
  readonly self: VoterId
  readonly chain: readonly ConfigRecord[]
  readonly rpc: Rpc
  /** Connected now. */
  readonly peers: readonly NodeId[]
  /** What this node knows. */
  readonly tokenMax: number
  /** Asks once; what is answered within a try. */
  readonly poll: <T>(voters: readonly VoterId[], body: RequestBody, pick: (reply: ReplyBody, voter: VoterId) => T | undefined) => Promise<T[]>
  readonly learn: (record: ConfigRecord) => void
}

export interface RecoveryReport {
  /** Of the configuration, as it was or as it is now. */
  readonly epoch: number
  readonly lost: readonly NodeId[]
  readonly reached: readonly NodeId[]
  /** All tokens from here on are above; 0 without `force`. */
  readonly floor: number
}

/** Of one peer, for a number. */
const askMs = 2000

/** Throws NOT_RECONFIGURED if a majority answers. Without `force` it only says what is lost. */
export async function recover(parts: RecoveryParts, authority: Signer, options: { force: boolean }): Promise<RecoveryReport> {
  const last = parts.chain[parts.chain.length - 1]
  if (last === undefined) throw new ConsensusError('NO_SESSION', 'this node knows no configuration')
  const found = await parts.poll(last.members.map(({ node }) => ({ node, incarnation: '' })), { kind: 'probe' }, (_reply, voter) => voter)
  const left = last.members.filter((member) => found.some((voter) => sameVoter(voter, member)))
  const lost = last.members.filter((member) => !left.includes(member))
  if (left.length >= majorityOf(last.members.length)) {
    throw new ConsensusError('NOT_RECONFIGURED', `${String(left.length)} of ${String(last.members.length)} voters answer, which is a majority: nothing is lost`, { voters: last.members.length, answered: left.length })
  }
  const report = { lost: lost.map(({ node }) => node), reached: left.map(({ node }) => node) }
  if (!options.force) return { ...report, epoch: last.number, floor: 0 }
  const sealed = await parts.poll(left, { kind: 'seal', members: [parts.self] }, (reply, voter) => (reply.kind === 'done' ? voter : undefined))
  const known = await parts.poll(sealed, { kind: 'snapshot' }, (reply) => (reply.kind === 'snapshot' ? reply.snapshot : undefined))
  if (known.length < left.length) throw new ConsensusError('NOT_RECONFIGURED', 'a voter that is left did not tell what it knows; try again', { left: left.length, told: known.length })
  const snapshot = await raised(mergeSnapshots(known, () => false), parts)
  const record = recoveryConfig(authority, last, [parts.self], snapshot)
  // First the voter, with all that it starts from, on disk; only then is anybody told that it votes.
  const chain = [...parts.chain, record]
  const active = await parts.poll([parts.self], { kind: 'activate', chain, snapshot }, (reply) => (reply.kind === 'activated' && reply.config === record.number ? true : undefined))
  if (active.length === 0) throw new ConsensusError('NOT_RECONFIGURED', 'this node\'s own voter did not begin; try again', {})
  parts.learn(record)
  return { ...report, epoch: record.number, floor: snapshot.floor }
}

async function raised(snapshot: Snapshot, { peers, rpc, tokenMax }: RecoveryParts): Promise<Snapshot> {
  let highest = Math.max(tokenMax, snapshot.floor)
  for (const [, { value }] of snapshot.registers) highest = Math.max(highest, value.token)
  await Promise.all(peers.map(async (peer) => {
    const answer = await rpc.request(peer, 'lease.token-max', new Uint8Array(0), { deadlineMs: askMs }).catch(() => undefined)
    if (answer !== undefined) highest = Math.max(highest, decodeTokenMax(answer))
  }))
  return { ...snapshot, floor: highest + recoveryTokenJump }
}

/** Offset 0, 8 bytes: the number, big-endian. Its own frame: nothing else travels with it. */
export const tokenMaxBytes = 8

export function encodeTokenMax(token: number): Uint8Array {
  const bytes = Buffer.alloc(tokenMaxBytes)
  bytes.writeBigUInt64BE(BigInt(token))
  return bytes
}

/** 0 for what is no such number: a peer that answers nonsense must not decide how high tokens go. */
export function decodeTokenMax(bytes: Uint8Array): number {
  if (bytes.length !== tokenMaxBytes) return 0
  const token = Number(Buffer.from(bytes).readBigUInt64BE())
  // Half of what a number holds exactly: enough for 2²⁰ recoveries above it.
  return token <= Number.MAX_SAFE_INTEGER / 2 ? token : 0
}
