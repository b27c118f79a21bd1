import assert from 'node:assert/strict'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import type { Rpc } from '../../../src/base/index.js'
import type { Value } from '../../../src/consensus/index.js'
import { VirtualClock } from '../net-clock.js'
import { SimulatedNetwork, idOf } from '../net-twin.js'
import { MemoryDatabase } from '../../unit/volumes/disk-store.js'
import { RealVoters } from './real-voters.js'
import type { RealConsensus } from './real-voters.js'
import { ConsensusTwin, RegisterTwin } from './register-twin.js'

type Member = ConsensusTwin | RealConsensus
const scope = 'segment:000102030405060708090a0b0c0d0e0f/0'

interface Group {
  readonly clock: VirtualClock
  readonly members: readonly Member[]
  readonly silence: (member: number) => void
  readonly heal: () => void
}

async function ofTwins(): Promise<Group> {
  const clock = new VirtualClock()
  const twin = new RegisterTwin(clock, seededRandom(7), [1, 5])
  const members = [1, 2, 3].map((number) => new ConsensusTwin(twin, idOf(number)))
  for (const member of members) member.start()
  await clock.advance(100)
  return { clock, members, silence: (member) => twin.deaf.add(idOf(member + 1)), heal: () => { twin.deaf.clear() } }
}

async function ofReal(): Promise<Group> {
  const clock = new VirtualClock()
  const random = seededRandom(7)
  const network = new SimulatedNetwork({ clock, random }, { delayMs: [1, 5], noticeMs: 500, redialMs: 100 })
  const voters = new RealVoters(clock, random)
  const members: RealConsensus[] = []
  for (const number of [0, 1, 2]) {
    const node = network.node(voters.idOf(number))
    const rpc: Rpc = { register: (method) => { node.rpc.register(method) }, request: async (...parts) => {
      if (voters.gate(node.self, parts[0]) === 'drop') throw new Error('no way there')
      return node.rpc.request(...parts)
    } }
    members.push(await clock.outcome(voters.join({ number, database: new MemoryDatabase(), rpc, connections: node, log: silentLog })))
  }
  for (const member of members) member.start()
  await clock.advance(1_000)
  const [first] = members
  for (let attempt = 0; first?.consensus.config?.members.length !== 3 && attempt < 20; attempt++) {
    await clock.outcome(first?.consensus.reconfigure([0, 1, 2].map((number) => voters.idOf(number))).catch(() => 0) ?? Promise.resolve(0))
    await clock.advance(500)
  }
  await clock.until(() => members.every((member) => member.session !== undefined), 30_000)
  return { clock, members, silence: (member) => voters.deaf.add(voters.idOf(member)), heal: () => { voters.deaf.clear() } }
}

/** What the engine relies on; the simulation's registers must keep it as the real ones do. */
for (const [name, make] of [['the twin', ofTwins], ['the consensus', ofReal]] as const) {
  describe(`contract: registers of segments: ${name}`, () => {
    const numberOf = (value: Value | undefined): number => (value === undefined || value.payload.length === 0 ? 0 : Buffer.from(value.payload).readUInt32BE(0))
    const added = async (member: Member, by: number): Promise<{ value: Value; answer: number }> => member.change<number>(scope, ({ value, token }) => {
      const payload = Buffer.alloc(4)
      payload.writeUInt32BE(numberOf(value) + by)
      return { kind: 'set', value: { holder: null, token: token + 1, op: 'x', payload }, answer: numberOf(value) + by }
    })

    it('changes that race are each made once, on what the one before left, and are read by all', async () => {
      const { clock, members } = await make()
      const done = await clock.outcome(Promise.all(members.flatMap((member) => [1, 10].map((by) => added(member, by)))))
      assert.equal(new Set(done.map(({ answer }) => answer)).size, 6)
      for (const member of members) assert.equal(numberOf(await clock.outcome(member.read(scope))), 33)
    })

    it('who is not heard is over after a while, and not before; an eviction is told of, and ends what it may do', async () => {
      const { clock, members, silence, heal } = await make()
      const [a, b] = members as [Member, Member]
      const old = a.session
      assert.ok(old !== undefined)
      silence(0)
      await clock.advance(2_000)
      assert.equal(await clock.outcome(b.isOver(old)), false)
      await clock.advance(6_000)
      assert.equal(a.sessionRemainingMs(), 0, 'it knows by itself that it may not act any more')
      assert.equal(await clock.outcome(b.isOver(old)), true)
      const { answer } = await clock.outcome(b.change<boolean>(scope, ({ evicted }) => ({ kind: 'keep', answer: evicted }), { evict: old }))
      assert.equal(answer, true)
      const evicted: unknown[] = []
      a.on('evicted', (session) => evicted.push(session))
      heal()
      await clock.until(() => a.session !== undefined && a.sessionRemainingMs() > 0 && a.session.epoch > old.epoch, 30_000)
      assert.equal(evicted.length, 1)
      assert.equal(await clock.outcome(b.isOver(old)), true)
      const now = a.session
      assert.ok(now !== undefined)
      assert.equal(await clock.outcome(b.isOver(now)), false)
      await clock.outcome(added(a, 1))
    })

    it('who gives up asking whether a session is over is told so, and does not wait for ever', async () => {
      const { clock, members, silence } = await make()
      const [a, b] = members as [Member, Member]
      const held = a.session
      assert.ok(held !== undefined)
      for (const member of [0, 1, 2]) silence(member)
      const stop = new AbortController()
      const asked = assert.rejects(b.isOver(held, { signal: stop.signal }), { code: 'NO_QUORUM' })
      await clock.advance(100)
      stop.abort()
      await clock.outcome(asked, 10_000)
    })

    it('nobody is evicted who is heard', async () => {
      const { clock, members } = await make()
      const [a, b] = members as [Member, Member]
      const held = a.session
      assert.ok(held !== undefined)
      await clock.advance(20_000)
      const { answer } = await clock.outcome(b.change<boolean>(scope, ({ evicted }) => ({ kind: 'keep', answer: evicted }), { evict: held }))
      assert.equal(answer, false)
      assert.deepEqual(a.session, held)
      assert.ok(a.sessionRemainingMs() > 0)
    })
  })
}
