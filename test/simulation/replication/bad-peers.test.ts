import assert from 'node:assert/strict'
import { CID } from 'multiformats/cid'
import type { NodeId } from '../../../src/base/index.js'
import { CodedError, seededRandom, silentLog } from '../../../src/base/index.js'
import { saltOf } from '../../../src/replication/fingerprint.js'
import { Inventory, inventoryEntriesMax, pageEntriesMax } from '../../../src/replication/inventory.js'
import { rates } from '../../../src/replication/methods.js'
import { entriesTotalMax, PeerBook } from '../../../src/replication/peer-book.js'
import { replicationDefaults } from '../../../src/replication/index.js'
import { ChallengeResponse, HaveRequest, InventoryRequest, InventoryResponse, KeepResponse, ProofResponse, StoreRequest, StoreResponse, Vitals } from '../../../src/replication/wire/replication.js'
import type { InventoryPage, Vitals as VitalsMessage } from '../../../src/replication/wire/replication.js'
import { idOf, SimulatedNetwork } from '../net-twin.js'
import { VirtualClock } from '../net-clock.js'
import type { Host } from './mesh.js'
import { Mesh } from './mesh.js'
import { Stranger, vitalsOf } from './stranger.js'
import { cidOf, usageOf } from './twins.js'

const mib = 2 ** 20
const second = 1000
const minute = 60 * second
const never = new AbortController().signal
const { copiesMax } = replicationDefaults

const honestCopies = (mesh: Mesh, cid: string, stranger: Stranger): number => mesh.copies(cid).filter((host) => host !== stranger.host).length
const tellsOf = (host: Host, stranger: Stranger): boolean => host.replication.status().problems.some((sentence) => sentence.includes(stranger.host.id))
/** Numbers that follow on each other: a bit each. */
const pageOf = (entries: number, last: boolean): InventoryPage => ({ entries, parameter: 0, coded: new Uint8Array(Math.ceil(entries / 8)), last })
const garbageRequest = (name: string): Uint8Array => StoreRequest.encode({ cid: cidOf(name).bytes, spine: false, bytes: mib, holders: [], move: false })

