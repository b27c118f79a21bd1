import assert from 'node:assert/strict'
import fc from 'fast-check'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import type { NodeId } from '../../../src/base/index.js'
import { parseCid as catalogParses } from '../../../src/catalog/record.js'
import { Dropper } from '../../../src/replication/dropper.js'
import { Forgotten } from '../../../src/replication/forgotten.js'
import { Herald } from '../../../src/replication/herald.js'
import type { HeraldComponents } from '../../../src/replication/herald.js'
import { Trust } from '../../../src/replication/trust.js'
import { Vouchers } from '../../../src/replication/vouchers.js'
import { Wants } from '../../../src/replication/wants.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf } from '../../simulation/net-twin.js'
import { cidOf, MemoryKeyValue, recordOf, TwinCatalog } from '../../simulation/replication/twins.js'

type Rows = Map<string, Uint8Array>
const [self, peer, other] = [idOf(1), idOf(2), idOf(3)]
const [blob, second, root] = ['blob', 'second', 'root'].map((name) => cidOf(name).toString()) as [string, string, string]
const hour = 3600_000
const week = 7 * 24 * hour
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

/** What becomes of one row: wrong bytes in its key or value, a part of it, or something else altogether. */
const damage = fc.record({
  row: fc.nat(),
  inKey: fc.boolean(),
  kind: fc.constantFrom('set', 'cut', 'be', 'digits'),
  at: fc.nat(),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }),
})
type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never

/** The key of the row that was damaged, as it was. */
function harm(rows: Rows, { row, inKey, kind, at, bytes }: Damage): string {
  const keys = [...rows.keys()].sort()
  const key = keys[row % keys.length]!
  const old = inKey ? Buffer.from(key, 'latin1') : Buffer.from(rows.get(key)!)
  let harmed = Buffer.from(old)
  if (kind === 'be') harmed = Buffer.from(bytes)
  else if (kind === 'cut') harmed = harmed.subarray(0, at % (harmed.length + 1))
  // The worst for what is a number: a much larger one.
  else if (kind === 'digits') harmed = Buffer.concat([harmed, Buffer.from('99999999999')])
  else if (harmed.length > 0) harmed[at % harmed.length] = bytes[0]!
  const value = rows.get(key)!
  rows.delete(key)
  rows.set(inKey ? harmed.toString('latin1') : key, inKey ? value : harmed)
  return key
}

