import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import type { Ballot } from '../../../src/consensus/ballot.js'
import type { BaseChunk } from '../../../src/consensus/base.js'
import { timingDefaults } from '../../../src/consensus/clocks.js'
import type { ConfigRecord } from '../../../src/consensus/config.js'
import { Synced } from '../../../src/consensus/durable.js'
import type { Change } from '../../../src/consensus/durable.js'
import type { ReplyBody, RequestBody } from '../../../src/consensus/messages.js'
import { revocationKey } from '../../../src/consensus/revocation.js'
import type { Snapshot } from '../../../src/consensus/snapshot.js'
import { noBytes } from '../../../src/consensus/value.js'
import type { Accepted } from '../../../src/consensus/value.js'
import { Voter, voterStateEmpty } from '../../../src/consensus/voter/voter.js'
import { authorityProof, simulatedHash, simulatedHashOfChunk, simulatedSeals } from './seals.js'

const incarnation = '11'.repeat(8)
const now = { hrtimeMs: 1000, uptimeMs: 1000, wallMs: 1000 }
const sender = { node: 'n9' as NodeId, incarnation: '99'.repeat(8), epoch: 1 }
const holder = { node: 'n2' as NodeId, incarnation: '22'.repeat(8), epoch: 1 }
const ballot = (round: number): Ballot => ({ config: 0, round: 2 ** 32 + round, ...sender })
const one = { node: 'n1' as NodeId, incarnation }

/** A voter that is all of configuration 0, asked without a network. */
class Asked {
  readonly changes: Change[] = []
  readonly #voter = new Voter({ seals: simulatedSeals('n1'), hashOf: simulatedHash, hashOfChunk: simulatedHashOfChunk }, {
    ...one, start: '00'.repeat(16), timing: timingDefaults, clockKind: 'sleep-blind', now,
    state: { ...voterStateEmpty, record: { config: 0, floor: 0 }, chain: [{ number: 0, members: [one], hash: '', proof: authorityProof }] },
  })
  #counter = 0

  ask(body: RequestBody): ReplyBody {
    const nonce = { start: 'aa'.repeat(16), counter: ++this.#counter }
    const reply = this.#voter.handle({ config: 0, incarnation, nonce, sender, seen: { start: '', sequence: 0 }, body }, now)
    this.changes.push(...this.#voter.takeBatch()?.changes ?? [])
    return reply.release(new Synced(Infinity)).body
  }

  copy(round: number, chunk: BaseChunk): void {
    assert.equal(this.ask({ kind: 'base', ballot: ballot(round), index: 0, chunk }).kind, 'based')
  }

  /** Stages and accepts it; what the next configuration is then, for whom. */
  decide(snapshot: Snapshot, members: ConfigRecord['members']): ConfigRecord {
    const decree = { members, hash: simulatedHash(snapshot) }
    assert.equal(this.ask({ kind: 'stage', hash: decree.hash, snapshot }).kind, 'done')
    const reply = this.ask({ kind: 'decree-accept', ballot: ballot(9), decree })
    assert.ok(reply.kind === 'decree-accepted')
    return { number: 1, ...decree, proof: { kind: 'voters', ballot: ballot(9), signatures: [{ node: 'n1', signature: reply.signature }] } }
  }
}

describe('a voter and its bases', () => {
  const accepted: Accepted = { ballot: ballot(1), value: { holder, token: 5, op: 'x', payload: noBytes } }
  const chunk: BaseChunk = { config: 0, registers: [['s', accepted]], dropped: [] }
  const base = simulatedHashOfChunk('', chunk)

  it('that votes no more keeps the snapshot of the decree, though its base was copied twice', () => {
    const voter = new Asked()
    voter.copy(1, chunk)
    voter.ask({ kind: 'seal', members: [holder], base })
    const snapshot: Snapshot = { registers: [], sessions: [], revocations: [], floor: 0, base }
    const record = voter.decide(snapshot, [{ node: holder.node, incarnation: holder.incarnation }])
    voter.copy(2, chunk)
    assert.deepEqual(voter.ask({ kind: 'activate', chain: [record] }), { kind: 'activated', config: -1 })
    assert.deepEqual(voter.ask({ kind: 'fetch', hash: record.hash }), { kind: 'fetched', snapshot })
  })

  it('forgets revocations that the tokens in the base are above, and keeps the others', () => {
    const voter = new Asked()
    voter.copy(1, chunk)
    voter.ask({ kind: 'seal', members: [one], base })
    const revocation = (scope: string, token: number, acknowledged: boolean): Snapshot['revocations'][number] => ({ revocation: { scope, target: holder, token }, acknowledged })
    const over = revocation('s', 4, true)
    const kept = [revocation('s', 3, false), revocation('s', 5, true), revocation('t', 1, true)]
    const snapshot: Snapshot = { registers: [], sessions: [], revocations: [over, ...kept], floor: 0, base }
    const next = voter.decide(snapshot, [one])
    assert.deepEqual(voter.ask({ kind: 'activate', chain: [next] }), { kind: 'activated', config: 1 })
    const [replaced] = voter.changes.flatMap((change) => (change.kind === 'replace' ? [change.snapshot.revocations] : []))
    assert.deepEqual(replaced?.map((record) => revocationKey(record.revocation)).sort(), kept.map((record) => revocationKey(record.revocation)).sort())
  })
})
