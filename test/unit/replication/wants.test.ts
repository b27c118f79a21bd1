import assert from 'node:assert/strict'
import { Vouchers } from '../../../src/replication/vouchers.js'
import { Wants } from '../../../src/replication/wants.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf } from '../../simulation/net-twin.js'
import { cidOf, MemoryKeyValue, recordOf, TwinCatalog } from '../../simulation/replication/twins.js'

const self = idOf(1)
const root = cidOf('root').toString()
const part = cidOf('part').toString()

describe('replication: which files want a blob', () => {
  const make = async (): Promise<{ wants: Wants; catalog: TwinCatalog; held: Set<string>; change: (replicas: number) => void }> => {
    const catalog = new TwinCatalog(new Map())
    const held = new Set([root, part])
    const vouchers = new Vouchers({ meta: new MemoryKeyValue(), clock: new VirtualClock() })
    const wants = new Wants({ catalog, meta: new MemoryKeyValue(), vouchers }, { self, isHeld: (cid) => held.has(cid) })
    let modified = 0
    const change = (replicas: number): void => {
      catalog.take(recordOf('/file', self, ++modified, { cid: root, size: 1, priority: 'normal', replicas }), true)
      wants.changed(root)
    }
    change(2)
    await wants.addParts(root, [part])
    return { wants, catalog, held, change }
  }

  it('is remembered for what is held, until the catalog changes', async () => {
    const { wants, change } = await make()
    assert.equal((await wants.of(part))?.wanted, 2)
    assert.equal(wants.last(part)?.wanted, 2)
    change(3)
    assert.equal(wants.last(part), undefined)
    assert.equal((await wants.of(part))?.wanted, 3)
  })

  it('the one file that has it answers for it, told before the blob is here: the catalog is not asked', async () => {
    const { wants, catalog, held } = await make()
    const record = recordOf('/new', self, 9, { cid: cidOf('new').toString(), size: 1, priority: 'normal', replicas: 3 })
    const cid = record.content!.cid
    catalog.byCid = async () => {
      throw new Error('asked')
    }
    wants.changed(cid, record)
    assert.equal((await wants.of(cid))?.wanted, 3)
    assert.equal(wants.last(cid), undefined, 'it is not held yet')
    held.add(cid)
    for (let i = 0; i < 2; i++) assert.deepEqual([(await wants.of(cid))?.wanted, wants.last(cid)?.wanted], [3, 3])
    // Of what is a part of another file, that one has a say as well; and after a change nothing stands.
    wants.changed(part, record)
    await assert.rejects(wants.of(part), /asked/)
    wants.changed(cid)
    await assert.rejects(wants.of(cid), /asked/)
  })

  it('nothing is remembered of a blob that was dropped: not what was asked before, in the middle, or after', async () => {
    const { wants, held, change } = await make()
    await wants.of(part)
    // Asked just before it goes, answered just after.
    const asked = wants.of(part)
    const late = wants.of(root)
    held.delete(part)
    held.delete(root)
    await wants.forget(part)
    await wants.forget(root)
    await Promise.all([asked, late])
    assert.deepEqual([wants.last(part), wants.last(root)], [undefined, undefined])
    // A plan that was made before still comes by.
    await wants.of(root)
    await wants.of(part)
    assert.deepEqual([wants.last(part), wants.last(root)], [undefined, undefined])
    // While it is away nothing tells it of changes; when it is back it must not go by what was true before.
    change(5)
    held.add(root)
    held.add(part)
    await wants.addParts(root, [part])
    assert.deepEqual([(await wants.of(part))?.wanted, (await wants.of(root))?.wanted], [5, 5])
  })

  it('an answer from before it went says nothing of it once it is back, however long it took', async () => {
    const { wants, catalog, held } = await make()
    let answer = (): void => undefined
    const byCid = catalog.byCid.bind(catalog)
    catalog.byCid = async (cid) => {
      const records = await byCid(cid)
      await new Promise<void>((resolve) => {
        const before = answer
        answer = () => {
          before()
          resolve()
        }
      })
      return records
    }
    const asked = wants.of(part)
    await new Promise((resolve) => setImmediate(resolve))
    held.delete(part)
    await wants.forget(part)
    // Back as a file of its own, and a part of none as far as is known.
    held.add(part)
    answer()
    assert.equal((await asked)?.wanted, 2)
    assert.equal(wants.last(part), undefined)
  })

  it('in more files than are remembered: when those are gone it is not taken for nobody\'s, after a restart neither', async () => {
    const catalog = new TwinCatalog(new Map())
    const disk = new Map<string, Uint8Array>()
    const make = (): Wants => new Wants({ catalog, meta: new MemoryKeyValue(disk), vouchers: new Vouchers({ meta: new MemoryKeyValue(), clock: new VirtualClock() }) }, { self, isHeld: () => true })
    const wants = make()
    const another = cidOf('another').toString()
    const rootOf = (i: number): string => cidOf(`root ${String(i)}`).toString()
    for (let i = 0; i < 16; i++) await wants.addParts(rootOf(i), [part, another])
    // Said again: none of them is a new one.
    await wants.addParts(rootOf(3), [part])
    assert.equal(wants.isCrowded(part), false)
    await wants.addParts(rootOf(16), [part])
    const again = make()
    await again.load()
    for (const one of [wants, again]) {
      assert.deepEqual([one.isCrowded(part), one.isCrowded(another), one.rootsOf(part).length], [true, false, 16])
    }
    await again.forget(part)
    const third = make()
    await third.load()
    assert.deepEqual([again.isCrowded(part), third.isCrowded(part), third.rootsOf(part).length, third.rootsOf(another).length], [false, false, 0, 16])
  })
})
