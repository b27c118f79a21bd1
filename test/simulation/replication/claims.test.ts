import assert from 'node:assert/strict'
import { CID } from 'multiformats/cid'
import { ChallengeResponse, InventoryRequest, InventoryResponse, StoreRequest } from '../../../src/replication/wire/replication.js'
import { saltOf } from '../../../src/replication/fingerprint.js'
import { Inventory } from '../../../src/replication/inventory.js'
import { Mesh } from './mesh.js'
import type { Host } from './mesh.js'
import { Stranger } from './stranger.js'
import { cidOf } from './twins.js'

const mib = 2 ** 20
const second = 1000
const minute = 60 * second

describe('replication: what others say that they hold', function () {
  this.timeout(60_000)

  /** A stranger that lists one blob of sixty, which its owner has just put, and so keeps its second copy from being made. */
  async function listsOne(seed: number): Promise<{ mesh: Mesh; a: Host; stranger: Stranger; cid: string; honest: () => number }> {
    const mesh = new Mesh({ seed, nodes: 3, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    stranger.refuses('store')
    const others = Array.from({ length: 60 }, () => mesh.put(a, { bytes: 1000, replicas: 2 }))
    await mesh.until(() => others.every(({ cid }) => mesh.copies(cid).length === 2), 2 * minute, 'two copies of each')
    // Those are all proven by now: what is left to be found is the one.
    await mesh.clock.advance(15 * minute)
    const cid = mesh.put(mesh.hosts[2]!, { bytes: 1000, replicas: 1 }).cid
    await mesh.clock.advance(5 * second)
    const listed = new Inventory(saltOf(9n))
    listed.add({ cid, kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })
    stranger.answers('inventory', (body) => InventoryResponse.encode(listed.answer(InventoryRequest.decode(body))))
    // It says something new of itself every few seconds, so that nothing that was found out is soon out of date.
    let version = 1
    stranger.saysAgain(5 * second, () => ({ freeForOthersBytes: 0, inventorySalt: 9n, inventoryVersion: version++ }))
    return { mesh, a, stranger, cid, honest: () => mesh.copies(cid).filter((host) => host !== stranger.host).length }
  }

  for (const [how, answer] of [['with a proof that is none', () => ChallengeResponse.encode({ held: true, proof: new Uint8Array(32) })], ['with nothing', undefined]] as const) {
    it(`a lie about a single blob is asked for soon, and answered ${how} it does not stand`, async () => {
      const { mesh, stranger, cid, honest } = await listsOne(answer === undefined ? 96 : 97)
      const owner = mesh.hosts[2]!
      if (answer !== undefined) stranger.answers('challenge', answer)
      else stranger.answers('challenge', () => new Promise<Uint8Array>(() => undefined))
      await mesh.until(() => owner.replication.copiesAtHand(cid).includes(stranger.host.id), 30 * second, 'its word is taken')
      // Two copies are wanted from now on; and it seems that there are.
      const record = owner.catalog.all().find((one) => one.content?.cid === cid)!
      mesh.change(owner, record.path, { cid, size: 1000, priority: 'normal', replicas: 2 })
      await mesh.until(() => honest() === 2, 5 * minute, 'a second true copy')
      assert.ok(stranger.count('challenge') <= 8, `asked ${String(stranger.count('challenge'))} times`)
      // And it stays so, whatever new it says: no third copy is let go of for it.
      await mesh.clock.advance(12 * minute)
      assert.ok(!owner.replication.copiesAtHand(cid).includes(stranger.host.id) && honest() === 2)
      await mesh.end()
    })
  }

  it('who asks for a blob to be stored that is there is no holder for that alone', async () => {
    const mesh = new Mesh({ seed: 98, nodes: 3, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    stranger.refuses('store')
    stranger.answers('challenge', () => ChallengeResponse.encode({ held: false, proof: new Uint8Array(0) }))
    await stranger.says({ freeForOthersBytes: 0 })
    const { cid, path } = mesh.put(a, { bytes: 1000, replicas: 1 })
    await mesh.clock.advance(10 * second)
    await mesh.clock.outcome(stranger.asks(a, 'store', StoreRequest.encode({ cid: CID.parse(cid).bytes, spine: false, bytes: 1000, holders: [], move: false })))
    mesh.change(a, path, { cid, size: 1000, priority: 'normal', replicas: 2 })
    await mesh.until(() => mesh.copies(cid).length === 2, minute, 'a second true copy')
    assert.ok(stranger.count('challenge') > 0)
    await mesh.end()
  })
})

describe('replication: lists of parts', function () {
  this.timeout(60_000)

  it('a blob in more files than are remembered stays when those are gone', async () => {
    const mesh = new Mesh({ seed: 99, nodes: 2, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const a = mesh.hosts[0]!
    const part = cidOf('in seventeen files')
    a.blobs.put(part, mib)
    const put = async (i: number): Promise<void> => {
      const root = cidOf(`list ${String(i)}`)
      mesh.world.parts.set(root.toString(), [part.toString()])
      a.blobs.put(root, 500, 'spine')
      mesh.change(a, `/list${String(i)}`, { cid: root.toString(), size: mib, priority: 'low', replicas: 1 })
      a.replication.heldChanged()
      await mesh.clock.advance(second)
    }
    for (let i = 0; i < 17; i++) await put(i)
    for (let i = 0; i < 16; i++) mesh.change(a, `/list${String(i)}`, undefined)
    await mesh.until(() => !a.disk.held.has(cidOf('list 3').toString()), minute, 'what is nobody\'s goes')
    await mesh.clock.advance(minute)
    assert.ok(a.disk.held.has(part.toString()))
    await mesh.end()
  })

  it('of one member\'s files, endless ones are not taken, and blobs and others\' lists are', async () => {
    const mesh = new Mesh({ seed: 100, nodes: 3, maxBytes: 600 * mib })
    await mesh.clock.advance(20 * second)
    const stranger = await Stranger.in(mesh)
    const a = mesh.hosts[0]!
    await stranger.says({ freeForOthersBytes: 0 })
    const ask = async (name: string, bytes: number, kind: 'spine' | 'dag'): Promise<string> => {
      const cid = cidOf(name)
      stranger.host.blobs.put(cid, bytes, kind)
      mesh.change(stranger.host, `/${name}`, { cid: cid.toString(), size: bytes, priority: 'normal', replicas: 2 })
      await mesh.clock.advance(second)
      const body = StoreRequest.encode({ cid: cid.bytes, spine: kind === 'spine', bytes, holders: [], move: false })
      return mesh.clock.outcome(stranger.asks(a, 'store', body).then(() => 'stored', (error: unknown) => (error as { code: string }).code))
    }
    assert.equal(await ask('long', 3 * mib, 'spine'), 'OVERLOADED')
    assert.equal(await ask('blob', 3 * mib, 'dag'), 'stored')
    let stored = 0
    while ((await ask(`list ${String(stored)}`, 300_000, 'spine')) === 'stored') stored++
    assert.ok(stored >= 3 && stored <= 6, `${String(stored)} lists`)
    const honest = mesh.put(mesh.hosts[2]!, { bytes: 1000, replicas: 2, parts: 3 })
    mesh.hosts[2]!.replication.heldChanged()
    await mesh.until(() => a.disk.held.has(honest.cid), minute, 'another\'s list')
    await mesh.end()
  })
})
