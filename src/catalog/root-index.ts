import { Buffer } from 'node:buffer'
import { crc32 } from 'node:zlib'
import { CID } from 'multiformats/cid'
import type { KeyValue, WriteOperation } from '../base/index.js'
import type { Version } from './merge.js'
import { pathKey, pathOfKey } from './path.js'
import { parseCid, readable } from './record.js'
import type { FileRecord } from './types.js'
import { CatalogError } from './types.js'
import { visibleOf } from './visible.js'
import { WrittenRoots } from './written-roots.js'

/**
 * Table i/: which visible records have a content, by its root. A row is written in the batch of the leaves that it
 * follows from, so that all of it can be made anew from them.
 *
 *   key     binary CID, `f` (a file) or `c` (a conflict copy), path key
 *   value   offset 0, 8 bytes: size of the content; 8, 4 bytes: CRC-32 of the key and the size
 *
 * LevelDB does not check what it reads, and from here it follows what nobody needs: with a wrong letter in a CID a file's
 * content would have no record, with a wrong size the parts of a large file would belong to nothing. So a row says whether
 * it is what was written; rows of before there was a check have the size only.
 */
export class RootIndex {
  readonly #rows: KeyValue
  /** Of all rows that there are, and of those that were to be written since the start, whether they came to be or not. */
  readonly #written = new WrittenRoots()
  #hasRead = false

  constructor(rows: KeyValue) {
    this.#rows = rows
  }

  /** Reads the keys of all rows, once; until then nothing `isOnly`. */
  async read(signal: AbortSignal): Promise<void> {
    for await (const [key] of this.#rows.entries()) {
      signal.throwIfAborted()
      // A row that is damaged is found by nobody who looks for its root; when it is mended, it is written.
      const bytes = readable(() => CID.inspectBytes(key).size)
      if (bytes !== undefined) this.#written.add(key.subarray(0, bytes))
    }
    this.#hasRead = true
  }

  /**
   * Of the root of a record whose row is on disk: that no other record has it, or had it since the start. Known without
   * asking the disk; false where it is not certain.
   */
  isOnly(text: string): boolean {
    return this.#hasRead && this.#written.isOnce(parseCid(text).bytes)
  }

  /** `path`: the key of the record's. */
  put(record: FileRecord, path = pathKey(record.path)): WriteOperation {
    const { root, key, value } = rowOf(record, path)
    this.#written.add(root)
    return this.#rows.put(key, value)
  }

  del(record: FileRecord): WriteOperation {
    return this.#rows.del(rowOf(record).key)
  }

  /** Where there may be files, or copies, with this root. */
  async paths(text: string): Promise<ReadonlySet<string>> {
    const cid = parseCid(text).bytes
    const paths = new Set<string>()
    // A CID knows its own length, so none is the beginning of another.
    for await (const [key] of this.#rows.entries({ gte: cid, lt: Buffer.concat([cid, Buffer.of(0xff)]) })) {
      paths.add(pathOfKey(key.subarray(cid.length + 1)))
    }
    return paths
  }

