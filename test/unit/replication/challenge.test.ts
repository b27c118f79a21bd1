import assert from 'node:assert/strict'
import { CID } from 'multiformats/cid'
import { seededRandom } from '../../../src/base/index.js'
import { check, drawChallenge, proofOf, prove, rangeBytesMax, rangesMax } from '../../../src/replication/challenge.js'
import type { Challenge } from '../../../src/replication/wire/replication.js'
import type { HeldEntry } from '../../../src/replication/inventory.js'
import { hashName } from '../../../src/storage-policy/index.js'
import { idOf } from '../../simulation/net-twin.js'
import { Mesh } from '../../simulation/replication/mesh.js'
import type { Host } from '../../simulation/replication/mesh.js'

const mib = 2 ** 20
const never = new AbortController().signal
const other = idOf(77)

function meshOf(): { mesh: Mesh; a: Host; entryOf: (cid: string) => HeldEntry } {
  const mesh = new Mesh({ seed: 61, nodes: 2, maxBytes: 600 * mib })
  const a = mesh.hosts[0]!
  return {
    mesh, a,
    entryOf: (cid) => {
      const { kind, bytes, blocks, heldSinceMs } = a.disk.held.get(cid)!
      return { cid, kind, bytes, blocks, heldSinceMs, lastUsedMs: heldSinceMs, hash: hashName(cid), seenInScan: 0 }
    },
  }
}

