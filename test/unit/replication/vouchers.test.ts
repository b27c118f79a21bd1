import assert from 'node:assert/strict'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import { Vouchers } from '../../../src/replication/vouchers.js'
import { Vouching } from '../../../src/replication/vouching.js'
import { Wants } from '../../../src/replication/wants.js'
import { VouchedRequest, VouchedResponse } from '../../../src/replication/wire/replication.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf, SimulatedNetwork } from '../../simulation/net-twin.js'
import type { SimulatedNode } from '../../simulation/net-twin.js'
import { cidOf, MemoryKeyValue, recordOf, TwinCatalog } from '../../simulation/replication/twins.js'

const minute = 60_000
const [self, by, other] = [idOf(1), idOf(2), idOf(3)]
const blob = cidOf('blob').toString()
/** `normal` among the priorities, least first. */
const normal = 2

describe('replication: vouchers', () => {
  const make = (clock = new VirtualClock(), disk = new Map<string, Uint8Array>()): { vouchers: Vouchers; clock: VirtualClock; disk: Map<string, Uint8Array> } => {
    return { vouchers: new Vouchers({ meta: new MemoryKeyValue(disk), clock }), clock, disk }
  }

  it('are on disk before they are relied on, and a restart forgets none', async () => {
    const { vouchers, clock, disk } = make()
    await vouchers.take(blob, by, 3, normal)
    const again = make(clock, disk).vouchers
    assert.equal(again.of(blob, self), undefined)
    await again.load()
    assert.deepEqual(again.of(blob, self), { wanted: 3, priority: 'normal', by })
    assert.deepEqual([...again.byMember()], [[by, [blob]]])
    await again.release(blob, by)
    const third = make(clock, disk).vouchers
    await third.load()
    assert.equal(third.of(blob, self), undefined)
  })

  it('stand for an hour after they were heard of last', async () => {
    const { vouchers, clock } = make()
    await vouchers.take(blob, by, 1, normal)
    await clock.advance(59 * minute)
    assert.deepEqual(vouchers.lapsed(), [])
    vouchers.renew(blob, by)
    await clock.advance(59 * minute)
    assert.deepEqual(vouchers.lapsed(), [])
    await clock.advance(minute)
    assert.deepEqual(vouchers.lapsed(), [{ cid: blob, by }])
  })

  it('are so many for each member and no more, whatever is asked for', async () => {
    const { vouchers } = make()
    let taken = 0
    await assert.rejects(async () => {
      for (; taken < 100_000; taken++) await vouchers.take(`blob${String(taken)}`, by, 1, normal)
    }, { code: 'OVERLOADED' })
    assert.equal(taken, 16_384)
    await vouchers.take('blob0', by, 2, normal)
    await vouchers.take('another', other, 1, normal)
    await vouchers.release('blob0', by)
    await vouchers.take('more', by, 1, normal)
    await assert.rejects(vouchers.take('still more', by, 1, normal), { code: 'OVERLOADED' })
    await vouchers.take(blob, other, 1e9, 77)
    assert.deepEqual(vouchers.of(blob, self), { wanted: 64, priority: 'normal', by: other })
  })

  it('of its own: as long as the last import has it', () => {
    const { vouchers } = make()
    vouchers.open(blob, 2, 'low')
    vouchers.open(blob, 3, 'low')
    vouchers.acknowledged(blob, other)
    vouchers.close(blob)
    assert.deepEqual(vouchers.of(blob, self), { wanted: 3, priority: 'low', by: self })
    assert.deepEqual([...(vouchers.acknowledgedBy(blob) ?? [])], [other])
    vouchers.close(blob)
    assert.equal(vouchers.of(blob, self), undefined)
    vouchers.acknowledged(blob, other)
    assert.equal(vouchers.acknowledgedBy(blob), undefined, 'an acknowledgement that comes after the end is for nobody')
  })
})