  /**
   * The same of many roots, if most of those in some stretches of the index are asked about: these are read as a whole. The
   * others are left out.
   */
  async pathsOf(texts: readonly string[]): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
    const asked = texts.map((text) => ({ cid: parseCid(text).bytes, text, paths: new Set<string>() })).sort((a, b) => Buffer.compare(a.cid, b.cid))
    let at = 0
    for (let walks = 0; at < asked.length && walks < walksMax; walks++) at = await this.#walk(asked, at)
    return new Map(asked.slice(0, at).map(({ text, paths }) => [text, paths]))
  }

  /** From one of them on, until there are too many rows that nobody asked about. Resolves to the first that is not answered. */
  async #walk(asked: readonly { cid: Uint8Array; paths: Set<string> }[], from: number): Promise<number> {
    let at = from
    let strangers = 0
    for await (const [key] of this.#rows.entries({ gte: asked[from]?.cid ?? new Uint8Array(0) })) {
      let next = asked[at]
      // It has no rows, or no more.
      while (next !== undefined && !beginsWith(key, next.cid) && Buffer.compare(next.cid, key) < 0) next = asked[++at]
      if (next === undefined) return at
      if (beginsWith(key, next.cid)) {
        next.paths.add(pathOfKey(key.subarray(next.cid.length + 1)))
        strangers = 0
      } else if (++strangers >= strangersMax) return at
    }
    return asked.length
  }

  /** Each root once, in order of its bytes. Of a row that is damaged only that there is one is told. */
  async *roots(onDamaged: () => void): AsyncGenerator<{ cid: string; size: number }> {
    let last: Uint8Array | undefined
    for await (const [key, value] of this.#rows.entries()) {
      const root = rootOf(key, value)
      if (root === undefined) {
        onDamaged()
        continue
      }
      if (last !== undefined && Buffer.compare(root.bytes, last) === 0) continue
      last = Uint8Array.from(root.bytes)
      yield { cid: root.toString(), size: readSize(value) }
    }
  }

  /** What to write so that the rows of a path are those that its leaves say; what else there is stays. */
  async missing(path: string, leaves: readonly Version[]): Promise<WriteOperation[]> {
    const rows = visibleOf(path, leaves).map(({ record }) => rowOf(record))
    const found = await this.#rows.getMany(rows.map(({ key }) => key))
    return rows
      .filter(({ value }, i) => Buffer.compare(value, found[i] ?? new Uint8Array(0)) !== 0)
      .map(({ root, key, value }) => {
        this.#written.add(root)
        return this.#rows.put(key, value)
      })
  }

  /** Keys of rows that are damaged. */
  async damaged(): Promise<Uint8Array[]> {
    const keys = []
    for await (const [key, value] of this.#rows.entries()) if (rootOf(key, value) === undefined) keys.push(Uint8Array.from(key))
    return keys
  }

  /** The path that a row is about, as far as its key can be read. */
  pathOf(key: Uint8Array): string | undefined {
    const root = readable(() => CID.decodeFirst(key)[0])
    return root === undefined ? undefined : pathOfKey(key.subarray(root.bytes.length + 1))
  }

  /** What to write so that of these rows those go that are damaged still. */
  async without(keys: readonly Uint8Array[]): Promise<WriteOperation[]> {
    const values = await this.#rows.getMany(keys)
    return keys.filter((key, i) => rootOf(key, values[i] ?? new Uint8Array(0)) === undefined).map((key) => this.#rows.del(key))
  }
}

const fileKind = 0x66
const copyKind = 0x63
const sizeBytes = 8
const checkedBytes = 12
/** Reading on past so many rows costs less than a new beginning. */
const strangersMax = 64
/** A stretch for each kind of CID, and some gaps. Where it takes more, each root is better asked about by itself. */
const walksMax = 4
/** What the key of a path begins with: the first slash of it. */
const pathMark = 0x01

export function damagedRoot(): CatalogError {
  return new CatalogError('BAD_RECORD', 'the disk has a root that cannot be read')
}

/** Key and value in one piece of memory, since the check is over both. */
function rowOf(record: FileRecord, path = pathKey(record.path)): { root: Uint8Array; key: Buffer; value: Buffer } {
  const root = parseCid(record.content?.cid ?? '').bytes
  const keyBytes = root.length + 1 + path.length
  const row = Buffer.allocUnsafe(keyBytes + checkedBytes)
  row.set(root)
  row[root.length] = record.conflictOf === undefined ? fileKind : copyKind
  row.set(path, root.length + 1)
  const size = record.content?.size ?? 0
  row.writeUInt32BE(Math.floor(size / 2 ** 32), keyBytes)
  row.writeUInt32BE(size % 2 ** 32, keyBytes + 4)
  row.writeUInt32BE(crc32(row.subarray(0, keyBytes + sizeBytes)), keyBytes + sizeBytes)
  return { root, key: row.subarray(0, keyBytes), value: row.subarray(keyBytes) }
}

/** Undefined for a row that is damaged. */
function rootOf(key: Uint8Array, value: Uint8Array): CID | undefined {
  if (value.length !== sizeBytes && value.length !== checkedBytes) return undefined
  if (value.length === checkedBytes && bufferOf(value).readUInt32BE(sizeBytes) !== checkOf(key, value)) return undefined
  const root = readable(() => CID.decodeFirst(key)[0])
  const kind = key[root?.bytes.length ?? 0]
  return (kind === fileKind || kind === copyKind) && key[(root?.bytes.length ?? 0) + 1] === pathMark ? root : undefined
}

function beginsWith(key: Uint8Array, cid: Uint8Array): boolean {
  return key.length > cid.length && bufferOf(key).compare(cid, 0, cid.length, 0, cid.length) === 0
}

function checkOf(key: Uint8Array, value: Uint8Array): number {
  return crc32(value.subarray(0, sizeBytes), crc32(key))
}

function readSize(value: Uint8Array): number {
  return Number(bufferOf(value).readBigUInt64BE(0))
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
