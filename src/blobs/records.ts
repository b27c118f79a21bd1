import type { CID } from 'multiformats/cid'
import { CID as Cid } from 'multiformats/cid'
import type { KeyRange, KeyValue, WriteOperation } from '../base/index.js'
import type { BlobRef, HeldBlob } from './types.js'

/**
 * What this room keeps in `meta`. Keys are one letter and a binary CID (36 bytes):
 *
 *   h CID   held blob, 22 bytes, big-endian:   offset  0  1  format, 1
 *                                                      1  1  kind: 0 dag, 1 spine
 *                                                      2  8  block bytes
 *                                                     10  4  blocks
 *                                                     14  8  held since, Unix ms
 *   p CID   empty: held by an import that is not done; let go of at the next start
 *   d CID   being dropped: 1 byte kind, 4 bytes how many leaves are released already
 *   s       how far the scrub is: the CID of the last blob it has finished
 *   e       when its last pass ended: 8 bytes, Unix ms
 *
 * `h` and the references to the blob's blocks change in one atomic write, always: a record says that all is here.
 *
 * LevelDB does not check what it reads. A row that cannot be read is as good as none: the blob is fetched again if somebody
 * wants it, and the others stay what they are.
 */
const recordBytes = 22
const recordFormat = 1
const droppingBytes = 5
/** Enough to be read in one go, some 100 KiB of memory. */
const listPage = 1024

export interface Dropping {
  ref: BlobRef
  /** Leaves released already: a crash must not release them twice. */
  released: number
}

export class BlobRecords {
  readonly #meta: KeyValue

  constructor(meta: KeyValue) {
    this.#meta = meta
  }

  async held(cid: CID): Promise<HeldBlob | undefined> {
    const value = await this.#meta.get(keyFor('h', cid))
    return value === undefined ? undefined : heldOf(cid, value)
  }

  /** In order. */
  async heldMany(cids: readonly CID[]): Promise<(HeldBlob | undefined)[]> {
    const values = await this.#meta.getMany(cids.map((cid) => keyFor('h', cid)))
    return cids.map((cid, i) => {
      const value = values[i]
      return value === undefined ? undefined : heldOf(cid, value)
    })
  }

  /**
   * In pages, and no iterator is open while the reader has one: a scrub takes hours for it, in which an iterator would keep
   * on the disk what is deleted meanwhile. What is dropped may still be in the page.
   */
  async *list(after?: CID): AsyncGenerator<HeldBlob> {
    let range: KeyRange = after === undefined ? { gte: letter('h') } : { gt: keyFor('h', after) }
    for (;;) {
      const page: HeldBlob[] = []
      let rows = 0
      for await (const [key, value] of this.#meta.entries({ ...range, lt: letter('i'), limit: listPage })) {
        const cid = cidIn(key.subarray(1))
        const held = cid === undefined ? undefined : heldOf(cid, value)
        if (held !== undefined) page.push(held)
        if (++rows === listPage) range = { gt: Uint8Array.from(key) }
      }
      yield* page
      if (rows < listPage) return
    }
  }

