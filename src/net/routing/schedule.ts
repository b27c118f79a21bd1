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
    const unique = [...new Map(cids.map((cid) => [cid.toString(), cid])).entries()]
    const known = await this.#cids.getMany(unique.map(([text]) => encoder.encode(text)))
    const operations: WriteOperation[] = []
    let added = 0
    unique.forEach(([text, cid], i) => {
      if (known[i] !== undefined) return
      added++
      operations.push(...this.#place(text, 'new', nowMs), this.#records.putOwn(cid.multihash.bytes, this.#self))
    })
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
      if (place !== undefined) operations.push(this.#due.del(dueKey(place.line, place.dueMs, text)))
    })
    if (operations.length > 0) await this.#meta.write(operations, { durable: false })
  }

  /** The longest due of a line, at most `limit`. */
  async due(line: Line, limit: number): Promise<Due[]> {
    const nowMs = this.#clock.wallMs()
    const found: Due[] = []
    for await (const [key] of this.#due.entries({ gte: dueKey(line, 0, ''), lt: dueKey(line, Math.floor(nowMs) + 1, ''), limit })) {
      const entry = readDueKey(key)
      if (entry !== undefined) found.push(entry)
    }
    return found
  }

  /** When the next of a line is due, unix ms. */
  async nextDueMs(line: Line): Promise<number | undefined> {
    for await (const [key] of this.#due.entries({ gte: dueKey(line, 0, ''), lt: dueKey(line, Number.MAX_SAFE_INTEGER, ''), limit: 1 })) {
      return readDueKey(key)?.dueMs
    }
    return undefined
  }

  /** Announced: due again at `nextMs`. Those that were removed meanwhile stay removed. */
  async announced(entries: readonly Due[], nextMs: (entry: Due) => number): Promise<void> {
    const known = await this.#cids.getMany(entries.map((entry) => encoder.encode(entry.text)))
    const operations: WriteOperation[] = []
    entries.forEach((entry, i) => {
      operations.push(this.#due.del(dueKey(entry.line, entry.dueMs, entry.text)))
      if (known[i] === undefined) return
      operations.push(...this.#place(entry.text, 'again', Math.floor(nextMs(entry))), this.#records.putOwn(entry.cid.multihash.bytes, this.#self))
    })
    await this.#meta.write(operations, { durable: false })
  }

  #place(text: string, line: Line, dueMs: number): WriteOperation[] {
    const value = new Uint8Array(9)
    value[0] = lineBytes[line]
    new DataView(value.buffer).setBigUint64(1, BigInt(dueMs))
    return [this.#cids.put(encoder.encode(text), value), this.#due.put(dueKey(line, dueMs, text), new Uint8Array(0))]
  }
}

function dueKey(line: Line, dueMs: number, text: string): Uint8Array {
  const cid = encoder.encode(text)
  const key = new Uint8Array(9 + cid.length)
  key[0] = lineBytes[line]
  new DataView(key.buffer).setBigUint64(1, BigInt(dueMs))
  key.set(cid, 9)
  return key
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
