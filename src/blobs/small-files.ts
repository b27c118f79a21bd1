import type { CID } from 'multiformats/cid'
import type { BlockStore } from '../store/index.js'
import { codeOf, CommonError, spareMemory, type Connections, type NodeId, type Random, type WriteOperation } from '../base/index.js'
import { cidOfDigest, isAccepted, keyOf, rawCode } from './cids.js'
import type { DraftBook } from './draft-book.js'
import { isWhatItSays, sha256Many } from './hashing.js'
import type { HolderPool } from './holder-pool.js'
import type { Content, Holdings } from './holdings.js'
import type { BlobRecords } from './records.js'
import type { FetchOptions, Imported, ImportManyOptions, ReadMany } from './types.js'

export interface SmallFilesComponents {
  blocks: BlockStore
  records: BlobRecords
  holdings: Holdings
  drafts: DraftBook
  random: Random
  connections: Pick<Connections, 'isConnected'>
  /** Who asks nobody but the holders that are given. */
  pool: (blob: CID, holders: readonly NodeId[], signal: AbortSignal | undefined) => HolderPool
}

/** Contents of one call of `readMany` together; a catalog may say less of them than they are. */
const readBytesMax = 8 * 2 ** 20

/**
 * Files of one block, many at a time. A small file by itself passes through every room: it is a draft, a lock, a fetch that
 * others may join, a pool of holders, a turn of each queue; some hundred promises, of which none does anything. Here many
 * share one of each. What is not plain about a file is for the way that it would go alone, which knows it all.
 */
export class SmallFiles {
  readonly #components: SmallFilesComponents
  readonly #chunkBytes: number
  readonly fetched = { blobs: 0, bytes: 0 }

  constructor(components: SmallFilesComponents, init: { chunkBytes: number }) {
    this.#components = components
    this.#chunkBytes = init.chunkBytes
  }

  async importMany(contents: readonly Uint8Array[], { signal, operations }: ImportManyOptions): Promise<Imported[]> {
    if (contents.length === 0) return []
    const bytesMax = this.#chunkBytes
    for (const { length } of contents) if (length > bytesMax) throw new CommonError('BAD_INPUT', 'a file of more than one chunk is imported by itself', { bytes: length, bytesMax })
    const digests = await sha256Many(contents)
    const named: Content[] = digests.map((digest, i) => ({ cid: cidOfDigest(rawCode, digest), bytes: contents[i] ?? new Uint8Array(0) }))
    const imported = named.map(({ cid, bytes }): Imported => ({ cid, size: bytes.length, blobs: [{ cid, kind: 'dag' }] }))
    const also = (await operations?.(imported)) ?? []
    signal?.throwIfAborted()
    await this.#hold(named, also)
    return imported
  }

  async readMany(cids: readonly CID[], options: FetchOptions): Promise<ReadMany> {
    const { signal } = options
    const unique = [...new Map(cids.filter((cid) => cid.code === rawCode && isAccepted(cid)).map((cid) => [keyOf(cid), cid])).values()]
    const held = await this.#components.records.heldMany(unique)
    const contents = await this.#local(unique.filter((_, i) => held[i] !== undefined))
    signal?.throwIfAborted()
    const missing = unique.filter((_, i) => held[i] === undefined)
    const brought = missing.length === 0 ? [] : await this.#bring(missing, options)
    for (const { cid, bytes } of brought) contents.set(keyOf(cid), bytes)
    return { contents: cids.map((cid) => contents.get(keyOf(cid))), brought: brought.length }
  }

  /** Verified; what is damaged, or cannot be read, is left out. */
  async #local(cids: readonly CID[]): Promise<Map<string, Uint8Array>> {
    const contents = new Map<string, Uint8Array>()
    if (cids.length === 0) return contents
    let found: (Uint8Array | undefined)[]
    try {
      found = await this.#components.blocks.getMany(cids, { bytesMax: readBytesMax })
    } catch (error) {
      if (codeOf(error) === 'CLOSED') throw error
      return contents
    }
    await Promise.all(cids.map(async (cid, i) => {
      const bytes = found[i]
      if (bytes !== undefined && (await isWhatItSays(cid, bytes))) contents.set(keyOf(cid), bytes)
    }))
    return contents
  }

  /** From holders, verified, and held from then on unless the disk is full. What none of them has is left out. */
  async #bring(cids: readonly CID[], { holders = [], signal }: FetchOptions): Promise<Content[]> {
    const [first] = cids
    // Who is not at hand is waited for by `read`, of each file, and not twice.
    const near = holders.filter((peer) => this.#components.connections.isConnected(peer))
    if (first === undefined || near.length === 0) return []
    const brought: Content[] = []
    let length = 0
    const pool = this.#components.pool(first, near, signal)
    try {
      await Promise.allSettled(cids.map(async (cid) => pool.get(cid, 0, async (bytes) => {
        length += bytes.length
        if (length > readBytesMax) throw new CommonError('BAD_INPUT', 'more comes than the files were said to have', { bytesMax: readBytesMax })
        brought.push({ cid, bytes: spareMemory.copied(bytes) })
      })))
    } finally {
      pool.close()
    }
    signal?.throwIfAborted()
    if (brought.length === 0) return brought
    this.fetched.blobs += brought.length
    this.fetched.bytes += length
    try {
      await this.#hold(brought, [])
    } catch (error) {
      // A full disk keeps nobody from reading.
      if (codeOf(error) !== 'NO_SPACE') throw error
    }
    return brought
  }

  async #hold(contents: readonly Content[], operations: readonly WriteOperation[]): Promise<void> {
    const { drafts, holdings, random } = this.#components
    const draft = await drafts.openImport(random)
    try {
      await holdings.holdMany(draft, contents, operations)
    } catch (error) {
      await drafts.abort(draft)
      throw error
    }
    drafts.closed(draft)
  }
}
