import { Buffer } from 'node:buffer'
import { CID } from 'multiformats/cid'
import type { Facts, Hlc, KeyRange, KeyValue, NodeId, WriteOperation } from '../base/index.js'
import { hashOfPath } from './digest-tree.js'
import type { PathChange, Version } from './merge.js'
import { viewOf } from './merge.js'
import { pathKey, pathOfKey } from './path.js'
import { decodeAllVersions, decodeRecord, decodeVersions, encodeVersions, hashBytes, parseCid, readable } from './record.js'
import { RootIndex } from './root-index.js'
import type { FileRecord, Moved } from './types.js'
import { CatalogError } from './types.js'
import type { Visible } from './visible.js'
import { asCopy, visibleOf } from './visible.js'

/**
 * The catalog on disk: five tables in the room's slice, of which only the first could not be made again from the others.
 * All that a change touches is written in one batch.
 *
 *   table  key                                   value
 *   v/     path key                              StoredVersions: the leaves of the path, highest rank first
 *   b/     16 bytes of SHA-256 of the path       see `encodeEntry`: what digests and counts are made of
 *   c/     path key of a conflict copy           the SignedRecord that is seen there
 *   i/     binary CID, `f` or `c`, path key      who has this root: see root-index.ts
 *   u/     binary CID                            since when (u64, Unix ms), size (u64): who lost a record with this root;
 *                                                if it was moved, JSON: [path, "modified", writer] of where it is now
 *
 * An entry of b/:
 *
 *   offset  bytes
 *   0       1          what the highest leaf is: 1 live, 2 a tombstone
 *   1       2          conflict copies to be seen
 *   3       8          highest `modified` of the leaves
 *   11      2          leaves (n)
 *   13      16 · n     their hashes
 *   …       the rest   the path, UTF-8
 *
 * LevelDB does not check what it reads: a row may be damaged. That costs no other row. One of v/ or c/ is left out of
 * lists, and asked for by name it is BAD_RECORD; those of b/ and i/ are made anew from v/ (see `mend`, and `roots` of
 * Records); and one of u/ keeps what it is about.
 */
export interface TableEntry {
  readonly live: boolean
  readonly copies: number
  readonly modifiedMax: Hlc
  readonly hashes: readonly Uint8Array[]
  readonly path: string
}

const entryHeaderBytes = 13
const liveMark = 1
const deadMark = 2
/** What every path begins with. */
const slash = 0x2f

export class RecordTable {
  readonly #meta: KeyValue
  readonly #versions: KeyValue
  readonly #entries: KeyValue
  readonly #copies: KeyValue
  readonly roots: RootIndex
  readonly #unreferenced: KeyValue

  constructor(meta: KeyValue) {
    this.#meta = meta
    this.#versions = meta.slice('v/')
    this.#entries = meta.slice('b/')
    this.#copies = meta.slice('c/')
    this.roots = new RootIndex(meta.slice('i/'))
    this.#unreferenced = meta.slice('u/')
  }

  /** The leaves of each path, highest first. */
  async leaves(paths: readonly string[]): Promise<Version[][]> {
    const values = await this.#versions.getMany(paths.map(pathKey))
    return values.map((value) => (value === undefined ? [] : decodeVersions(value)))
  }

  /** The versions that are seen as conflict copies at these paths. */
  async copies(paths: readonly string[]): Promise<(Version | undefined)[]> {
    const values = await this.#copies.getMany(paths.map(pathKey))
    return values.map((value) => (value === undefined ? undefined : readable(() => decodeRecord(value))))
  }