  putHeld(held: HeldBlob): WriteOperation {
    const value = Buffer.alloc(recordBytes)
    value[0] = recordFormat
    value[1] = held.kind === 'spine' ? 1 : 0
    value.writeBigUInt64BE(BigInt(held.bytes), 2)
    value.writeUInt32BE(held.blocks, 10)
    value.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(held.heldSinceMs))), 14)
    return this.#meta.put(keyFor('h', held.cid), value)
  }

  deleteHeld(cid: CID): WriteOperation {
    return this.#meta.del(keyFor('h', cid))
  }

  async isProvisional(cid: CID): Promise<boolean> {
    return (await this.#meta.get(keyFor('p', cid))) !== undefined
  }

  async provisional(): Promise<CID[]> {
    return (await this.#all('p', 'q')).map(([cid]) => cid)
  }

  putProvisional(cid: CID): WriteOperation {
    return this.#meta.put(keyFor('p', cid), new Uint8Array(0))
  }

  deleteProvisional(cid: CID): WriteOperation {
    return this.#meta.del(keyFor('p', cid))
  }

  async dropping(cid: CID): Promise<Dropping | undefined> {
    const value = await this.#meta.get(keyFor('d', cid))
    return value === undefined ? undefined : droppingOf(cid, value)
  }

  async allDropping(): Promise<Dropping[]> {
    return (await this.#all('d', 'e')).flatMap(([cid, value]) => droppingOf(cid, value) ?? [])
  }

  putDropping(dropping: Dropping): WriteOperation {
    const value = Buffer.alloc(droppingBytes)
    value[0] = dropping.ref.kind === 'spine' ? 1 : 0
    value.writeUInt32BE(dropping.released, 1)
    return this.#meta.put(keyFor('d', dropping.ref.cid), value)
  }

  deleteDropping(cid: CID): WriteOperation {
    return this.#meta.del(keyFor('d', cid))
  }

  async scrubbedTo(): Promise<CID | undefined> {
    const value = await this.#meta.get(letter('s'))
    return value === undefined ? undefined : cidIn(value)
  }

  async setScrubbedTo(cid: CID): Promise<void> {
    // Losing this costs a little scrubbing twice, so it need not be durable.
    await this.write([this.#meta.put(letter('s'), cid.bytes)], false)
  }

  /** Unix ms; undefined if none is known of. */
  async scrubEndedMs(): Promise<number | undefined> {
    const value = await this.#meta.get(letter('e'))
    if (value?.length !== 8) return undefined
    return Number(Buffer.from(value).readBigUInt64BE())
  }

  /** A pass is over: the next begins with the first blob. */
  async setScrubEnded(nowMs: number): Promise<void> {
    const value = Buffer.alloc(8)
    value.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(nowMs))))
    await this.write([this.#meta.del(letter('s')), this.#meta.put(letter('e'), value)], false)
  }

  async write(operations: readonly WriteOperation[], durable = true): Promise<void> {
    await this.#meta.write(operations, { durable })
  }

  async #all(from: string, to: string): Promise<[CID, Uint8Array][]> {
    const found: [CID, Uint8Array][] = []
    for await (const [key, value] of this.#meta.entries({ gte: letter(from), lt: letter(to) })) {
      const cid = cidIn(key.subarray(1))
      if (cid !== undefined) found.push([cid, value])
    }
    return found
  }
}

function letter(text: string): Uint8Array {
  return Buffer.from(text, 'latin1')
}

function keyFor(prefix: string, cid: CID): Uint8Array {
  return Buffer.concat([letter(prefix), cid.bytes])
}

function cidIn(bytes: Uint8Array): CID | undefined {
  try {
    return Cid.decode(bytes)
  } catch {
    return undefined
  }
}

function kindIn(mark: number | undefined): BlobRef['kind'] | undefined {
  return mark === 1 ? 'spine' : mark === 0 ? 'dag' : undefined
}

function heldOf(cid: CID, value: Uint8Array): HeldBlob | undefined {
  const view = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const kind = kindIn(view[1])
  if (view.length !== recordBytes || view[0] !== recordFormat || kind === undefined) return undefined
  const held = { cid, kind, bytes: Number(view.readBigUInt64BE(2)), blocks: view.readUInt32BE(10), heldSinceMs: Number(view.readBigUInt64BE(14)) }
  return Number.isSafeInteger(held.bytes) && Number.isSafeInteger(held.heldSinceMs) ? held : undefined
}

function droppingOf(cid: CID, value: Uint8Array): Dropping | undefined {
  const view = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  const kind = kindIn(view[0])
  return view.length !== droppingBytes || kind === undefined ? undefined : { ref: { cid, kind }, released: view.readUInt32BE(1) }
}
