import type { Clock, KeyValue, NodeId, WriteOperation } from '../../base/index.js'
import { cidOfText } from '../../base/index.js'
import type { CID } from 'multiformats/cid'
import type { ProviderRecords } from './provider-records.js'

/**
 * What this node announces, and when next: in the database, in order of due time, so that a hundred thousand blobs cost
 * no memory and a restart goes on where it stopped.
 *
 *   key                                  value
 *   cids/<cid as text>                   line (1 byte), due (8 bytes, unix ms, big-endian)
 *   due/<line><due, 8 bytes><cid>        nothing
 *
 * Two lines: those never announced yet, and those to be announced again. A backlog of the second kind (a node that was
 * off for a week has everything due at once) must not keep new blobs from being found.
 */
export type Line = 'new' | 'again'

const lineBytes: Record<Line, number> = { new: 0x30, again: 0x31 }
const encoder = new TextEncoder()
const decoder = new TextDecoder()
const nothing = new Uint8Array(0)

export interface Due {
  readonly cid: CID
  readonly text: string
  readonly line: Line
  readonly dueMs: number
}

export class ProvideSchedule {
  readonly #cids: KeyValue
  readonly #due: KeyValue
  readonly #meta: KeyValue
  readonly #records: ProviderRecords
  readonly #clock: Clock
  readonly #self: NodeId

  constructor(components: { meta: KeyValue; records: ProviderRecords; clock: Clock }, init: { self: NodeId }) {
    this.#meta = components.meta
    this.#cids = components.meta.slice('cids/')
    this.#due = components.meta.slice('due/')
    this.#records = components.records
    this.#clock = components.clock
    this.#self = init.self
  }

  /** Those that are not scheduled yet become due now. Resolves to how many those were. */
  async add(cids: readonly CID[]): Promise<number> {
    const nowMs = Math.floor(this.#clock.wallMs())
    const unique = new Map<string, CID>()
    for (const cid of cids) unique.set(cid.toString(), cid)
    const keys = [...unique.keys()].map((text) => encoder.encode(text))
    const known = await this.#cids.getMany(keys)
    const operations: WriteOperation[] = []
    // The same for all: thousands of small files come in a second.
    const place = placeBytes('new', nowMs)
    let added = 0
    let i = 0
    for (const { multihash } of unique.values()) {
      const key = keys[i]
      if (known[i++] !== undefined || key === undefined) continue
      added++
      operations.push(...this.#place(key, place), this.#records.putOwn(multihash.bytes, this.#self))
    }
    // Not durable: whoever announces a blob after a crash announces it again at the next start, and the call is cheap.
    if (operations.length > 0) await this.#meta.write(operations, { durable: false })
    return added
  }

  async remove(cids: readonly CID[]): Promise<void> {
    const texts = cids.map((cid) => cid.toString())
    const known = await this.#cids.getMany(texts.map((text) => encoder.encode(text)))
    const operations: WriteOperation[] = []
    known.forEach((value, i) => {
      const [text, cid] = [texts[i], cids[i]]
      if (value === undefined || text === undefined || cid === undefined) return
      operations.push(this.#cids.del(encoder.encode(text)), this.#records.deleteOwn(cid.multihash.bytes, this.#self))
      const place = placeOf(value)
      if (place !== undefined) operations.push(this.#due.del(dueKey(placeBytes(place.line, place.dueMs), encoder.encode(text))))
    })
    if (operations.length > 0) await this.#meta.write(operations, { durable: false })
  }

  /** The longest due of a line, at most `limit`. */
  async due(line: Line, limit: number): Promise<Due[]> {
    const nowMs = this.#clock.wallMs()
    const found: Due[] = []
    for await (const [key] of this.#due.entries({ gte: placeBytes(line, 0), lt: placeBytes(line, Math.floor(nowMs) + 1), limit })) {
      const entry = readDueKey(key)
      if (entry !== undefined) found.push(entry)
    }
    return found
  }

  /** When the next of a line is due, unix ms. */
  async nextDueMs(line: Line): Promise<number | undefined> {
    for await (const [key] of this.#due.entries({ gte: placeBytes(line, 0), lt: placeBytes(line, Number.MAX_SAFE_INTEGER), limit: 1 })) {
      return readDueKey(key)?.dueMs
    }
    return undefined
  }

  /** Announced: due again at `nextMs`. Those that were removed meanwhile stay removed. */
  async announced(entries: readonly Due[], nextMs: (entry: Due) => number): Promise<void> {
    const keys = entries.map((entry) => encoder.encode(entry.text))
    const known = await this.#cids.getMany(keys)
    const operations: WriteOperation[] = []
    entries.forEach((entry, i) => {
      const key = keys[i]
      if (key === undefined) return
      operations.push(this.#due.del(dueKey(placeBytes(entry.line, entry.dueMs), key)))
      if (known[i] === undefined) return
      operations.push(...this.#place(key, placeBytes('again', Math.floor(nextMs(entry)))), this.#records.putOwn(entry.cid.multihash.bytes, this.#self))
    })
    await this.#meta.write(operations, { durable: false })
  }

  #place(cid: Uint8Array, place: Uint8Array): WriteOperation[] {
    return [this.#cids.put(cid, place), this.#due.put(dueKey(place, cid), nothing)]
  }
}

/** Line and due time, as in both tables. */
function placeBytes(line: Line, dueMs: number): Uint8Array {
  const place = new Uint8Array(9)
  place[0] = lineBytes[line]
  new DataView(place.buffer).setBigUint64(1, BigInt(dueMs))
  return place
}

/** `cid`: its text. */
function dueKey(place: Uint8Array, cid: Uint8Array): Uint8Array {
  return Buffer.concat([place, cid])
}

function placeOf(value: Uint8Array): { line: Line; dueMs: number } | undefined {
  if (value.length < 9) return undefined
  const line: Line = value[0] === lineBytes.new ? 'new' : 'again'
  return { line, dueMs: Number(new DataView(value.buffer, value.byteOffset).getBigUint64(1)) }
}

function readDueKey(key: Uint8Array): Due | undefined {
  const place = placeOf(key)
  if (place === undefined) return undefined
  const text = decoder.decode(key.subarray(9))
  try {
    return { cid: cidOfText(text), text, ...place }
  } catch {
    return undefined
  }
}
