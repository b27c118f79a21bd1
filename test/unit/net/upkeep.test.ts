import assert from 'node:assert/strict'
import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { Uint8ArrayList } from 'uint8arraylist'
import { peerIdFromString } from '@libp2p/peer-id'
import { Key } from 'interface-datastore'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import type { NodeId } from '../../../src/base/index.js'
import { Redialler } from '../../../src/net/redial.js'
import { Announcer } from '../../../src/net/routing/announcer.js'
import { closestPeers } from '../../../src/net/routing/closest.js'
import { ProviderRecords } from '../../../src/net/routing/provider-records.js'
import { ProvideSchedule } from '../../../src/net/routing/schedule.js'
import { FairQueue } from '../../../src/net/transport/fair-queue.js'
import { WakeDetector } from '../../../src/net/wake.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf } from '../../simulation/net-twin.js'
import { MemoryMeta } from './fixture.js'

describe('net: redialler', () => {
  const make = (init: { up: Set<NodeId> }) => {
    const clock = new VirtualClock()
    const dials: { addresses: readonly string[]; atMs: number }[] = []
    const connected = new Set<NodeId>()
    const redialler = new Redialler(
      {
        clock, random: seededRandom(3), log: silentLog,
        isConnected: (peer) => connected.has(peer),
        dial: async (addresses) => {
          dials.push({ addresses, atMs: clock.monotonicMs() })
          const peer = [...init.up].find((id) => addresses.some((address) => address.endsWith(id)))
          if (peer === undefined) throw new Error('nobody there')
          connected.add(peer)
          redialler.peerConnected(peer)
          return peer
        },
      },
      { backoffMsMin: 1000, backoffMsMax: 60_000, dialDeadlineMs: 5000, dialsMax: 4 },
    )
    return { clock, dials, connected, redialler }
  }
  const peer = idOf(1)

  it('never forgets, and never waits longer than its cap', async () => {
    const { clock, dials, redialler } = make({ up: new Set() })
    redialler.add('x', peer, () => [`/a/${peer}`])
    redialler.start()
    await clock.advance(24 * 3_600_000)
    const gaps = dials.slice(1).map(({ atMs }, i) => atMs - dials[i]!.atMs)
    assert.ok(dials.length > 24 * 60, `${dials.length} dials in a day`)
    assert.ok(Math.max(...gaps) <= 60_000)
    redialler.stop()
  })

  it('dials again what was lost, stops when removed, and at once after a wake-up', async () => {
    const up = new Set([peer])
    const { clock, dials, connected, redialler } = make({ up })
    redialler.add('x', peer, () => [`/a/${peer}`])
    redialler.start()
    await clock.advance(0)
    assert.equal(connected.has(peer), true)
    up.clear()
    connected.clear()
    redialler.peerDisconnected(peer)
    await clock.advance(3_600_000)
    up.add(peer)
    const before = dials.length
    redialler.redialAll()
    await clock.advance(0)
    assert.equal(dials.length, before + 1)
    assert.equal(connected.has(peer), true)
    redialler.remove('x')
    connected.clear()
    redialler.peerDisconnected(peer)
    await clock.advance(3_600_000)
    assert.equal(dials.length, before + 1)
  })

  it('gets to who is there, however many are away and tried again and again; after a wake-up to those first', async () => {
    const clock = new VirtualClock()
    const connected = new Set<NodeId>()
    const away = Array.from({ length: 12 }, (_, i) => idOf(100 + i))
    const there = Array.from({ length: 3 }, (_, i) => idOf(200 + i))
    const redialler = new Redialler(
      {
        clock, random: seededRandom(3), log: silentLog,
        isConnected: (id) => connected.has(id),
        dial: async ([address], signal) => {
          const id = [...away, ...there].find((one) => address?.endsWith(one) === true) ?? assert.fail('nobody')
          // A packet to a machine that is off gets no answer of any kind.
          await clock.sleep(there.includes(id) ? 10 : 60_000, signal)
          connected.add(id)
          redialler.peerConnected(id)
          return id
        },
      },
      { backoffMsMin: 1000, backoffMsMax: 60_000, dialDeadlineMs: 5000, dialsMax: 4 },
    )
    for (const id of [...away, ...there]) redialler.add(id, id, () => [`/a/${id}`])
    redialler.start()
    // Each of those before them has its one try.
    await clock.advance(20_000)
    assert.deepEqual([...connected].sort(), [...there].sort())
    for (let i = 0; i < 5; i++) {
      await clock.advance(10_000 + 700 * i)
      for (const id of there) {
        connected.delete(id)
        redialler.peerDisconnected(id)
      }
      redialler.redialAll()
      await clock.advance(100)
      assert.deepEqual([...connected].sort(), [...there].sort())
    }
    redialler.stop()
  })

  it('dials a few at a time, and gets to all', async () => {
    const ids = Array.from({ length: 20 }, (_, i) => idOf(i))
    const { clock, connected, redialler } = make({ up: new Set(ids) })
    for (const id of ids) redialler.add(id, id, () => [`/a/${id}`])
    redialler.start()
    await clock.advance(1)
    assert.equal(connected.size, 20)
  })
})