describe('replication: proofs', () => {
  it('before a copy is given up: all of a small blob, 16 places of a large one, the list of its blobs of a spine', async () => {
    const { mesh, a, entryOf } = meshOf()
    const random = seededRandom(1)
    const draw = async (cid: string, purpose: 'spot' | 'giving up' = 'giving up'): Promise<Challenge> => (await drawChallenge(a.blobs, entryOf(cid), purpose, random, never))!
    const small = mesh.put(a, { bytes: mib, replicas: 1 }).cid
    assert.deepEqual({ ...(await draw(small)), nonce: 0 }, { nonce: 0, offsets: [0], length: mib })
    const large = mesh.put(a, { bytes: 300 * mib + 1, replicas: 1 }).cid
    const asked = await draw(large)
    assert.deepEqual([asked.offsets.length, asked.length], [rangesMax, rangeBytesMax])
    // Anywhere, the very end included.
    const places = (await Promise.all(Array.from({ length: 100 }, () => draw(large)))).flatMap(({ offsets }) => offsets)
    assert.ok(Math.min(...places) < mib && Math.max(...places) > 300 * mib - mib && Math.max(...places) + rangeBytesMax <= 300 * mib + 1)
    assert.equal((await draw(large, 'spot')).offsets.length, 1)
    const spine = mesh.put(a, { bytes: mib, parts: 3, replicas: 1 }).cid
    assert.deepEqual({ ...(await draw(spine)), nonce: 0 }, { nonce: 0, offsets: [], length: 0 })
    for (const cid of [small, large, spine]) {
      const challenge = await draw(cid)
      const proof = (await prove(a.blobs, cid, challenge, 'giving up', other, never))!
      assert.equal(await check(a.blobs, cid, challenge, 'giving up', other, proof, never), true)
      // Nobody else's, no other question's, no other bytes.
      assert.equal(await check(a.blobs, cid, challenge, 'giving up', a.id, proof, never), false)
      assert.equal(await check(a.blobs, cid, await draw(cid), 'giving up', other, proof, never), false)
      assert.equal(await check(a.blobs, cid, challenge, 'giving up', other, proof.slice(1), never), false)
      assert.equal(await check(a.blobs, cid, challenge, 'giving up', other, new Uint8Array(32), never), false)
      // Who cannot read its own has learned nothing.
      const damaged = async (): Promise<never> => Promise.reject(new Error('damaged'))
      const nothing = { held: a.blobs.held.bind(a.blobs), read: () => { throw new Error('damaged') }, describe: a.blobs.describe.bind(a.blobs), blobsOf: damaged }
      assert.equal(await check(nothing, cid, challenge, 'giving up', other, proof, never), undefined)
    }
    // Two files of as many parts, and one who knows the name and the number only.
    const second = mesh.put(a, { bytes: mib, parts: 3, replicas: 1 }).cid
    const challenge = await draw(spine)
    assert.notDeepEqual(await prove(a.blobs, second, challenge, 'giving up', other, never), await prove(a.blobs, spine, challenge, 'giving up', other, never))
    await mesh.end()
  })

  it('from the content in hand: the same as read from the disk, and none to a question that is none', async () => {
    const { mesh, a, entryOf } = meshOf()
    const random = seededRandom(3)
    for (const bytes of [1, 1000, rangeBytesMax, 200_000, mib]) {
      const { cid } = mesh.put(a, { bytes, replicas: 1 })
      const chunks: Uint8Array[] = []
      for await (const chunk of a.blobs.read(CID.parse(cid), { offset: 0, length: bytes })) chunks.push(chunk)
      const content = Buffer.concat(chunks)
      for (const purpose of ['spot', 'giving up'] as const) {
        const challenge = (await drawChallenge(a.blobs, entryOf(cid), purpose, random, never))!
        assert.deepEqual(proofOf(content, challenge, other), await prove(a.blobs, cid, challenge, purpose, other, never))
        assert.notDeepEqual(proofOf(content, challenge, other), proofOf(content, challenge, a.id))
        assert.equal(proofOf(content, { ...challenge, offsets: [bytes - challenge.length + 1] }, other), undefined)
        assert.equal(proofOf(content, { ...challenge, nonce: new Uint8Array(3) }, other), undefined)
        assert.equal(proofOf(content, { ...challenge, length: 0 }, other), undefined)
        assert.equal(proofOf(content, { ...challenge, offsets: Array.from({ length: rangesMax + 1 }, () => 0) }, other), undefined)
      }
    }
    await mesh.end()
  })

  it('who has thrown away half of it does not pass', async () => {
    const { mesh, a, entryOf } = meshOf()
    const { cid } = mesh.put(a, { bytes: 200 * mib, replicas: 1 })
    const halved = {
      held: a.blobs.held.bind(a.blobs), describe: a.blobs.describe.bind(a.blobs), blobsOf: a.blobs.blobsOf.bind(a.blobs),
      read: (root: CID, options: { offset?: number; length?: number } = {}) => {
        if (Math.floor((options.offset ?? 0) / mib) % 2 === 1) throw new Error('not here')
        return a.blobs.read(root, options)
      },
    }
    const random = seededRandom(2)
    let passed = 0
    let spotted = 0
    for (let i = 0; i < 200; i++) {
      for (const purpose of ['giving up', 'spot'] as const) {
        const challenge = (await drawChallenge(a.blobs, entryOf(cid), purpose, random, never))!
        const proof = await prove(halved, cid, challenge, purpose, other, never)
        if (proof === undefined) continue
        if (purpose === 'spot') spotted++
        else passed++
      }
    }
    assert.equal(passed, 0)
    assert.ok(spotted > 70 && spotted < 130, 'while one range tells half of the time')
    await mesh.end()
  })

  it('what is no question about what is held is not answered', async () => {
    const { mesh, a } = meshOf()
    const { cid } = mesh.put(a, { bytes: 5 * mib, replicas: 1 })
    const { cid: spine } = mesh.put(a, { bytes: mib, parts: 2, replicas: 1 })
    const nonce = new Uint8Array(16)
    const ask = (name: string, challenge: Partial<Challenge>): Promise<Uint8Array | undefined> => prove(a.blobs, name, { nonce, offsets: [0], length: 100, ...challenge }, 'giving up', other, never)
    assert.ok(await ask(cid, {}))
    for (const wrong of [{ nonce: new Uint8Array(15) }, { length: 0 }, { length: mib + 1 }, { offsets: Array.from({ length: rangesMax + 1 }, () => 0) }, { offsets: Array.from({ length: rangesMax }, () => 0), length: rangeBytesMax + 1 }]) {
      assert.equal(await ask(cid, wrong), undefined, JSON.stringify(wrong))
    }
    assert.equal(await ask(spine, {}), undefined)
    assert.ok(await ask(spine, { offsets: [], length: 0 }))
    assert.equal(await ask(mesh.put(mesh.hosts[1]!, { bytes: 5, replicas: 1 }).cid, { length: 5 }), undefined, 'not held')
    // What is below a folder may be elsewhere: asked only where it matters.
    const describe = a.blobs.describe.bind(a.blobs)
    a.blobs.describe = async (root) => ({ ...(await describe(root)), type: 'folder' as const })
    assert.equal(await prove(a.blobs, spine, { nonce, offsets: [], length: 0 }, 'spot', other, never), undefined)
    assert.ok(await ask(spine, { offsets: [], length: 0 }))
    await mesh.end()
  })
})