describe('replication: rows that are damaged on the disk', () => {
  const check = async (write: (rows: Rows) => Promise<void>, read: (rows: Rows, damaged: string) => Promise<void>): Promise<void> => {
    await fc.assert(
      fc.asyncProperty(damage, async (how) => {
        const rows: Rows = new Map()
        await write(rows)
        await read(rows, harm(rows, how))
      }),
      { numRuns: 300 },
    )
  }

  it('strikes: the others stand, and none stands for ever', async () => {
    const now = 1.7e12
    await check(
      async (rows) => {
        const trust = new Trust(new MemoryKeyValue(rows))
        for (const node of [peer, other]) for (let i = 0; i < 2; i++) await trust.strike(node, now + i)
      },
      async (rows, damaged) => {
        const trust = new Trust(new MemoryKeyValue(rows))
        await trust.load(now + hour)
        for (const node of [peer, other]) if (damaged !== node) assert.equal(trust.trusts(node, now + hour), false)
        assert.deepEqual(trust.untrusted(now + 2 * week + hour), [])
      },
    )
  })

  it('vouchers: the others stand, and none stands for longer than it could have been given', async () => {
    await check(
      async (rows) => {
        const vouchers = new Vouchers({ meta: new MemoryKeyValue(rows), clock: new VirtualClock() })
        await vouchers.take(blob, peer, 2, 2)
        await vouchers.take(second, peer, 3, 2)
      },
      async (rows, damaged) => {
        const clock = new VirtualClock()
        const vouchers = new Vouchers({ meta: new MemoryKeyValue(rows), clock })
        await vouchers.load()
        for (const cid of [blob, second]) if (!damaged.startsWith(cid)) assert.equal(vouchers.of(cid, self)?.by, peer)
        for (const cids of vouchers.byMember().values()) for (const cid of cids) catalogParses(cid)
        await clock.advance(hour + 1)
        for (const { cid, by } of vouchers.lapsed()) await vouchers.release(cid, by)
        assert.equal(vouchers.byMember().size, 0)
      },
    )
  })

  it('parts of files: what is asked of the catalog afterwards is a CID, and the other parts are known', async () => {
    const asked: string[] = []
    const catalog = new TwinCatalog(new Map([['/f', recordOf('/f', peer, 1, { cid: root, size: 1, priority: 'normal', replicas: 3 })]]))
    catalog.byCid = async (cid) => {
      asked.push(cid)
      return TwinCatalog.prototype.byCid.call(catalog, catalogParses(cid).toString())
    }
    const make = (rows: Rows): Wants =>
      new Wants({ catalog, meta: new MemoryKeyValue(rows), vouchers: new Vouchers({ meta: new MemoryKeyValue(), clock: new VirtualClock() }) }, { self, isHeld: () => true })
    await check(
      async (rows) => make(rows).addParts(root, [blob, second]),
      async (rows, damaged) => {
        const wants = make(rows)
        await wants.load()
        for (const cid of [blob, second]) {
          const want = await wants.of(cid)
          if (!damaged.startsWith(cid)) assert.equal(want?.wanted, 3)
        }
        await wants.forget(blob)
      },
    )
    assert.ok(asked.length > 0)
  })

  it('a record that cannot be read: its blob stays', async () => {
    const catalog = new TwinCatalog(new Map())
    catalog.byCid = async () => {
      throw Object.assign(new Error('cannot be read'), { code: 'BAD_RECORD' })
    }
    const wants = new Wants({ catalog, meta: new MemoryKeyValue(), vouchers: new Vouchers({ meta: new MemoryKeyValue(), clock: new VirtualClock() }) }, { self, isHeld: () => true })
    assert.deepEqual(await wants.of(blob), { wanted: 1, priority: 'normal', owner: self, pinned: true, own: false })
    catalog.byCid = async () => {
      throw Object.assign(new Error('closed'), { code: 'CLOSED' })
    }
    await assert.rejects(wants.of(second), { code: 'CLOSED' })
  })

  it('promises: the others bind, and none for longer than could have been asked for', async () => {
    const dropper = (rows: Rows, clock: VirtualClock): Dropper =>
      new Dropper(
        { meta: new MemoryKeyValue(rows), clock, random: seededRandom(1), log: silentLog } as unknown as ConstructorParameters<typeof Dropper>[0],
        { self } as unknown as ConstructorParameters<typeof Dropper>[1],
      )
    await check(
      async (rows) => {
        const untilMs = String(new VirtualClock().wallMs() + hour / 4)
        for (const cid of [blob, second]) rows.set(`${cid} ${peer} 00112233`, text(untilMs))
      },
      async (rows, damaged) => {
        const clock = new VirtualClock()
        const one = dropper(rows, clock)
        await one.load()
        for (const cid of [blob, second]) if (!damaged.startsWith(cid)) assert.equal(one.isBound(cid), true)
        await clock.advance(24 * hour)
        for (const cid of [blob, second]) assert.equal(one.isBound(cid), false)
        await one.tick(new AbortController().signal)
      },
    )
  })

  it('forgotten nodes: the others stay forgotten', async () => {
    await check(
      async (rows) => {
        const forgotten = new Forgotten({ meta: new MemoryKeyValue(rows), nodes: new Set() })
        await forgotten.add(peer)
        await forgotten.add(other)
      },
      async (rows, damaged) => {
        const nodes = new Set<NodeId>()
        await new Forgotten({ meta: new MemoryKeyValue(rows), nodes }).load()
        for (const node of [peer, other]) if (!damaged.endsWith(node)) assert.ok(nodes.has(node))
      },
    )
  })

  it('the number of this start: a whole one that fits into a message, and another one the next time', async () => {
    const herald = (rows: Rows): Herald => {
      const components = { meta: new MemoryKeyValue(rows), clock: new VirtualClock(), log: silentLog, inventory: { salt: { high: 1, low: 2 }, version: 0, size: 0 } }
      return new Herald(components as unknown as HeraldComponents, {
        settings: () => ({ vitalsPerMemberMs: 1, vitalsMinMs: 1, vitalsMaxMs: 1 }), members: () => 1, quota: () => undefined, flags: () => 0, evictable: () => [],
      })
    }
    await check(
      async (rows) => herald(rows).load(),
      async (rows) => {
        const [first, next] = [herald(rows), herald(rows)]
        await first.load()
        await next.load()
        for (const one of [first, next]) assert.ok(Number.isSafeInteger(one.vitals().boot) && one.vitals().boot > 0)
        assert.ok(next.vitals().boot > first.vitals().boot)
      },
    )
  })
})
