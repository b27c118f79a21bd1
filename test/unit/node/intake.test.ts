import assert from 'node:assert/strict'
import { CommonError } from '../../../src/base/index.js'
import { Intake } from '../../../src/node/intake.js'
import type { FileSpread } from '../../../src/replication/index.js'

/** A ledger of so many bytes. */
class Room {
  open = 0
  most = 0
  asked = 0
  stored = 0
  garbage = 0

  constructor(readonly bytes: number) {}

  /** What is asked for, if there is anywhere to spread to. */
  readonly spreads: { bytes: number; heldBytes?: number; blobBytesMax?: number }[] = []
  elsewhere: FileSpread | undefined

  async spread(file: { bytes: number; heldBytes?: number; blobBytesMax?: number }): Promise<FileSpread> {
    this.spreads.push(file)
    if (this.elsewhere === undefined) throw new CommonError('NO_SPACE', 'nowhere')
    return this.elsewhere
  }

  async quota(): Promise<{ freeForOwnBytes: number; roomForOwnBytes: number }> {
    return { freeForOwnBytes: this.bytes - this.open - this.stored - this.garbage, roomForOwnBytes: this.bytes - this.open - this.stored }
  }

  async reserve(bytes: number): Promise<{ release: () => Promise<void> }> {
    this.asked++
    if (this.open + this.stored + this.garbage + bytes > this.bytes) this.garbage = 0
    if (this.open + this.stored + bytes > this.bytes) throw new CommonError('NO_SPACE', 'full', { bytes })
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

  it('spreads a stream of unknown size from where the room ends, with room kept for that, and says how it ended', async () => {
    for (const [mebibytes, blobMebibytes, broken] of [[200, 32, false], [200, 32, true], [120, 4, false]] as const) {
      const room = new Room(mebibytes * mebibyte)
      room.stored = 60 * mebibyte
      const said: string[] = []
      let patiently = 0
      room.elsewhere = {
        blobBytes: 4 * mebibyte, replicas: 1,
        reserve: async (bytes) => {
          patiently += bytes
          return { release: async () => undefined }
        },
        onBlob: async () => undefined, beforeEnd: async () => undefined,
        settle: async (root) => void said.push(`settled ${root}`),
        giveUp: async () => void said.push('given up'),
      }
      const storing = new Intake({ replication: room }).store(chunks(400), { size: undefined, priority: 'normal' }, async (content, spread) => {
        let bytes = 0
        for await (const chunk of content) {
          bytes += chunk.length
          if (spread() === undefined) room.stored += chunk.length
          else if (broken) throw new CommonError('INTERNAL', 'broken')
        }
        return bytes
      }, String)
      if (broken) await assert.rejects(storing, { code: 'INTERNAL' })
      else assert.equal(await storing, 400 * mebibyte)
      const [asked] = room.spreads
      assert.ok(asked !== undefined && room.spreads.length === 1)
      const { heldBytes = 0 } = asked
      assert.equal(asked.blobBytesMax, blobMebibytes * mebibyte)
      assert.ok(heldBytes >= 8 * mebibyte && heldBytes < (mebibytes - 60) * mebibyte, String(heldBytes))
      assert.equal(asked.bytes, heldBytes + 2 * blobMebibytes * mebibyte)
      if (!broken) assert.ok(patiently >= 400 * mebibyte - heldBytes && patiently <= 402 * mebibyte - heldBytes, String(patiently))
      assert.deepEqual(said, [broken ? 'given up' : `settled ${String(400 * mebibyte)}`])
      assert.equal(room.open, 0)
    }
  })

  it('keeps room from the start where it would be too late when the stream turns out to be large, and not where there is much or nothing', async () => {
    for (const [mebibytes, garbage, reserves] of [[36, 0, true], [36, 20, true], [44, 0, false], [27, 0, false], [100, 0, false]] as const) {
      const room = new Room(mebibytes * mebibyte)
      room.garbage = garbage * mebibyte
      await new Intake({ replication: room }).store(chunks(1), { size: undefined, priority: 'normal' }, async (content) => {
        for await (const chunk of content) room.stored += chunk.length
        return 0
      }, String)
      assert.equal(room.most >= 28 * mebibyte, reserves, String([mebibytes, garbage, room.most]))
      assert.equal(room.open, 0)
    }
  })

  it('keeps no room for a small stream, and ends one with NO_SPACE where there is nowhere to spread it to', async () => {
    const room = new Room(64 * mebibyte)
    const take = async (content: AsyncIterable<Uint8Array>): Promise<number> => {
      let bytes = 0
      for await (const chunk of content) {
        bytes += chunk.length
        room.stored += chunk.length
      }
      return bytes
    }
    await new Intake({ replication: room }).store(chunks(7), { size: undefined, priority: 'normal' }, take, String)
    assert.ok(room.most < 20 * mebibyte, String(room.most))
    await assert.rejects(new Intake({ replication: room }).store(chunks(400), { size: undefined, priority: 'normal' }, take, String), { code: 'NO_SPACE', message: 'nowhere' })
    assert.equal(room.spreads.length, 1)
  })

  it('gives everything back when its reader goes away', async () => {
    const room = new Room(64 * mebibyte)
    for await (const chunk of new Intake({ replication: room }).through(chunks(100), undefined)) if (chunk.length > 0) break
    assert.equal(room.open, 0)
  })
})
