import assert from 'node:assert/strict'
import { CommonError } from '../../../src/base/index.js'
import { Intake } from '../../../src/node/intake.js'

/** A ledger of so many bytes. */
class Room {
  open = 0
  most = 0
  asked = 0

  constructor(readonly bytes: number) {}

  async spread(): Promise<never> {
    throw new CommonError('NO_SPACE', 'nowhere')
  }

  async reserve(bytes: number): Promise<{ release: () => Promise<void> }> {
    this.asked++
    if (this.open + bytes > this.bytes) throw new CommonError('NO_SPACE', 'full', { bytes })
    this.open += bytes
    this.most = Math.max(this.most, this.open)
    return {
      release: async () => {
        this.open -= bytes
      },
    }
  }
}

const mebibyte = 2 ** 20

async function* chunks(many: number, bytes = mebibyte): AsyncIterable<Uint8Array> {
  for (let i = 0; i < many; i++) yield new Uint8Array(bytes)
}

async function lengthOf(content: AsyncIterable<Uint8Array>): Promise<number> {
  let bytes = 0
  for await (const chunk of content) bytes += chunk.length
  return bytes
}

function file(mebibytes: number): { size: number; priority: 'normal' } {
  return { size: mebibytes * mebibyte, priority: 'normal' }
}

describe('intake', () => {
  it('reserves all of a known size at once, and gives it back whatever becomes of it', async () => {
    const room = new Room(10 * mebibyte)
    const intake = new Intake({ replication: room })
    assert.equal(await intake.store(chunks(10), file(10), lengthOf, String), 10 * mebibyte)
    assert.deepEqual([room.open, room.most], [0, 10 * mebibyte])
    await assert.rejects(intake.store(chunks(11), file(11), lengthOf, String), { code: 'NO_SPACE' })
    await assert.rejects(intake.store(chunks(1), file(1), async () => {
      throw new CommonError('INTERNAL', 'broken')
    }, String), { code: 'INTERNAL' })
    assert.equal(room.open, 0)
  })

  it('reserves a stream piece by piece, a bounded part at once', async () => {
    const room = new Room(64 * mebibyte)
    assert.equal(await lengthOf(new Intake({ replication: room }).through(chunks(500), undefined)), 500 * mebibyte)
    assert.equal(room.open, 0)
    assert.ok(room.most <= 32 * mebibyte, String(room.most))
    assert.ok(room.asked >= 500 / 8)
  })

  it('reserves for a small stream what it needs, and hardly more', async () => {
    const room = new Room(64 * mebibyte)
    const intake = new Intake({ replication: room })
    await lengthOf(intake.through(chunks(1, 1000), undefined))
    assert.equal(room.most, 256 * 1024)
    room.most = 0
    await lengthOf(intake.through(chunks(1, 1000), undefined, 1000))
    assert.equal(room.most, 1000)
  })

  it('uses what is left of a nearly full node, and stops there', async () => {
    const room = new Room(3 * mebibyte)
    const intake = new Intake({ replication: room })
    assert.equal(await lengthOf(intake.through(chunks(3), undefined)), 3 * mebibyte)
    await assert.rejects(lengthOf(intake.through(chunks(4), undefined)), { code: 'NO_SPACE' })
    assert.equal(room.open, 0)
  })

  it('gives everything back when its reader goes away', async () => {
    const room = new Room(64 * mebibyte)
    for await (const chunk of new Intake({ replication: room }).through(chunks(100), undefined)) if (chunk.length > 0) break
    assert.equal(room.open, 0)
  })
})