describe('net: wake detector', () => {
  it('sees the wall clock jump, and nothing in ordinary times', async () => {
    const clock = new VirtualClock()
    const wakes: number[] = []
    const detector = new WakeDetector({ clock })
    detector.start((ms) => wakes.push(ms))
    await clock.advance(3_600_000)
    assert.deepEqual(wakes, [])
    clock.jumpWall(7_200_000)
    await clock.advance(2_000)
    assert.equal(wakes.length, 1)
    assert.ok(Math.abs(wakes[0]! - 7_200_000) < 2_000)
    clock.jumpWall(-3_600_000)
    await clock.advance(10_000)
    assert.equal(wakes.length, 1)
    detector.stop()
  })
})

describe('net: fair queue', () => {
  const frame = (type: number, flags: number, stream: number, length: number): Uint8ArrayList => {
    const header = new Uint8Array(12)
    header[1] = type
    const view = new DataView(header.buffer)
    view.setUint16(2, flags)
    view.setUint32(4, stream)
    view.setUint32(8, length)
    return type === 0 ? new Uint8ArrayList(header, new Uint8Array(length)) : new Uint8ArrayList(header)
  }
  const headersOf = (write: Uint8Array | Uint8ArrayList): { type: number; stream: number; flags: number; length: number }[] => {
    const bytes = write.subarray()
    const found: { type: number; stream: number; flags: number; length: number }[] = []
    for (let at = 0; at < bytes.length; ) {
      const view = new DataView(bytes.buffer, bytes.byteOffset + at)
      const one = { type: bytes[at + 1]!, flags: view.getUint16(2), stream: view.getUint32(4), length: view.getUint32(8) }
      found.push(one)
      at += 12 + (one.type === 0 ? one.length : 0)
    }
    return found
  }

  it('a small message is behind one frame of each busy stream', () => {
    const queue = new FairQueue()
    for (let i = 0; i < 100; i++) queue.push(frame(0, 0, 1, 60_000))
    assert.equal(headersOf(queue.shift()!)[0]?.stream, 1)
    queue.push(frame(0, 0, 3, 100))
    assert.equal(headersOf(queue.shift()!)[0]?.stream, 1)
    assert.equal(headersOf(queue.shift()!)[0]?.stream, 3)
  })

  it('keeps the order of each stream, loses nothing, and ends with the go-away', () => {
    fc.assert(fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat(40_000)), { maxLength: 60 }), (data) => {
      const queue = new FairQueue()
      queue.push(frame(3, 0, 0, 0))
      for (const [stream, length] of data) queue.push(frame(0, 0, stream, length))
      for (let stream = 1; stream <= 5; stream++) queue.push(frame(1, 4, stream, 0))
      queue.push(frame(2, 1, 0, 7))
      const out: ReturnType<typeof headersOf> = []
      for (let write = queue.shift(); write !== undefined; write = queue.shift()) out.push(...headersOf(write))
      for (let stream = 1; stream <= 5; stream++) {
        const mine = out.filter((one) => one.stream === stream)
        assert.deepEqual(mine.map(({ type, length }) => [type, length]), [...data.filter(([number]) => number === stream).map(([, length]) => [0, length]), [1, 0]])
      }
      assert.equal(out.at(-1)?.type, 3)
      assert.equal(queue.bytes, 0)
      assert.ok(queue.isEmpty)
    }))
  })

  it('a reset overtakes much data, and throws it away', () => {
    const queue = new FairQueue()
    for (let i = 0; i < 10; i++) queue.push(frame(0, 0, 1, 60_000))
    queue.push(frame(1, 8, 1, 0))
    assert.deepEqual(headersOf(queue.shift()!).map(({ flags }) => flags), [8])
    assert.equal(queue.shift(), undefined)
  })
})

