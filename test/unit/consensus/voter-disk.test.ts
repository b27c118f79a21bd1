import assert from 'node:assert/strict'
import { createSigner } from '../../../src/base/index.js'
import type { Ballot } from '../../../src/consensus/ballot.js'
import { openingRoundsEnd } from '../../../src/consensus/ballot.js'
import type { BaseChunk } from '../../../src/consensus/base.js'
import { timingDefaults } from '../../../src/consensus/clocks.js'
import type { ConfigRecord, Decree } from '../../../src/consensus/config.js'
import { VoterDisk } from '../../../src/consensus/driver/voter-disk.js'
import { Synced } from '../../../src/consensus/durable.js'
import type { Reply, RequestBody } from '../../../src/consensus/messages.js'
import { createSeals, firstConfig, hashOfChunk, hashOfSnapshot } from '../../../src/consensus/seals.js'
import type { Snapshot } from '../../../src/consensus/snapshot.js'
import type { Value } from '../../../src/consensus/value.js'
import { CompactTable } from '../../../src/consensus/voter/compact-table.js'
import { Voter } from '../../../src/consensus/voter/voter.js'
import { MemoryKeyValue } from '../catalog/memory-key-value.js'

const signer = createSigner(new Uint8Array(32).fill(1))
const authority = createSigner(new Uint8Array(32).fill(2))
const incarnation = 'ab'.repeat(16)
const session = { node: signer.nodeId, incarnation, epoch: 1 }
const nonceStart = 'cd'.repeat(16)

/** A voter with a real disk under it, that is started anew from the disk before every request. */
class Restarted {
  readonly store = new MemoryKeyValue()
  readonly #seals = createSeals(signer, authority.nodeId)
  #counter = 0
  #nowMs = 0
  #disk = new VoterDisk({ store: this.store })
  voter: Voter | undefined

