import assert from 'node:assert/strict'
import { codeOf } from '../../../src/base/index.js'
import { VoterKeeper } from '../../../src/consensus/driver/voter-keeper.js'
import type { VoterCandidate } from '../../../src/consensus/driver/voter-plan.js'
import { createSigner, systemClock, systemRandom, silentLog } from '../../../src/base/index.js'
import type { Rpc } from '../../../src/base/index.js'
import { Parcels } from '../../../src/consensus/driver/parcels.js'
import { decodeFrame, encodeFrame } from '../../../src/consensus/frames.js'
import type { Request } from '../../../src/consensus/messages.js'
import { ManualClock } from '../membership/fixtures.js'
import { TestMesh, until } from './mesh.js'
import type { TestNode } from './mesh.js'

async function meshOf(count: number, mesh = new TestMesh()): Promise<[TestMesh, TestNode[]]> {
  for (let i = 0; i < count; i++) await mesh.add()
  for (const node of mesh.nodes) await until(() => node.consensus.session !== undefined)
  return [mesh, mesh.nodes]
}

async function code(promise: Promise<unknown>): Promise<string | undefined> {
  return promise.then(() => undefined, codeOf)
}

describe('consensus driver', () => {
  let mesh: TestMesh | undefined
  afterEach(async () => {
    await mesh?.stopAll()
    mesh = undefined
  })

  it('grants, refuses, releases and lists, over frames and a disk', async () => {
    const [made, [a, b]] = await meshOf(2)
    mesh = made
    const lease = await b!.consensus.acquire('s')
    assert.equal(lease.token, 1)
    assert.equal(b!.consensus.mayAct('s'), 1)
    assert.equal(await code(a!.consensus.acquire('s')), 'HELD')
    assert.equal((await a!.consensus.read('s'))?.holder?.node, b!.id)
    await b!.consensus.release('s', 1)
    assert.equal(b!.consensus.mayAct('s'), undefined)
    assert.equal((await a!.consensus.acquire('s')).token, 2)
    await a!.consensus.acquire('t/1')
    await a!.consensus.acquire('t/2')
    assert.deepEqual((await b!.consensus.list('t/', 10)).map(({ scope }) => scope), ['t/1', 't/2'])
    assert.equal(await code(a!.consensus.acquire('')), 'BAD_INPUT')
    assert.equal(await code(a!.consensus.acquire('x'.repeat(2000))), 'BAD_INPUT')
  })

  it('goes from one voter to three, survives the first, and takes from the dead', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    const lease = await b!.consensus.acquire('s')
    assert.equal(await a!.consensus.reconfigure([a!.id, b!.id, c!.id]), 1)
    await until(() => [a, b, c].every((node) => node!.consensus.votesIn === 1))
    assert.equal(b!.consensus.mayAct('s'), 1)
    await b!.stop()
    await until(() => c!.consensus.isOver(lease.holder!))
    assert.equal(await c!.consensus.isOver(c!.consensus.session!), false)
    await until(async () => (await code(c!.consensus.stealDead('s', lease))) === undefined)
    assert.equal(c!.consensus.mayAct('s'), 2)
    // The old holder comes back: a new epoch, nothing held, and it is told who has it.
    made.start(b!)
    await until(() => b!.consensus.session !== undefined)
    assert.equal(b!.consensus.mayAct('s'), undefined)
    assert.equal(await code(b!.consensus.acquire('s')), 'HELD')
  })

  it('hands over when asked, and revokes when not answered', async () => {
    const [made, [a, b]] = await meshOf(2)
    mesh = made
    const first = await a!.consensus.acquire('s')
    a!.consensus.on('wish', (wish) => {
      if (a!.consensus.freeze(wish.scope, wish.token)) void a!.consensus.handOff(wish, Buffer.from('dirty'))
    })
    const handed = await b!.consensus.askFor('s', first, new Uint8Array(0))
    assert.equal(handed.token, 2)
    assert.equal(Buffer.from(handed.payload).toString(), 'dirty')
    const revoked = await a!.consensus.revoke('s', handed, { to: 'me' })
    assert.equal(revoked.token, 3)
    assert.equal(b!.consensus.mayAct('s'), undefined)
  })

  it('starts with a new store when the old one has forgotten what it told', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    await a!.consensus.reconfigure([a!.id, b!.id, c!.id])
    await until(() => c!.consensus.votesIn === 1)
    await c!.stop()
    // The tail of the log is gone: the database is further behind than the second file can mend.
    await c!.store.write([c!.store.put(Buffer.from('q'), Buffer.from('0'))])
    c!.memoryFile.slots = c!.memoryFile.slots.slice(-1)
    made.start(c!)
    await until(() => c!.consensus.session !== undefined)
    assert.equal(c!.consensus.votesIn, -1)
    assert.equal((await b!.consensus.acquire('s')).token, 1)
    const candidates = (): VoterCandidate[] => made.nodes.map((node) => ({ node: node.id, up: true, silentMs: 0, reliability: 1, region: '', segment: '' }))
    const keepers = made.nodes.map((node) => new VoterKeeper({ consensus: node.consensus, clock: systemClock, random: systemRandom, log: silentLog, candidates }, { self: node.id }))
    await until(async () => {
      for (const keeper of keepers) await keeper.look().catch(() => false)
      return c!.consensus.votesIn > 1
    })
    assert.equal((await keepers[0]!.list()).voters.length, 3)
  })

  it('starts with a new store when peers were told more: the whole disk went back', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    await a!.consensus.reconfigure([a!.id, b!.id, c!.id])
    await until(() => c!.consensus.votesIn === 1)
    const early: [Uint8Array, Uint8Array][] = []
    for await (const [key, value] of c!.store.entries()) early.push([key, value])
    const told = c!.memoryFile.sequence
    for (const scope of ['s', 't', 'u', 'v', 'w']) await a!.consensus.acquire(scope)
    await until(() => (c!.memoryFile.sequence ?? 0) > (told ?? 0) + 2)
    await c!.stop()
    const now: Uint8Array[] = []
    for await (const [key] of c!.store.entries()) now.push(key)
    await c!.store.write([...now.map((key) => c!.store.del(key)), ...early.map(([key, value]) => c!.store.put(key, value))])
    c!.memoryFile.sequence = told
    made.start(c!)
    await until(() => c!.consensus.votesIn === -1 && c!.consensus.session !== undefined)
    assert.equal((await c!.consensus.read('s'))?.holder?.node, a!.id)
  })

  it('takes up the batches that only the second file has, and no others', async () => {
    const [made, [a]] = await meshOf(1)
    mesh = made
    const { store, memoryFile } = a!
    const entries = async (): Promise<[Uint8Array, Uint8Array][]> => {
      const all: [Uint8Array, Uint8Array][] = []
      for await (const [key, value] of store.entries()) all.push([key, value])
      return all
    }
    const goBackTo = async (before: [Uint8Array, Uint8Array][]): Promise<void> => {
      const now = (await entries()).map(([key]) => store.del(key))
      await store.write([...now, ...before.map(([key, value]) => store.put(key, value))])
    }
    const restart = async (): Promise<void> => {
      made.start(a!)
      await until(() => a!.consensus.votesIn === 0 || a!.consensus.config !== undefined)
    }
    await a!.consensus.acquire('s')
    await a!.stop()
    const before = await entries()
    await restart()
    await until(() => a!.consensus.session !== undefined)
    await a!.consensus.release('s', (await a!.consensus.acquire('s')).token)
    await a!.stop()
    // The second file has what came since, the database has not.
    await goBackTo(before)
    await restart()
    await until(() => a!.consensus.session !== undefined)
    assert.equal((await a!.consensus.read('s'))?.holder, null)
    // Not all of what it lacks is there: memory is lost, and nothing is taken up.
    await a!.stop()
    const earlier = await entries()
    await restart()
    await until(() => a!.consensus.session !== undefined)
    const { token } = await a!.consensus.acquire('s')
    await a!.consensus.release('s', token)
    await a!.stop()
    await goBackTo(earlier)
    memoryFile.slots = memoryFile.slots.slice(-1)
    await restart()
    await until(() => a!.consensus.votesIn === -1)
    await a!.stop()
    // One behind, but the batch is of the store before this one.
    memoryFile.slots = [{ sequence: 1, generation: 1, batch: Buffer.alloc(64, 1) }]
    await goBackTo((await entries()).filter(([key]) => Buffer.from(key).toString() !== 'q'))
    const incarnation = Buffer.from((await store.get(Buffer.from('n:i')))!).toString()
    await restart()
    await until(async () => Buffer.from((await store.get(Buffer.from('n:i')))!).toString() !== incarnation)
  })

  it('writes nothing any more when it has stopped, however much it is asked', async () => {
    const [made, nodes] = await meshOf(3)
    mesh = made
    const [a, , c] = nodes
    await until(async () => await code(a!.consensus.reconfigure(nodes.map(({ id }) => id))) === undefined)
    await until(() => c!.consensus.votesIn === 1)
    let goesOn = true
    const busy = Promise.all(Array.from({ length: 8 }, async (_, i) => {
      for (let n = 0; goesOn; n++) await code(a!.consensus.acquire(`${String(i)}/${String(n)}`))
    }))
    await until(() => c!.consensus.registers > 100)
    // Its network is the last to go, so it is asked until then.
    await c!.stop({ keepsNetwork: true })
    const { writes } = c!.store
    const { sequence } = c!.memoryFile
    const asked = made.sent.get('lease.frame') ?? 0
    await until(() => (made.sent.get('lease.frame') ?? 0) > asked + 50)
    goesOn = false
    await busy
    assert.deepEqual([c!.store.writes, c!.memoryFile.sequence], [writes, sequence])
  })

  it('ends a wait at once when it is cancelled', async () => {
    const [made, [a, b]] = await meshOf(2)
    mesh = made
    const held = await a!.consensus.acquire('s')
    const controller = new AbortController()
    const waiting = b!.consensus.askFor('s', held, new Uint8Array(0), { signal: controller.signal })
    controller.abort()
    assert.equal(await code(waiting), 'CANCELLED')
  })

  it('a revocation that is cancelled takes nothing, however far it had come', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    await a!.consensus.reconfigure([a!.id, b!.id, c!.id])
    await until(() => [a, b, c].every((node) => node!.consensus.votesIn === 1))
    const scopes = Array.from({ length: 24 }, (_, i) => `s${i}`)
    const held = await Promise.all(scopes.map(async (scope) => a!.consensus.acquire(scope)))
    // It cannot acknowledge, so the revocations look again and again, until the session is over.
    for (const other of [b, c]) made.cuts.add(`${a!.id}>${other!.id}`).add(`${other!.id}>${a!.id}`)
    const codes = await Promise.all(scopes.map(async (scope, i) => {
      const controller = new AbortController()
      setTimeout(() => { controller.abort() }, i * 20)
      return code(b!.consensus.revoke(scope, held[i]!, { to: 'me', signal: controller.signal }))
    }))
    assert.deepEqual(new Set(codes), new Set(['CANCELLED']))
    // One that nobody cancels, behind them: when it has come to its end, so would they have.
    const last = await b!.consensus.revoke('s0', held[0]!, { to: 'me' })
    assert.equal(last.token, 2)
    await until(async () => (await b!.consensus.read('s1')) !== undefined)
    assert.deepEqual(b!.consensus.held(), ['s0'])
  })

  it('brings a base to new voters that no message could carry, keeps it over restarts, and deletes what is over', async () => {
    const [made, [a, b, c]] = await meshOf(3, new TestMesh({ tryMs: 2000 }))
    mesh = made
    const payload = new Uint8Array(6500).fill(7)
    await Promise.all(Array.from({ length: 800 }, async (_, i) => a!.consensus.acquire(`s/${i}`, { payload })))
    const released = await a!.consensus.acquire('gone')
    await a!.consensus.release('gone', released.token)
    await until(async () => (await a!.consensus.reconfigure([a!.id, b!.id, c!.id], { mayDrop: () => true }).catch(() => 0)) === 1)
    await until(() => [a, b, c].every((node) => node!.consensus.votesIn === 1))
    assert.equal(c!.consensus.registers, 800)
    const names = async (prefix: string): Promise<Map<string, number[]>> => {
      const found = new Map<string, number[]>()
      const letter = prefix.slice(0, -1)
      for await (const [key, value] of b!.store.entries({ gte: Buffer.from(prefix), lt: Buffer.from(`${letter};`) })) {
        const name = Buffer.from(key).toString().split('/')[0] ?? ''
        found.set(name, [...(found.get(name) ?? []), value.length])
      }
      return found
    }
    const [base] = [...(await names('b:')).values()]
    // In rows that the store takes; the staged copy is but what changed since.
    assert.ok(base !== undefined && base.length > 8 && base.every((size) => size <= 2 ** 20))
    assert.ok([...(await names('k:')).values()].flat().every((size) => size < 1000))
    // Changed since, on top of the base.
    const second = await b!.consensus.read('s/5')
    await a!.consensus.release('s/5', second!.token)
    await b!.consensus.acquire('s/5')
    await b!.stop()
    made.start(b!)
    await until(() => b!.consensus.session !== undefined)
    assert.equal(b!.consensus.registers, 800)
    const found = await b!.consensus.read('s/799')
    assert.deepEqual(found?.payload, payload)
    assert.equal(found.token, 1)
    assert.equal((await b!.consensus.read('s/5'))?.token, 2)
    assert.ok((await b!.consensus.acquire('gone')).token > released.token)
    // From voters that were started anew; then what the first change left behind goes.
    const before = [...(await names('b:')).keys(), ...(await names('t:')).keys()]
    await until(async () => (await a!.consensus.reconfigure([a!.id, b!.id, c!.id]).catch(() => 0)) > 1, 15_000)
    await until(() => b!.consensus.votesIn > 1)
    await until(async () => {
      const now = [...(await names('b:')).keys(), ...(await names('t:')).keys()]
      return now.length <= 2 && now.every((name) => !before.includes(name))
    })
    assert.equal((await b!.consensus.read('s/5'))?.token, 2)
    assert.equal(b!.consensus.registers, 801)
  })

  it('a voter that missed the base gets it from the others, and then votes', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    await Promise.all(Array.from({ length: 700 }, async (_, i) => a!.consensus.acquire(`s/${i}`)))
    await until(async () => (await a!.consensus.reconfigure([a!.id, b!.id, c!.id]).catch(() => 0)) === 1)
    await until(() => [a, b, c].every((node) => node!.consensus.votesIn === 1))
    // The base does not reach it, and what is decided on it does.
    const deliver = made.answers
    const of = (node: TestNode): string[] => made.nodes.filter((other) => other !== node).map((other) => `${other.id}>${node.id}`)
    let probed = false
    made.answers = (from, to, answer) => {
      // Cut as soon as it has said that it is there.
      if (!probed && from === c!.id && to === a!.id) {
        probed = true
        for (const link of of(c!)) made.cuts.add(link)
      }
      return answer
    }
    await until(async () => (await a!.consensus.reconfigure([a!.id, b!.id, c!.id]).catch(() => {
      probed = false
      for (const link of of(c!)) made.cuts.delete(link)
      return 0
    })) === 2, 20_000)
    assert.equal(c!.consensus.votesIn, 1)
    made.answers = deliver
    made.cuts.clear()
    await until(() => c!.consensus.votesIn === 2, 20_000)
    assert.equal(c!.consensus.registers, 700)
  })

  it('a frame that is not what its name says counts for nothing', async () => {
    const [made, [a, b]] = await meshOf(2)
    mesh = made
    const kept = Buffer.from('not what was promised')
    const rpcOf = (node: TestNode): Rpc => ({ register: () => undefined, request: async (peer, method, body, options) => made.send(node.id, peer, method, body, options) })
    const parcels = new Parcels({ rpc: { ...rpcOf(a!), register: (method) => { made.register(a!.id, method) } }, clock: systemClock, random: systemRandom })
    const offered = parcels.offer(b!.id, kept)
    const other = new Parcels({ rpc: rpcOf(b!), clock: systemClock, random: systemRandom })
    const { signal } = new AbortController()
    assert.deepEqual(Buffer.from(await other.fetch(a!.id, offered, signal)), kept)
    assert.equal(await code(other.fetch(a!.id, { ...offered, hash: '00'.repeat(32) }, signal)), 'BAD_MESSAGE')
    assert.equal(await code(other.fetch(a!.id, { ...offered, bytes: offered.bytes - 1 }, signal)), 'BAD_MESSAGE')
    assert.equal(await code(other.fetch(a!.id, { ...offered, bytes: offered.bytes + 1 }, signal)), 'BAD_MESSAGE')
    assert.equal(await code(other.fetch(a!.id, { ...offered, id: '11'.repeat(16) }, signal)), 'BAD_MESSAGE')
    assert.equal(await code(other.fetch(a!.id, { ...offered, bytes: 2 ** 31 }, signal)), 'BAD_MESSAGE')
    // It was offered to b and to nobody else.
    const stranger = new Parcels({ rpc: rpcOf(a!), clock: systemClock, random: systemRandom })
    assert.equal(await code(stranger.fetch(a!.id, offered, signal)), 'BAD_MESSAGE')
    for (const body of [new Uint8Array(0), new Uint8Array(19)]) assert.equal(await code(made.send(b!.id, a!.id, 'lease.parcel', body, { deadlineMs: 1000 })), 'BAD_MESSAGE')
    parcels.stop()
    assert.equal(await code(other.fetch(a!.id, offered, signal)), 'BAD_MESSAGE')
  })

  it('parcels are announced and not believed: so many bytes of a peer, so many of all, and one that does not come in time is given up', async () => {
    let isOver = false
    const rpc: Rpc = {
      register: () => undefined,
      request: async (_peer, _method, _body, { signal }) => new Promise((_resolve, reject) => { signal?.addEventListener('abort', () => { isOver = true; reject(new Error('aborted')) }, { once: true }) }),
    }
    const clock = new ManualClock()
    const parcels = new Parcels({ rpc, clock, random: systemRandom })
    const { signal } = new AbortController()
    const parcel = { id: '11'.repeat(16), bytes: 256 * 2 ** 20, hash: '00'.repeat(32) }
    const peers = [1, 2, 3].map((number) => createSigner(new Uint8Array(32).fill(number)).nodeId)
    const before = process.memoryUsage().arrayBuffers
    const under = [parcels.fetch(peers[0]!, parcel, signal), parcels.fetch(peers[1]!, parcel, signal)].map(code)
    assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20)
    assert.equal(await code(parcels.fetch(peers[0]!, { ...parcel, bytes: 1 }, signal)), 'OVERLOADED')
    assert.equal(await code(parcels.fetch(peers[2]!, { ...parcel, bytes: 1 }, signal)), 'OVERLOADED')
    await clock.advance(60_000)
    assert.deepEqual(await Promise.all(under), ['DEADLINE', 'DEADLINE'])
    assert.ok(isOver)
    const later = code(parcels.fetch(peers[2]!, parcel, signal))
    await clock.advance(60_000)
    assert.equal(await later, 'DEADLINE')
  })

  it('of a base one chunk is asked for at a time', async () => {
    const [made, [a, b]] = await meshOf(2)
    mesh = made
    const session = b!.consensus.session!
    const request = (counter: number): Request => ({ config: 0, incarnation: session.incarnation, nonce: { start: '11'.repeat(16), counter }, sender: session, seen: { start: '', sequence: 0 }, body: { kind: 'base-chunk', hash: 'ab'.repeat(32), index: counter } })
    const ask = async (requests: Request[]): Promise<Uint8Array> => made.send(b!.id, a!.id, 'lease.frame', encodeFrame({ requests, replies: [], peers: [] }), { deadlineMs: 1000 })
    assert.equal(decodeFrame(await ask([request(1)])).replies.length, 1)
    assert.equal(await code(ask([request(1), request(2)])), 'BAD_MESSAGE')
  })

  it('a voter whose base has lost a chunk is a new store, and is configured in again', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    for (const scope of ['s', 't']) await a!.consensus.acquire(scope)
    await a!.consensus.reconfigure([a!.id, b!.id, c!.id])
    await until(() => [a, b, c].every((node) => node!.consensus.votesIn === 1))
    const { incarnation } = b!.consensus.session!
    await b!.stop()
    const rows = []
    for await (const [key] of b!.store.entries({ gte: Buffer.from('b:'), lt: Buffer.from('b;') })) rows.push(b!.store.del(key))
    assert.ok(rows.length > 0)
    await b!.store.write(rows)
    made.start(b!)
    await until(() => b!.consensus.session !== undefined)
    assert.notEqual(b!.consensus.session!.incarnation, incarnation)
    assert.equal(b!.consensus.votesIn, -1)
    await until(async () => (await a!.consensus.reconfigure([a!.id, b!.id, c!.id]).catch(() => 0)) === 2, 10_000)
    await until(() => b!.consensus.votesIn === 2)
  })

  it('a clock that is set back a day, then forward two, takes nobody\'s lease and gives none away', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    await a!.consensus.reconfigure([a!.id, b!.id, c!.id])
    await until(() => [a, b, c].every((node) => node!.consensus.votesIn === 1))
    const held = await b!.consensus.acquire('s')
    made.wallSkewMs.set(b!.id, -86_400_000)
    made.wallSkewMs.set(c!.id, -86_400_000)
    await until(() => b!.consensus.mayAct('s') === 1)
    assert.equal(await code(a!.consensus.stealDead('s', held)), 'HOLDER_ALIVE')
    // Forward: the holder may doubt itself until its next renewals are answered; voters do not, and nobody else gets it.
    made.wallSkewMs.set(b!.id, 86_400_000)
    made.wallSkewMs.set(c!.id, 86_400_000)
    assert.equal(b!.consensus.mayAct('s'), undefined)
    assert.equal(await code(a!.consensus.stealDead('s', held)), 'HOLDER_ALIVE')
    await until(() => b!.consensus.mayAct('s') === 1)
    assert.equal(await code(a!.consensus.acquire('s')), 'HELD')
    await b!.consensus.release('s', 1)
    assert.equal((await c!.consensus.acquire('s')).token, 2)
  })

  it('a voter that answers with another\'s frames, or with old ones, is not believed', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    await a!.consensus.reconfigure([a!.id, b!.id, c!.id])
    await until(() => [a, b, c].every((node) => node!.consensus.votesIn === 1 && node!.consensus.config?.number === 1))
    const first = await a!.consensus.acquire('s')
    // What b says is what c said before, to others; and c cannot be reached. So nothing has a majority any more.
    let last: Uint8Array | undefined
    made.answers = (from, to, answer) => {
      if (from === c!.id) last = answer
      return from === b!.id && to === a!.id && last !== undefined ? last : answer
    }
    await until(() => last !== undefined)
    made.cuts.add(`${a!.id}>${c!.id}`)
    assert.equal(await code(a!.consensus.acquire('t', { signal: AbortSignal.timeout(1000) })), 'CANCELLED')
    await until(() => a!.consensus.mayAct('s') === undefined)
    made.answers = undefined
    made.cuts.clear()
    await until(async () => (await code(a!.consensus.acquire('t'))) === undefined, 15_000)
    assert.ok(((await c!.consensus.read('s'))?.token ?? 0) >= first.token)
  })

  it('drops free registers when they are many, keeps held ones, and never gives a token twice', async () => {
    const [made, [a, b, c]] = await meshOf(3)
    mesh = made
    await until(async () => (await a!.consensus.reconfigure([a!.id, b!.id, c!.id]).catch(() => 0)) === 1)
    await until(() => made.nodes.every((node) => node.consensus.votesIn === 1))
    for (let turn = 0; turn < 3; turn++) {
      for (let i = 0; i < 10; i++) await b!.consensus.release(`free/${i}`, (await b!.consensus.acquire(`free/${i}`)).token)
    }
    const held = await b!.consensus.acquire('held')
    const candidates = (): VoterCandidate[] => made.nodes.map((node) => ({ node: node.id, up: true, silentMs: 0, reliability: 1, region: '', segment: '' }))
    const keepers = (crowdedAt: number): VoterKeeper[] => made.nodes.map((node) => new VoterKeeper({ consensus: node.consensus, clock: systemClock, random: systemRandom, log: silentLog, candidates }, { self: node.id, crowdedAt }))
    for (const keeper of keepers(12)) assert.equal(await keeper.look(), false)
    await until(async () => {
      for (const keeper of keepers(11)) await keeper.look().catch(() => false)
      return made.nodes.every((node) => node.consensus.votesIn === 2)
    })
    assert.deepEqual(made.nodes.map((node) => node.consensus.registers), [1, 1, 1])
    assert.equal(b!.consensus.mayAct('held'), held.token)
    assert.ok((await c!.consensus.acquire('free/0')).token > 3)
    assert.ok((await c!.consensus.acquire('never seen')).token > 3)
  })
})