describe('net: provider records', () => {
  const cidOf = (i: number): CID => CID.createV1(0x55, createDigest(0x12, createHash('sha256').update(String(i)).digest()))
  const self = idOf(0)
  const hourMs = 3_600_000

  const make = (peers: NodeId[], failing = new Set<NodeId>(), silent = new Set<NodeId>()) => {
    const clock = new VirtualClock()
    const meta = new MemoryMeta()
    const records = new ProviderRecords({ meta, clock }, { validityMs: 30 * hourMs, recordsMax: 100_000, memoryEntriesMax: 10 })
    const schedule = new ProvideSchedule({ meta, records, clock }, { self })
    const sent: { peer: NodeId; count: number; atMs: number }[] = []
    const announcer = new Announcer(
      {
        schedule, clock, random: seededRandom(1), log: silentLog, servers: () => peers,
        send: async (peer, multihashes) => {
          if (failing.has(peer)) throw new Error('away')
          if (silent.has(peer)) {
            await clock.sleep(30_000)
            throw new Error('no answer')
          }
          await clock.sleep(10)
          sent.push({ peer, count: multihashes.length, atMs: clock.monotonicMs() })
        },
      },
      { againMs: 12 * hourMs, batchRecords: 64, copies: 20, peersAtOnce: 4, dutyRatio: 0.2 },
    )
    return { clock, meta, records, schedule, announcer, sent }
  }

  it('announces at once, once, and again before records lapse', async () => {
    const { clock, schedule, announcer, sent } = make([idOf(1)])
    const controller = new AbortController()
    const running = announcer.run(controller.signal)
    assert.equal(await schedule.add(Array.from({ length: 100 }, (_, i) => cidOf(i))), 100)
    assert.equal(await schedule.add([cidOf(5)]), 0)
    announcer.notify()
    await clock.advance(5_000)
    const total = (): number => sent.reduce((sum, { count }) => sum + count, 0)
    assert.equal(total(), 100)
    assert.equal(announcer.lagMs, 0)
    await clock.advance(10 * hourMs)
    assert.equal(total(), 100)
    await schedule.remove(Array.from({ length: 50 }, (_, i) => cidOf(i)))
    await clock.advance(3 * hourMs)
    assert.equal(total(), 150)
    controller.abort()
    await clock.outcome(running)
  })

  it('does not rest from waiting for a node that is silent', async () => {
    const [good, silent] = [idOf(1), idOf(2)]
    const { clock, schedule, announcer, sent } = make([good, silent], new Set(), new Set([silent]))
    const controller = new AbortController()
    const running = announcer.run(controller.signal)
    await schedule.add([cidOf(1)])
    announcer.notify()
    await clock.advance(1_000)
    await schedule.add([cidOf(2)])
    announcer.notify()
    await clock.advance(31_000)
    assert.deepEqual(sent.map(({ peer, count }) => [peer, count]), [[good, 1], [good, 1]])
    controller.abort()
    await clock.advance(60_000)
    await clock.outcome(running)
  })

  it('new ones do not stand behind a backlog, nor the backlog behind new ones', async () => {
    const { clock, schedule, announcer, sent } = make([idOf(1)])
    await schedule.add(Array.from({ length: 300 }, (_, i) => cidOf(i)))
    await schedule.announced(await schedule.due('new', 1000), () => clock.wallMs() - 1000)
    await schedule.add(Array.from({ length: 100 }, (_, i) => cidOf(1000 + i)))
    const controller = new AbortController()
    const running = announcer.run(controller.signal)
    await clock.until(() => sent.length === 2, 10_000)
    assert.equal((await schedule.due('new', 1000)).length, 100 - 2 * 48)
    assert.ok(announcer.lagMs > 0)
    controller.abort()
    await clock.outcome(running)
  })

  it('waits for somebody to tell, and tries again after a failure', async () => {
    const peers: NodeId[] = []
    const failing = new Set([idOf(1)])
    const { clock, schedule, announcer, sent } = make(peers, failing)
    const controller = new AbortController()
    const running = announcer.run(controller.signal)
    await schedule.add([cidOf(1)])
    announcer.notify()
    await clock.advance(10_000)
    assert.ok(announcer.lagMs <= 0)
    peers.push(idOf(1))
    announcer.notify()
    await clock.advance(10_000)
    assert.equal(sent.length, 0)
    const lag = (): number => announcer.lagMs
    assert.ok(lag() > 5_000)
    failing.clear()
    await clock.advance(120_000)
    assert.equal(sent.length, 1)
    controller.abort()
    await clock.outcome(running)
  })

  it('goes on after a restart where it stopped', async () => {
    const first = make([])
    await first.schedule.add([cidOf(1), cidOf(2)])
    const again = new ProvideSchedule({ meta: first.meta, records: first.records, clock: first.clock }, { self })
    assert.deepEqual((await again.due('new', 10)).map(({ text }) => text).sort(), [cidOf(1), cidOf(2)].map(String).sort())
  })

  it('own records are found, lapsed ones are not, and are swept', async () => {
    const { clock, records, schedule } = make([])
    await schedule.add([cidOf(1)])
    const prefix = `/dht/provider/${Buffer.from('').toString()}`
    const all = async (): Promise<number> => {
      const { base32 } = await import('multiformats/bases/base32')
      let count = 0
      for await (const pair of records.query({ prefix: `${prefix}${base32.baseEncode(cidOf(1).multihash.bytes)}` })) count += pair.value.length > 0 ? 1 : 0
      return count
    }
    // Who is not known to libp2p's peer store is not named: kad-dht would answer with an error.
    assert.equal(await all(), 0)
    await records.put(new Key(`/peers/${peerIdFromString(self).toCID().toString()}`), new Uint8Array(1))
    assert.equal(await all(), 1)
    await clock.advance(31 * hourMs)
    assert.equal(await all(), 0)
    assert.equal(await clock.outcome(records.sweep(new AbortController().signal)), 0)
  })

  it('keeps no long value that a member put under a key that nobody checks', async () => {
    const { records } = make([])
    for (const [name, length] of [['/dht/record/a', 4 * 2 ** 20], ['/peers/b', 2000]] as const) await records.put(new Key(name), new Uint8Array(length))
    assert.equal(await records.has(new Key('/dht/record/a')), false)
    assert.equal((await records.get(new Key('/peers/b'))).length, 2000)
  })

  it('values that members put push out no peer', async () => {
    const { records } = make([])
    await records.put(new Key('/peers/a'), new Uint8Array(1))
    for (let i = 0; i < 1000; i++) await records.put(new Key(`/dht/record/${i}`), new Uint8Array(1))
    assert.equal(await records.has(new Key('/peers/a')), true)
    assert.equal(await records.has(new Key('/dht/record/0')), false)
    assert.equal(await records.has(new Key('/dht/record/999')), true)
  })

  it('picks the closest by XOR, like a naive sort', () => {
    const nodes = Array.from({ length: 50 }, (_, i) => idOf(i))
    for (let i = 0; i < 20; i++) {
      const key = cidOf(i).multihash.bytes
      const picked = closestPeers(key, nodes, 20)
      assert.equal(new Set(picked).size, 20)
    }
    assert.deepEqual(closestPeers(cidOf(1).multihash.bytes, nodes.slice(0, 5), 20), nodes.slice(0, 5))
  })
})