  async start(): Promise<Voter> {
    const disk = (this.#disk = new VoterDisk({ store: this.store }))
    const table = new CompactTable()
    const state = await disk.load(table)
    assert.ok(state !== undefined)
    while (await disk.sweep());
    // Each start a minute later: a base that a crash left behind is not one whose copying goes on.
    this.#nowMs += 60_000
    const now = { hrtimeMs: this.#nowMs, uptimeMs: this.#nowMs, wallMs: this.#nowMs }
    const start = Buffer.from(String(this.#nowMs).padStart(16, '0')).toString('hex')
    this.voter = new Voter({ seals: this.#seals, hashOf: hashOfSnapshot, hashOfChunk, table, newTable: () => new CompactTable() }, { node: signer.nodeId, incarnation, start, timing: timingDefaults, clockKind: 'sleep-blind', state, now })
    return this.voter
  }

  async ask(config: number, body: RequestBody, anew = true): Promise<Reply['body']> {
    const voter = anew || this.voter === undefined ? await this.start() : this.voter
    const disk = this.#disk
    const now = { hrtimeMs: this.#nowMs, uptimeMs: this.#nowMs, wallMs: this.#nowMs }
    const request = { config, incarnation, nonce: { start: nonceStart, counter: ++this.#counter }, sender: session, seen: { start: '', sequence: 0 }, body }
    const row = voter.rowOf(request)
    const reply = voter.handle(request, now, row === undefined ? undefined : await disk.chunk(row))
    for (let batch = voter.takeBatch(); batch !== undefined; batch = voter.takeBatch()) {
      await disk.prepare(batch, incarnation)
      await disk.flush()
    }
    while (await disk.sweep());
    return reply.release(new Synced(Infinity)).body
  }
}

const ballot = (config: number, round: number): Ballot => ({ config, round: openingRoundsEnd + round, ...session })
const value = (token: number, isHeld = true): Value => ({ holder: isHeld ? session : null, token, op: `op ${token}`, payload: new Uint8Array(0) })

describe('a voter that is started anew at every step', () => {
  it('keeps its base, what is above it, the decree, and begins the next configuration with all of it', async () => {
    const voter = new Restarted()
    const first = firstConfig(authority, { node: signer.nodeId, incarnation })
    let round = 0
    const accept = async (config: number, scope: string, of: Value): Promise<void> => {
      const body = await voter.ask(config, { kind: 'accept', scope, ballot: ballot(config, ++round), value: of, changed: false })
      assert.equal(body.kind, 'accepted')
    }
    assert.equal((await voter.ask(0, { kind: 'activate', chain: [first] })).kind, 'activated')
    for (const scope of ['a', 'b', 'c', 'd']) await accept(0, scope, value(1))
    await accept(0, 'free', value(7, false))

    // Two configurations in a row, each on a base of the one before.
    let chain: readonly ConfigRecord[] = [first]
    for (const config of [0, 1]) {
      const page = await voter.ask(config, { kind: 'rows', after: '', limit: 100 })
      if (page.kind !== 'page') throw new Error(page.kind)
      const rows = page.entries
      const chunks: BaseChunk[] = [
        { config, registers: rows.slice(0, 2), dropped: [], through: rows[1]![0] },
        { config, registers: rows.slice(2).filter(([scope]) => scope !== 'free'), dropped: rows.filter(([scope]) => scope === 'free') },
      ]
      let hash = ''
      const copy = ballot(config, ++round)
      for (const [index, chunk] of chunks.entries()) {
        // A start drops what no seal names yet, so these are given to one process.
        const body = await voter.ask(config, { kind: 'base', ballot: copy, index, chunk }, index === 0)
        assert.equal(body.kind, 'based')
        // And twice.
        assert.equal((await voter.ask(config, { kind: 'base', ballot: copy, index, chunk }, false)).kind, 'based')
        hash = hashOfChunk(hash, chunk)
      }
      // Released, after it was copied.
      const sealedFor = [{ node: signer.nodeId, incarnation }]
      const release = await voter.ask(config, { kind: 'accept', scope: 'b', ballot: ballot(config, ++round), value: value(config + 1, false), changed: false }, false)
      assert.equal(release.kind, 'accepted')
      assert.equal((await voter.ask(config, { kind: 'seal', members: sealedFor, base: hash }, false)).kind, 'done')

      assert.deepEqual(await voter.ask(config, { kind: 'snapshot', base: 'another' }), { kind: 'refused', why: { code: 'unknown-base' } })
      const told = await voter.ask(config, { kind: 'snapshot', base: hash })
      if (told.kind !== 'snapshot') throw new Error(JSON.stringify(told))
      assert.deepEqual(told.snapshot.registers.map(([scope, accepted]) => [scope, accepted.value.token, accepted.value.holder]), [['b', config + 1, null]])
      assert.equal(told.snapshot.floor, 7 + config)
      const whole = await voter.ask(config, { kind: 'snapshot' })
      if (whole.kind !== 'snapshot') throw new Error(whole.kind)

      const snapshot: Snapshot = told.snapshot
      const decree: Decree = { members: sealedFor, hash: hashOfSnapshot(snapshot) }
      const by = ballot(config, ++round)
      assert.equal((await voter.ask(config, { kind: 'decree-prepare', ballot: by })).kind, 'decree-promise')
      assert.deepEqual(await voter.ask(config, { kind: 'stage', hash: hashOfSnapshot({ ...snapshot, base: 'another' }), snapshot: { ...snapshot, base: 'another' } }), { kind: 'refused', why: { code: 'unknown-base' } })
      assert.equal((await voter.ask(config, { kind: 'stage', hash: decree.hash, snapshot })).kind, 'done')
      const signed = await voter.ask(config, { kind: 'decree-accept', ballot: by, decree })
      if (signed.kind !== 'decree-accepted') throw new Error(JSON.stringify(signed))
      // Another's base beside it: what was accepted is still there.
      assert.equal((await voter.ask(config, { kind: 'base', ballot: ballot(config, ++round), index: 0, chunk: { config, registers: [], dropped: [] } })).kind, 'based')
      chain = [...chain, { number: config + 1, ...decree, proof: { kind: 'voters', ballot: by, signatures: [{ node: signer.nodeId, signature: signed.signature }] } }]
      assert.deepEqual(await voter.ask(config, { kind: 'activate', chain }), { kind: 'activated', config: config + 1 })

      const after = await voter.ask(config + 1, { kind: 'rows', after: '', limit: 100 })
      if (after.kind !== 'page') throw new Error(JSON.stringify(after))
      const plain = (entries: typeof after.entries): unknown => entries.map(([scope, accepted]) => [scope, accepted.value.token, accepted.value.holder === null, accepted.ballot.round])
      assert.deepEqual(plain(after.entries), plain(whole.snapshot.registers.filter(([scope]) => scope !== 'free').sort(([x], [y]) => (x < y ? -1 : 1))))
      // Tokens go on above what was dropped, and others can still have the base.
      const opened = await voter.ask(config + 1, { kind: 'open', scope: 'new', ballot: { ...ballot(config + 1, 1), round: 1 }, value: value(7), next: ballot(config + 1, 1) })
      assert.equal(opened.kind, 'promise')
      const again = await voter.ask(config + 1, { kind: 'base-chunk', hash, index: 1 })
      assert.deepEqual(again.kind === 'base-chunk' && hashOfChunk(hashOfChunk('', chunks[0]!), again.chunk), hash)
      assert.deepEqual(await voter.ask(config + 1, { kind: 'base-chunk', hash, index: 2 }), { kind: 'refused', why: { code: 'unknown-base' } })
      await accept(config + 1, 'b', value(config + 2))
      await accept(config + 1, 'free', value(8 + config, false))
    }
    // Of what came before the last change nothing is left: one base, one generation, and no row of the first version.
    const names = new Set<string>()
    for await (const [key] of voter.store.entries({})) names.add(/^([rbtkg]):(?:([^/]*)\/)?/.exec(Buffer.from(key).toString())?.[0] ?? '')
    assert.equal([...names].filter((name) => name.startsWith('b:')).length, 1)
    assert.equal([...names].filter((name) => name.startsWith('t:')).length, 1)
    assert.equal([...names].filter((name) => name.startsWith('r:')).length, 0)
    const { voter: last } = voter
    assert.equal(last?.config, 2)
  })
})