describe('replication: peers that mean no good', function () {
  this.timeout(60_000)

  it('lies about its quota: it is asked a few dozen times, ever more rarely, comes last from then on, and nobody waits for it', async () => {
    const mesh = new Mesh({ seed: 71, nodes: 4, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    stranger.refuses('store')
    stranger.saysAgain(second)
    const files: { cid: string }[] = []
    const putSome = async (): Promise<void> => {
      for (let i = 0; i < 10; i++) files.push(mesh.put(a, { bytes: 200_000, replicas: 3 }))
      await mesh.clock.advance(3 * second)
    }
    // All at once: of what waits for its turn nothing more is sent its way once it has refused.
    for (let i = 0; i < 100; i++) files.push(mesh.put(a, { bytes: 200_000, replicas: 3 }))
    await mesh.clock.advance(5 * second)
    const atOnce = stranger.count('store')
    assert.ok(atOnce > 0 && atOnce <= 2 * copiesMax, `asked ${String(atOnce)} times`)
    for (let round = 0; round < 10; round++) {
      await putSome()
      // Nobody waits for it: the copies are where there is room, at once.
      for (const { cid } of files) assert.equal(honestCopies(mesh, cid, stranger), 3)
    }
    const first = stranger.count('store')
    for (let round = 0; round < 10; round++) await putSome()
    const then = stranger.count('store')
    console.log(`      asked ${String(first)} times for the first 200 files, ${String(then - first)} times for 100 more`)
    assert.ok(first > 0 && first <= 3 * copiesMax && then - first <= first, `asked ${String(first)}, then ${String(then)} times`)
    const scores = (await mesh.clock.outcome(a.replication.explain(files[0]!.cid))).nodes
    const own = scores.find(({ peerId }) => peerId === stranger.host.id)!
    for (const other of scores) assert.ok(other === own || other.terms.reliability > 1.3 * own.terms.reliability, 'it counts as less reliable than all others')
    assert.equal(usageOf(stranger.host.disk).totalBytes, 0)
    await mesh.end()
  })

  it('acknowledges what it does not have: one round of copies at most, then it is not trusted, asked for nothing, and counted nowhere', async () => {
    const mesh = new Mesh({ seed: 72, nodes: 5, maxBytes: 600 * mib, settings: { spotCheckIntervalMs: 30 * second } })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    stranger.answers('store', () => StoreResponse.encode({ bytes: mib, already: true, proof: new Uint8Array(32), inventorySalt: 1n, inventoryVersion: 1 }))
    stranger.answers('confirmKeep', () => KeepResponse.encode({ keeps: true, reason: '' }))
    stranger.answers('proveKept', () => ProofResponse.encode({ proof: new Uint8Array(32) }))
    stranger.answers('release', () => new Uint8Array(0))
    stranger.saysAgain(second)
    await mesh.clock.advance(3 * second)
    const files = Array.from({ length: 50 }, () => mesh.put(a, { bytes: 100_000, replicas: 3 }))
    await mesh.until(() => files.every(({ cid }) => honestCopies(mesh, cid, stranger) >= 3), minute, 'three true copies of each')
    assert.deepEqual(a.replication.status().untrusted, [stranger.host.id])
    const asked = stranger.count('store')
    console.log(`      acknowledged ${String(asked)} copies falsely`)
    assert.ok(asked >= 2 && asked <= 3 * copiesMax, `${String(asked)} false acknowledgements were asked for`)
    for (let i = 0; i < 50; i++) files.push(mesh.put(a, { bytes: 100_000, replicas: 3 }))
    await mesh.until(() => files.every(({ cid }) => honestCopies(mesh, cid, stranger) >= 3), minute, 'three true copies of those, too')
    for (const { path } of files) assert.ok(!(await mesh.clock.outcome(a.replication.replicasOf(path))).holders.includes(stranger.host.id))
    await mesh.clock.advance(3 * minute)
    assert.ok(stranger.count('store') <= asked + 2 * copiesMax, 'others find out for themselves, each once')
    await mesh.end()
  })

  it('lists what it does not have: spot checks catch it at the second wrong proof, and the copies are made', async () => {
    const mesh = new Mesh({ seed: 73, nodes: 4, maxBytes: 600 * mib, settings: { spotCheckIntervalMs: 30 * second } })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    // What is to be listed is known to it from the catalog, like to everybody.
    const cids: string[] = []
    const listed = new Inventory(saltOf(9n))
    stranger.refuses('store')
    stranger.answers('inventory', (body) => InventoryResponse.encode(listed.answer(InventoryRequest.decode(body))))
    stranger.answers('challenge', () => ChallengeResponse.encode({ held: true, proof: new Uint8Array(32) }))
    for (let i = 0; i < 20; i++) {
      cids.push(mesh.put(a, { bytes: 100_000, replicas: 4 }).cid)
      listed.add({ cid: cids[i]!, kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })
    }
    stranger.saysAgain(10 * second, () => ({ freeForOthersBytes: 0, inventorySalt: 9n, inventoryVersion: listed.version }))
    await mesh.until(() => cids.some((cid) => a.replication.copiesAtHand(cid).includes(stranger.host.id)), 30 * second, 'at first its word is taken')
    const honest = mesh.hosts.filter((host) => host !== stranger.host)
    await mesh.until(() => honest.every((host) => host.replication.status().untrusted.includes(stranger.host.id)), 30 * minute, 'caught by each')
    // Two questions to each, and no third: a caught one is not even asked for its list.
    const asked = stranger.count('challenge')
    assert.ok(asked <= 2 * honest.length + 1, `${String(asked)} questions`)
    const pulls = stranger.count('inventory')
    await mesh.clock.advance(10 * minute)
    assert.deepEqual([stranger.count('challenge'), stranger.count('inventory')], [asked, pulls])
    for (const cid of cids) assert.equal(honestCopies(mesh, cid, stranger), 3, 'on all the others')
    await mesh.end()
  })

  it('promises to keep what it does not have: nobody deletes on its word', async () => {
    const mesh = new Mesh({ seed: 78, nodes: 3, maxBytes: 600 * mib, settings: { spotCheckIntervalMs: 1e9 } })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    const listed = new Inventory(saltOf(9n))
    stranger.refuses('store')
    stranger.answers('inventory', (body) => InventoryResponse.encode(listed.answer(InventoryRequest.decode(body))))
    stranger.answers('confirmKeep', () => KeepResponse.encode({ keeps: true, reason: '' }))
    stranger.answers('proveKept', () => ProofResponse.encode({ proof: new Uint8Array(32) }))
    stranger.answers('release', () => new Uint8Array(0))
    const files = Array.from({ length: 10 }, () => mesh.put(a, { bytes: 100_000, priority: 'low', replicas: 2 }))
    await mesh.until(() => files.every(({ cid }) => honestCopies(mesh, cid, stranger) === 2), minute, 'two copies of each')
    for (const { cid } of files) listed.add({ cid, kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })
    stranger.saysAgain(minute, () => ({ freeForOthersBytes: 0, inventorySalt: 9n, inventoryVersion: listed.version }))
    // Past the hour in which what has only just come is left alone.
    await mesh.clock.advance(3700 * second)
    const { path } = files[0]!
    assert.equal((await mesh.clock.outcome(a.replication.replicasOf(path))).have, 3, 'its word is taken for a third copy')
    const { freedBytes, actions } = await mesh.clock.outcome(a.replication.evict({ bytes: 1e12, dryRun: false }))
    assert.equal(actions.length, 10, 'with three copies and a minimum of two, all may go')
    assert.equal(freedBytes, 0, 'and with its false promise, none does')
    assert.ok(stranger.count('confirmKeep') > 0 && stranger.count('confirmKeep') <= 10)
    assert.deepEqual(a.replication.status().untrusted, [stranger.host.id])
    for (const { cid } of files) assert.equal(honestCopies(mesh, cid, stranger), 2)
    await mesh.end()
  })

  it('offers garbage: nothing is fetched or kept, and others\' copies come in without a wait meanwhile', async () => {
    const mesh = new Mesh({ seed: 74, nodes: 3, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const [a, b] = [mesh.hosts[0]!, mesh.hosts[2]!]
    await stranger.says({ freeForOthersBytes: 0 })
    let fetched = 0
    const fetch = a.blobs.fetch.bind(a.blobs)
    a.blobs.fetch = async (blob, options) => {
      fetched++
      return fetch(blob, options)
    }
    const before = usageOf(a.disk).totalBytes
    // As many offers at once as it may, again and again, of what no file has.
    const codes = new Map<string, number>()
    let offered = 0
    const offer = async (): Promise<void> => {
      while (offered < 1000) {
        const code = await stranger.asks(a, 'store', garbageRequest(`garbage ${String(offered++)}`)).then(() => 'none', (error: unknown) => (error as { code: string }).code)
        codes.set(code, (codes.get(code) ?? 0) + 1)
      }
    }
    const offers = Promise.all(Array.from({ length: 64 }, offer))
    await mesh.clock.advance(2 * second)
    // All places that wait for a record are taken; the places that fetch are not.
    const startMs = mesh.clock.monotonicMs()
    const files = Array.from({ length: 50 }, () => mesh.put(b, { bytes: 100_000, replicas: 2 }))
    await mesh.until(() => files.every(({ cid }) => a.disk.held.has(cid)), 10 * second, 'fifty copies at the one that it bothers')
    const tookMs = mesh.clock.monotonicMs() - startMs
    console.log(`      fifty copies beside 64 offers of garbage at once: ${String(Math.round(tookMs))} virtual ms`)
    assert.ok(tookMs < 2000, `they took ${String(tookMs)} ms`)
    await mesh.clock.outcome(offers, 10 * minute)
    assert.deepEqual([...codes], [['NOT_FOUND', 1000]])
    assert.equal(fetched, files.length, 'nothing else was fetched')
    // And messages that are none, of all kinds.
    const random = seededRandom(5)
    let refused = 0
    for (const name of ['store', 'confirmKeep', 'release', 'challenge', 'have', 'vouched', 'inventory', 'vitals']) {
      for (let i = 0; i < 20; i++) {
        const body = Uint8Array.from([0xff, ...random.bytes(random.below(100))])
        await mesh.clock.outcome(stranger.asks(a, name, body).catch((error: unknown) => {
          assert.equal((error as { code: string }).code, 'BAD_INPUT')
          refused++
        }))
      }
    }
    assert.equal(refused, 160)
    assert.ok(tellsOf(a, stranger), 'it has lost our trust')
    const left = usageOf(a.disk)
    assert.equal(left.totalBytes - before, files.length * (100_000 + 300), 'and what was there is there, and no more')
    await mesh.end()
  })

  it('floods requests: each method answers its rate and no more, and others are served', async () => {
    const mesh = new Mesh({ seed: 75, nodes: 3, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const [a, b] = [mesh.hosts[0]!, mesh.hosts[2]!]
    await stranger.says()
    const kept = mesh.put(a, { bytes: mib, replicas: 2 })
    await mesh.until(() => mesh.copies(kept.cid).length === 2, 30 * second, 'two copies')
    const heldBefore = [...a.disk.held.keys()]
    const cid = CID.parse(kept.cid).bytes
    const challenge = { nonce: new Uint8Array(16), offsets: [0], length: 1000 }
    const bodies: Partial<Record<keyof typeof rates, Uint8Array>> = {
      challenge: (await import('../../../src/replication/wire/replication.js')).ChallengeRequest.encode({ cid, challenge }),
      have: HaveRequest.encode({ cids: [cid] }),
      inventory: InventoryRequest.encode({ salt: 0n, version: 0, after: 0 }),
      vitals: Vitals.encode(vitalsOf(1)),
    }
    let reads = 0
    const read = a.blobs.read.bind(a.blobs)
    a.blobs.read = (...args) => {
      reads++
      return read(...args)
    }
    for (const [name, body] of Object.entries(bodies) as [keyof typeof rates, Uint8Array][]) {
      let served = 0
      let overloaded = 0
      const startMs = mesh.clock.monotonicMs()
      const flood = Promise.all(Array.from({ length: 1000 }, async () => {
        try {
          await stranger.asks(a, name, body)
          served++
        } catch (error) {
          assert.equal((error as { code: string }).code, 'OVERLOADED')
          overloaded++
        }
      }))
      // Whoever else asks has an answer within a round trip or two.
      const askedMs = mesh.clock.monotonicMs()
      await mesh.clock.outcome(b.net.rpc.request(a.id, `replication.${name}`, body, { deadlineMs: second }))
      assert.ok(mesh.clock.monotonicMs() - askedMs < 100, `${name}: the other waited ${String(mesh.clock.monotonicMs() - askedMs)} ms`)
      await mesh.clock.outcome(flood)
      const seconds = (mesh.clock.monotonicMs() - startMs) / 1000
      const { burst, perSecond } = rates[name]
      assert.ok(served > 0 && served <= burst + perSecond * seconds, `${name}: ${String(served)} served`)
      assert.equal(served + overloaded, 1000)
    }
    assert.ok(reads <= 2 * rates.challenge.burst, `${String(reads)} reads of the disk`)
    // Whoever goes on with it is no place for new copies.
    assert.ok(tellsOf(a, stranger))
    assert.deepEqual([...a.disk.held.keys()], heldBefore)
    const next = mesh.put(a, { bytes: mib, replicas: 2 })
    await mesh.until(() => honestCopies(mesh, next.cid, stranger) === 2, 30 * second, 'two copies of the next')
    await mesh.end()
  })

  it('whose asker is gone, a question about what no file has takes no time at all', async () => {
    const mesh = new Mesh({ seed: 76, nodes: 2, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    let looked = 0
    const byCid = a.catalog.byCid.bind(a.catalog)
    a.catalog.byCid = async (asked) => {
      // The virtual clock stands still for who does not wait: without this a spinning loop would hang here for ever.
      if (++looked > 10_000) throw new Error('it spins')
      return byCid(asked)
    }
    const offers = Array.from({ length: 64 }, async (_, i) => stranger.asks(a, 'store', garbageRequest(`gone ${String(i)}`), second).catch(() => undefined))
    await mesh.clock.outcome(Promise.all(offers))
    await mesh.clock.advance(5 * second)
    assert.ok(looked < 64 * 10, `the catalog was asked ${String(looked)} times`)
    assert.equal(a.replication.status().storing, 0)
    await mesh.end()
  })

  it('does not answer for its list: those of others are read all the same', async () => {
    const clock = new VirtualClock()
    const network = new SimulatedNetwork({ clock, random: seededRandom(1) })
    const self = network.node(idOf(1))
    const read: NodeId[] = []
    const book = new PeerBook(
      { rpc: self.rpc, connections: self, clock, random: seededRandom(2), log: silentLog },
      { onInventory: (peer) => read.push(peer), onDelta: () => undefined, onVitals: () => undefined, onOffence: () => undefined, isTrusted: () => true },
    )
    const [silent, other] = [network.node(idOf(2)), network.node(idOf(3))]
    const row = { name: 'replication.inventory', requestBytesMax: 100, responseBytesMax: 2 ** 18, inFlightMax: 1 }
    silent.rpc.register({ ...row, handle: async () => new Promise<never>(() => undefined) })
    other.rpc.register({ ...row, handle: async () => InventoryResponse.encode({ salt: 3n, version: 1, page: pageOf(10, true) }) })
    const controller = new AbortController()
    const running = book.run(controller.signal)
    await clock.advance(10 * second)
    book.hear(silent.self, vitalsOf(1, { inventorySalt: 2n }))
    await clock.advance(3 * second)
    book.hear(other.self, vitalsOf(1, { inventorySalt: 3n }))
    await clock.advance(4 * second)
    assert.deepEqual(read, [other.self])
    controller.abort(new Error('over'))
    await clock.outcome(running)
  })

  it('announces a million made-up entries: so many are kept, of one and of all together, and honest lists have their place', async () => {
    const clock = new VirtualClock()
    const network = new SimulatedNetwork({ clock, random: seededRandom(1) })
    const self = network.node(idOf(1))
    const offences = new Map<NodeId, number>()
    const trusted = new Set<NodeId>()
    const book = new PeerBook(
      { rpc: self.rpc, connections: self, clock, random: seededRandom(2), log: silentLog },
      {
        onInventory: () => undefined, onDelta: () => undefined, onVitals: () => undefined,
        onOffence: (peer) => offences.set(peer, (offences.get(peer) ?? 0) + 1),
        isTrusted: (peer) => trusted.has(peer),
      },
    )
    let asked = 0
    /** Lists `entries` numbers in pages of `perPage`, and more if that is asked for. */
    const peer = (number: number, entries: number, perPage = pageEntriesMax): NodeId => {
      const node = network.node(idOf(number))
      node.rpc.register({
        name: 'replication.inventory', requestBytesMax: 100, responseBytesMax: 2 ** 18, inFlightMax: 1,
        handle: async (body) => {
          asked++
          const { after } = InventoryRequest.decode(body)
          const count = Math.min(perPage, entries - after)
          return InventoryResponse.encode({ salt: BigInt(number), version: 1, page: pageOf(count, after + count >= entries) })
        },
      })
      trusted.add(node.self)
      salts.set(node.self, BigInt(number))
      return node.self
    }
    const salts = new Map<NodeId, bigint>()
    const hear = (id: NodeId, sequence: number, more: Partial<VitalsMessage> = {}): void => {
      book.hear(id, vitalsOf(sequence, { inventorySalt: salts.get(id) ?? 0n, ...more }))
    }
    const pull = async (ids: NodeId[]): Promise<number> => {
      asked = 0
      await clock.advance(20 * minute)
      ids.forEach((id, i) => hear(id, clock.monotonicMs() + i))
      await clock.outcome(book.catchUp(never), 30 * minute)
      return asked
    }
    const pagesMax = Math.ceil(inventoryEntriesMax / pageEntriesMax) + 1
    await clock.advance(10 * second)

    // Without end; and a million pages of one entry each.
    for (const [number, perPage] of [[2, pageEntriesMax], [3, 1]] as const) {
      const endless = peer(number, 2 ** 30, perPage)
      await clock.advance(10 * second)
      const requests = await pull([endless])
      assert.ok(requests <= pagesMax + 1, `${String(requests)} requests`)
      assert.equal(book.entries, 0)
      assert.equal(offences.get(endless), 1)
      trusted.delete(endless)
    }

    // Just as many as are taken, by nine: that is more than all may have together.
    const honest = peer(4, 3000)
    const crowd = Array.from({ length: 9 }, (_, i) => peer(10 + i, inventoryEntriesMax))
    await clock.advance(10 * second)
    await pull([honest, ...crowd])
    assert.ok(book.entries <= entriesTotalMax, `${String(book.entries)} entries`)
    assert.ok(book.entries >= 7 * inventoryEntriesMax)
    assert.equal(book.inventoryOf(honest)?.size, 3000)
    assert.equal(offences.get(honest), undefined)

    // It says over and over that it has begun anew: all of it is read again only after a while.
    const first = crowd.at(-1)!
    asked = 0
    for (let i = 1; i <= 100; i++) {
      await clock.advance(2 * second)
      hear(first, 2 ** 40 + i, { inventorySalt: BigInt(1000 + i) })
      for (const id of crowd) if (id !== first) trusted.delete(id)
      await clock.outcome(book.catchUp(never), 30 * minute)
    }
    assert.ok(asked <= pagesMax, `${String(asked)} pages were asked for in 200 s`)

    // By deltas, each of a thousand more, as fast as they are heard.
    trusted.clear()
    trusted.add(honest)
    for (const id of crowd) book.distrust(id)
    const random = seededRandom(3)
    for (let i = 0; i < 1100; i++) {
      await clock.advance(second)
      hear(honest, 2 ** 41 + i, { inventorySalt: 4n, inventoryVersion: i + 2, delta: { fromVersion: i + 1, added: random.bytes(5 * 1000), removed: new Uint8Array(0) } })
    }
    assert.ok(book.entries > 1_000_000 && book.entries <= inventoryEntriesMax, `${String(book.entries)} entries`)
    assert.ok((offences.get(honest) ?? 0) > 0, 'one that goes on past that is no honest one')
    // And a hundred thousand messages in a second are heard thirty times.
    await clock.advance(minute)
    let heard = 0
    for (let i = 0; i < 100_000; i++) if (book.hear(honest, vitalsOf(2 ** 42 + i, { inventorySalt: 4n })) === 'accept') heard++
    assert.equal(heard, 30)
  })

  it('announces entries without end, to a node at work: it is asked a few times, and gets nothing new', async () => {
    const mesh = new Mesh({ seed: 77, nodes: 4, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    stranger.answers('store', () => Promise.reject(new CodedError('OVERLOADED', 'not now')))
    stranger.answers('inventory', (body) => {
      InventoryRequest.decode(body)
      return InventoryResponse.encode({ salt: 3n, version: 1, page: pageOf(pageEntriesMax, false) })
    })
    const kept = Array.from({ length: 10 }, () => mesh.put(a, { bytes: 100_000, replicas: 2 }))
    await mesh.until(() => kept.every(({ cid }) => honestCopies(mesh, cid, stranger) >= 2), minute, 'copies')
    stranger.saysAgain(5 * second, () => ({ inventorySalt: 3n }))
    await mesh.until(() => tellsOf(a, stranger), 5 * minute, 'it loses trust')
    const honest = mesh.hosts.filter((host) => host !== stranger.host)
    const requests = stranger.count('inventory')
    console.log(`      ${String(requests)} pages asked for by ${String(honest.length)} nodes until it was no place for copies any more`)
    assert.ok(requests <= 8 * 28 * honest.length)
    const asked = stranger.count('store')
    const files = Array.from({ length: 30 }, () => mesh.put(a, { bytes: 100_000, replicas: 3 }))
    await mesh.until(() => files.every(({ cid }) => honestCopies(mesh, cid, stranger) >= 3), minute, 'copies elsewhere')
    assert.equal(stranger.count('store'), asked)
    for (const { cid } of kept) assert.ok(honestCopies(mesh, cid, stranger) >= 2)
    await mesh.end()
  })
})