describe('replication: asking what became of vouchers', () => {
  interface Side {
    vouchers: Vouchers
    wants: Wants
    vouching: Vouching
    catalog: TwinCatalog
    released: [string, boolean][]
    knowsAllParts: boolean
  }
  interface World { clock: VirtualClock; network: SimulatedNetwork; taker: Side; giver: Side; giverNode: SimulatedNode }

  const side = (node: SimulatedNode, clock: VirtualClock): Side => {
    const catalog = new TwinCatalog(new Map())
    const vouchers = new Vouchers({ meta: new MemoryKeyValue(), clock })
    const wants = new Wants({ catalog, meta: new MemoryKeyValue(), vouchers }, { self: node.self, isHeld: () => true })
    const made = { vouchers, wants, catalog, released: [], knowsAllParts: true } as unknown as Side
    made.vouching = new Vouching(
      { rpc: node.rpc, connections: node, clock, log: silentLog, vouchers, wants },
      { knowsAllParts: () => made.knowsAllParts, released: (cid, removed) => made.released.push([cid, removed]) },
    )
    return made
  }

  /** One that took a blob on the word of the other; `answer` instead of the other's own. */
  async function world(answer?: (body: Uint8Array) => Uint8Array): Promise<World> {
    const clock = new VirtualClock()
    const network = new SimulatedNetwork({ clock, random: seededRandom(1) })
    const [takerNode, giverNode] = [network.node(self), network.node(by)]
    const [taker, giver] = [side(takerNode, clock), side(giverNode, clock)]
    giverNode.rpc.register({
      name: 'replication.vouched', requestBytesMax: 60_000, responseBytesMax: 60_000, inFlightMax: 2,
      handle: async (body) => answer?.(body) ?? giver.vouching.answer(body),
    })
    await clock.advance(10_000)
    await taker.vouchers.take(blob, by, 2, normal)
    return { clock, network, taker, giver, giverNode }
  }
  async function during(clock: VirtualClock, vouching: Vouching, ms: number): Promise<void> {
    const stop = new AbortController()
    const running = vouching.run(stop.signal)
    await clock.advance(ms)
    stop.abort()
    await clock.outcome(running)
  }
  const publish = (one: Side, root: string): boolean => one.catalog.take(recordOf('/file', by, 1, { cid: root, size: 1, priority: 'high', replicas: 2 }), true)

  it('on its way: it stays, however long that takes', async () => {
    const { clock, taker, giver } = await world()
    giver.vouchers.open(blob, 2, 'normal')
    await during(clock, taker.vouching, 3 * 60 * minute)
    assert.notEqual(taker.vouchers.of(blob, self), undefined)
    assert.deepEqual(taker.released, [])
  })

  it('unknown to who vouched: it goes within seconds', async () => {
    const { clock, taker } = await world()
    await during(clock, taker.vouching, 6_000)
    assert.equal(taker.vouchers.of(blob, self), undefined)
    assert.deepEqual(taker.released, [[blob, true]])
  })

  it('a part of a file: it is one here, too, once the file has come here; and until then nothing is let go of', async () => {
    const { clock, taker, giver } = await world()
    const root = cidOf('root').toString()
    publish(giver, root)
    await giver.wants.addParts(root, [blob])
    await during(clock, taker.vouching, 20_000)
    assert.notEqual(taker.vouchers.of(blob, self), undefined, 'its record has not come here yet')
    publish(taker, root)
    await during(clock, taker.vouching, 6_000)
    assert.equal(taker.vouchers.of(blob, self), undefined)
    assert.deepEqual(taker.released, [])
    assert.deepEqual(taker.wants.rootsOf(blob), [root])
    assert.equal((await taker.wants.ask(blob))?.priority, 'high')
  })

  it('another member\'s word for the same blob, here or there, makes no file of it', async () => {
    const { clock, taker, giver } = await world()
    await giver.vouchers.take(blob, other, 2, normal)
    assert.equal(await taker.vouching.settle(blob, blob, by), false)
    await during(clock, taker.vouching, 6_000)
    assert.deepEqual(taker.released, [[blob, true]])
  })

  it('who cannot say which parts its files have says of none that it is unknown', async () => {
    const { clock, taker, giver } = await world()
    giver.knowsAllParts = false
    await during(clock, taker.vouching, 60_000)
    assert.deepEqual(taker.released, [])
    giver.knowsAllParts = true
    await during(clock, taker.vouching, 6_000)
    assert.deepEqual(taker.released, [[blob, true]])
  })

  it('no answer: it stays for an hour, and is then nobody\'s, but not removed', async () => {
    const { clock, taker, giverNode, network } = await world()
    giverNode.crash()
    network.rewire()
    await during(clock, taker.vouching, 59 * minute)
    assert.deepEqual(taker.released, [])
    await during(clock, taker.vouching, 2 * minute)
    assert.deepEqual(taker.released, [[blob, false]])
  })

  it('answers that are none change nothing', async () => {
    for (const answer of [
      () => VouchedResponse.encode({ states: new Uint8Array(0), roots: [] }),
      () => VouchedResponse.encode({ states: new Uint8Array(5), roots: [] }),
      () => VouchedResponse.encode({ states: Uint8Array.of(2), roots: [] }),
      () => VouchedResponse.encode({ states: Uint8Array.of(2), roots: [Uint8Array.of(1, 2, 3)] }),
      () => VouchedResponse.encode({ states: Uint8Array.of(2), roots: [cidOf('a file that is not there').bytes] }),
      () => VouchedResponse.encode({ states: Uint8Array.of(200), roots: [] }),
      () => Uint8Array.of(0xff, 0xff),
    ]) {
      const { clock, taker } = await world(answer)
      await during(clock, taker.vouching, 20_000)
      assert.notEqual(taker.vouchers.of(blob, self), undefined)
      assert.deepEqual(taker.released, [])
    }
  })

  it('is asked in portions that the other takes', async () => {
    const sizes: number[] = []
    const { clock, taker } = await world((body) => {
      const { cids } = VouchedRequest.decode(body)
      sizes.push(cids.length)
      return VouchedResponse.encode({ states: new Uint8Array(cids.length).fill(1), roots: [] })
    })
    for (let i = 0; i < 1200; i++) await taker.vouchers.take(cidOf(`blob ${String(i)}`).toString(), by, 1, normal)
    await during(clock, taker.vouching, 5_500)
    assert.deepEqual(sizes, [512, 512, 177])
  })
})