  async hasCopies(): Promise<boolean> {
    for await (const [key] of this.#copies.entries({ limit: 1 })) return key.length > 0
    return false
  }

  /** Throws BAD_RECORD where there is a file, and what the disk has about it cannot be read. */
  async get(path: string): Promise<FileRecord | undefined> {
    const value = await this.#versions.get(pathKey(path))
    const winner = value === undefined ? undefined : decodeVersions(value)[0]
    if (winner?.record.content !== undefined) return winner.record
    const copy = await this.#copies.get(pathKey(path))
    if (copy !== undefined) {
      const { record } = decodeRecord(copy)
      return asCopy(record.path, record)
    }
    if (value !== undefined && winner === undefined) throw damaged('what the disk has about a file cannot be read', { path })
    return undefined
  }

  /** All that is to be seen in a range of path keys, in order. A file hides the conflict copy of the same name, which it was made from. */
  async *visible(range: KeyRange): AsyncGenerator<readonly [key: Uint8Array, record: FileRecord]> {
    const copies = this.#copies.entries(range)[Symbol.asyncIterator]()
    try {
      let copy = await copies.next()
      for await (const [key, value] of this.#versions.entries(range)) {
        const winner = decodeVersions(value)[0]
        if (winner?.record.content === undefined) continue
        while (copy.done !== true && Buffer.compare(copy.value[0], key) <= 0) {
          if (Buffer.compare(copy.value[0], key) < 0) yield* copyAt(copy.value)
          copy = await copies.next()
        }
        yield [key, winner.record]
      }
      for (; copy.done !== true; copy = await copies.next()) yield* copyAt(copy.value)
    } finally {
      await copies.return?.()
    }
  }

  /** Whether a file is in a range of path keys; conflict copies left out. */
  async hasFile(range: KeyRange): Promise<boolean> {
    for await (const [, value] of this.#versions.entries(range)) {
      if (decodeVersions(value)[0]?.record.content !== undefined) return true
    }
    return false
  }

  /** Throws BAD_RECORD if what is known of one of the files cannot be read. */
  async byCid(text: string): Promise<FileRecord[]> {
    const records = []
    for (const path of await this.roots.paths(text)) {
      const record = await this.get(path)
      if (record !== undefined) records.push(record)
    }
    return records
  }

  /** Of many roots at once. Left out are those of which not all is plain: of them `byCid` says what there is. */
  async byCids(texts: readonly string[]): Promise<Map<string, FileRecord[]>> {
    const pathsOf = await this.roots.pathsOf(texts)
    const paths = [...new Set([...pathsOf.values()].flatMap((some) => [...some]))]
    const files = new Map<string, FileRecord>()
    for (const [i, value] of (await this.#versions.getMany(paths.map(pathKey))).entries()) {
      const winner = value === undefined ? undefined : decodeVersions(value)[0]
      if (winner?.record.content !== undefined) files.set(paths[i] ?? '', winner.record)
    }
    const found = new Map<string, FileRecord[]>()
    for (const [text, some] of pathsOf) {
      const records = [...some].flatMap((path) => files.get(path) ?? [])
      if (records.length === some.size) found.set(text, records)
    }
    return found
  }

  /** Paths that have leaves, in order; of each, whether all of them can be read is told by `wholeLeaves`. */
  async *paths(): AsyncGenerator<string> {
    for await (const [key] of this.#versions.entries()) yield pathOfKey(key)
  }

  /** As `leaves`; undefined for a path of which something is damaged. */
  async wholeLeaves(paths: readonly string[]): Promise<(Version[] | undefined)[]> {
    const values = await this.#versions.getMany(paths.map(pathKey))
    return values.map((value, i) => {
      const leaves = value === undefined ? [] : decodeAllVersions(value)
      return leaves?.every(({ record }) => record.path === paths[i]) === true ? leaves : undefined
    })
  }

  async *unreferenced(): AsyncGenerator<{ cid: string; size: number; sinceMs: number; moved: Moved | undefined }> {
    for await (const [key, value] of this.#unreferenced.entries()) {
      const row = readable(() => ({ cid: CID.decode(key).toString(), sinceMs: readU64(value, 0), size: readU64(value, 8), moved: decodeMoved(value.subarray(16)) }))
      if (row !== undefined) yield row
    }
  }

  async isUnreferenced(cid: string): Promise<boolean> {
    return (await this.#unreferenced.get(parseCid(cid).bytes)) !== undefined
  }

  forgetUnreferenced(cid: string): WriteOperation {
    return this.#unreferenced.del(parseCid(cid).bytes)
  }

  /**
   * Entries whose path hash begins with `prefix`, after the hash `after`, in order of the hash. Of what cannot be read only
   * the key is told.
   */
  async *entries(prefix: Uint8Array, after?: Uint8Array, onDamaged?: (key: Uint8Array) => void): AsyncGenerator<readonly [hash: Uint8Array, entry: TableEntry]> {
    const lte = new Uint8Array(hashBytes).fill(0xff)
    lte.set(prefix)
    const range: KeyRange = after !== undefined && Buffer.compare(after, prefix) > 0 ? { gt: after, lte } : { gte: prefix, lte }
    for await (const [key, value] of this.#entries.entries(range)) {
      const entry = key.length === hashBytes ? decodeEntry(value) : undefined
      if (entry === undefined) onDamaged?.(Uint8Array.from(key))
      else yield [key, entry]
    }
  }

  /** Makes entries anew from the leaves; those that have none go. Reads all paths, so it is for what is damaged only. */
  async mend(keys: readonly Uint8Array[]): Promise<(readonly [hash: Uint8Array, entry: TableEntry])[]> {
    const wanted = new Set(keys.map((key) => Buffer.from(key).toString('latin1')))
    const operations = keys.map((key) => this.#entries.del(key))
    const mended: (readonly [Uint8Array, TableEntry])[] = []
    for await (const [key, value] of this.#versions.entries()) {
      const path = pathOfKey(key)
      const hash = hashOfPath(path)
      if (!wanted.has(Buffer.from(hash).toString('latin1'))) continue
      const leaves = decodeVersions(value)
      if (leaves.length === 0) continue
      const entry = encodeEntry(path, leaves)
      operations.push(this.#entries.put(hash, entry))
      const decoded = decodeEntry(entry)
      if (decoded !== undefined) mended.push([hash, decoded])
    }
    await this.#meta.write(operations, { durable: true })
    return mended
  }

  /** What to write so that a path has the leaves that it is to have. `nowMs`: Unix time. */
  replace({ path, pathHash, before, after }: PathChange, nowMs: number): WriteOperation[] {
    const key = pathKey(path)
    const operations =
      after.length === 0
        ? [this.#versions.del(key), this.#entries.del(pathHash)]
        : [this.#versions.put(key, encodeVersions(after)), this.#entries.put(pathHash, encodeEntry(path, after))]
    const old = new Map<string, Visible>()
    for (const one of visibleOf(path, before)) old.set(nameOf(one.record), one)
    const visible = visibleOf(path, after)
    for (const { record, version } of visible) {
      if (old.size > 0 && old.delete(nameOf(record))) continue
      if (record.conflictOf === undefined) operations.push(this.roots.put(record, key))
      else operations.push(this.roots.put(record), this.#copies.put(pathKey(record.path), version.bytes))
    }
    if (old.size === 0) return operations
    const cids = new Set(visible.map(({ record }) => record.content?.cid))
    const copies = new Set(visible.map(({ record }) => record.path))
    const moved = after.find(({ record }) => record.moved !== undefined)?.record.moved
    for (const { record } of old.values()) {
      operations.push(this.roots.del(record))
      if (record.conflictOf !== undefined && !copies.has(record.path)) operations.push(this.#copies.del(pathKey(record.path)))
      // Whether anybody else has this root is asked when it is about to be dropped, and not on every change.
      if (record.content !== undefined && !cids.has(record.content.cid)) {
        operations.push(this.#unreferenced.put(parseCid(record.content.cid).bytes, Buffer.concat([u64s(nowMs, record.content.size), encodeMoved(moved)])))
      }
    }
    return operations
  }
}

/** Which row of i/ it has. */
function nameOf({ path, conflictOf, content }: FileRecord): string {
  return `${content?.cid ?? ''} ${conflictOf === undefined ? 'file' : 'copy'} ${path}`
}

/** None where it cannot be read. */
function copyAt([key, value]: readonly [Uint8Array, Uint8Array]): (readonly [Uint8Array, FileRecord])[] {
  const version = readable(() => decodeRecord(value))
  return version === undefined ? [] : [[key, asCopy(version.record.path, version.record)]]
}

function damaged(message: string, facts: Facts = {}): CatalogError {
  return new CatalogError('BAD_RECORD', message, facts)
}

function encodeEntry(path: string, leaves: readonly Version[]): Uint8Array {
  const { winner, copies } = viewOf(leaves)
  const entry = Buffer.allocUnsafe(entryHeaderBytes + leaves.length * hashBytes + Buffer.byteLength(path))
  entry.writeUInt8(winner?.record.content === undefined ? deadMark : liveMark, 0)
  entry.writeUInt16BE(copies.length, 1)
  entry.writeBigUInt64BE(modifiedMaxOf(leaves), 3)
  entry.writeUInt16BE(leaves.length, 11)
  let at = entryHeaderBytes
  for (const { hash } of leaves) {
    entry.set(hash, at)
    at += hashBytes
  }
  entry.write(path, at)
  return entry
}

/** Undefined for what is none. */
function decodeEntry(value: Uint8Array): TableEntry | undefined {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (bytes.length < entryHeaderBytes || (bytes[0] !== liveMark && bytes[0] !== deadMark)) return undefined
  const leaves = bytes.readUInt16BE(11)
  if (leaves === 0 || bytes[entryHeaderBytes + leaves * hashBytes] !== slash) return undefined
  const hashes = Array.from({ length: leaves }, (_, i) => bytes.subarray(entryHeaderBytes + i * hashBytes, entryHeaderBytes + (i + 1) * hashBytes))
  return {
    live: bytes[0] === liveMark,
    copies: bytes.readUInt16BE(1),
    modifiedMax: bytes.readBigUInt64BE(3),
    hashes,
    path: bytes.subarray(entryHeaderBytes + leaves * hashBytes).toString(),
  }
}

export function modifiedMaxOf(leaves: readonly Version[]): Hlc {
  let max = 0n
  for (const { record } of leaves) if (record.modified > max) max = record.modified
  return max
}

function encodeMoved(moved: Moved | undefined): Uint8Array {
  return moved === undefined ? new Uint8Array(0) : Buffer.from(JSON.stringify([moved.path, moved.modified.toString(), moved.writer]))
}

function decodeMoved(bytes: Uint8Array): Moved | undefined {
  if (bytes.length === 0) return undefined
  const [path, modified, writer] = JSON.parse(Buffer.from(bytes).toString()) as [string, string, NodeId]
  return { path, modified: BigInt(modified), writer }
}

function u64s(...values: number[]): Uint8Array {
  const bytes = Buffer.alloc(8 * values.length)
  for (const [i, value] of values.entries()) bytes.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(value))), 8 * i)
  return bytes
}

function readU64(value: Uint8Array, offset: number): number {
  return Number(Buffer.from(value.buffer, value.byteOffset, value.byteLength).readBigUInt64BE(offset))
}
