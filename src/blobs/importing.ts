import './unixfs-sizes.js'
import { encode, prepare } from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { importer, type BufferImporter, type InProgressImportResult } from 'ipfs-unixfs-importer'
import { balanced, type FileLayout } from 'ipfs-unixfs-importer/layout'
import type { CID } from 'multiformats/cid'
import { spareMemory } from '../base/index.js'
import type { ByteBudget } from './byte-budget.js'
import { cidOfDigest, dagPbCode, rawCode } from './cids.js'
import { chunksOf } from './chunks.js'
import { sha256 } from './hashing.js'
import { spreadLinkName } from './nodes.js'
import type { BlobProfile } from './settings.js'
import { blobContentBytesMax } from './settings.js'
import { BlobError } from './types.js'

/**
 * Content → blocks of the right names, cut into blobs, in a pipeline with a bound: while one chunk is being read, others
 * are hashed in the thread pool and others written to disk.
 *
 * The shape of the DAG is the importer's own (its layout and its nodes), so that CIDs equal those of other tools; what
 * is replaced through its options is the chunker (one copy), and the leaf importer, which would write one batch after
 * another and leave the disk idle in between. A file of one chunk is one raw block and needs no DAG: it goes past the
 * importer, which costs more than the block itself at 10 KiB.
 *
 * A file that is to be spread over nodes which have room for less than one blob of the usual size is cut into smaller
 * blobs, of `blobLeaves` leaves, under one root whose links say what they lead to. Any tool can read it; only its CID is
 * not the one that another tool would give the same bytes. That may be found out in the middle of a stream: then the blob
 * that is being filled ends there.
 *
 * Assumes that nodes are made in order: all nodes over leaves, left to right, then the level above.
 */
export interface BlobSink {
  /** Bytes are verified by being hashed here; resolves when taken (a bound applies). `index` counts blobs in file order. */
  put(index: number | 'spine', cid: CID, bytes: Uint8Array): Promise<void>
  /** All blocks of this blob have been put (their `put`s have resolved). Called once for each, in file order. */
  complete(index: number, root: CID, contentBytes: number): Promise<void>
}

export interface ImportedDag {
  cid: CID
  size: number
  /** The last blob is not `complete`d: its commit carries the caller's operations. */
  last: { index: number; root: CID }
  spine: boolean
}

export interface ImportInit {
  profile: BlobProfile
  /** Chunks that were read and are not written yet: of all imports together, so that many at once need no more memory. */
  budget: ByteBudget
  signal: AbortSignal | undefined
  onBytes: (bytes: number) => void
  /** Leaves of a blob, if the file is to be spread; asked for every leaf, and once it is, it stays so. */
  blobLeaves: () => number | undefined
}

/** Blobs of a spread file at most: its root has a link to each, and is a block. 12,000 links would fill it. */
export const spreadBlobsMax = 8192

export async function importContent(content: AsyncIterable<Uint8Array>, sink: BlobSink, init: ImportInit): Promise<ImportedDag> {
  const chunks = chunksOf(content, init.profile.chunkBytes)
  try {
    const first = await chunks.next()
    const firstChunk = first.done === true ? new Uint8Array(0) : first.value
    const second = first.done === true ? first : await chunks.next()
    if (second.done !== true) return await importTree(chained([firstChunk, second.value], chunks), sink, init)
    const cid = cidOfDigest(rawCode, await sha256(firstChunk))
    await sink.put(0, cid, firstChunk)
    spareMemory.release(firstChunk)
    init.onBytes(firstChunk.length)
    return { cid, size: firstChunk.length, last: { index: 0, root: cid }, spine: false }
  } finally {
    // The caller's stream must be told when we leave early.
    await chunks.return(undefined)
  }
}

async function* chained(first: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first
  yield* rest
}

/** Leaves hashed at once: enough for two cores and the trips to the thread pool. */
const hashesAtOnce = 4

async function importTree(chunks: AsyncIterable<Uint8Array>, sink: BlobSink, init: ImportInit): Promise<ImportedDag> {
  const writes = new PendingWrites(init.budget)
  const { linksMax } = init.profile
  const capacity = blobContentBytesMax(init.profile)
  // Of the blobs before the one that is being filled, and of that one too as soon as its last leaf is known.
  const leavesOf: number[] = []
  let filled = 0
  let size = 0
  /** The blob that the next leaf is in. */
  const place = (): number => {
    const leavesMax = init.blobLeaves() ?? linksMax
    if (filled >= leavesMax) {
      leavesOf.push(filled)
      filled = 0
    }
    const index = leavesOf.length
    if (++filled === leavesMax) {
      leavesOf.push(filled)
      filled = 0
    }
    return index
  }

  const leafImporter: BufferImporter = async function* (file) {
    for await (const chunk of file.content) {
      const index = place()
      size += chunk.length
      // Begun here and not when the importer asks, which it does in batches: the budget is shared, and nothing that has
      // part of it may wait for a slow source.
      const begun = await writes.start(chunk, (name) => sink.put(index, name, chunk), init.signal)
      yield async () => {
        const cid = await begun.named
        init.onBytes(chunk.length)
        return { cid, size: BigInt(chunk.length), block: chunk }
      }
    }
  }

  // Blobs whose root is made; the newest is held back, since it may be the last one.
  let blobs = 0
  let held: { index: number; root: CID; contentBytes: number } | undefined
  let target: number | 'spine' = 0
  let spine = false

  const shape = balanced({ maxChildrenPerNode: linksMax })
  const layout: FileLayout = async (source, reduce) => {
    const oneNode = async (children: InProgressImportResult[]): Promise<InProgressImportResult> => {
      const contentBytes = children.reduce((sum, child) => sum + contentBytesOf(child), 0)
      const overLeaves = children[0]?.cid.code === rawCode
      if (overLeaves) target = blobs++
      // A node above the leaves' parents that still has no more below it than a blob holds (the right edge of a very
      // large file) belongs to its only child's blob: the rule by which everybody tells blobs from the spine.
      else target = contentBytes <= capacity && held !== undefined ? held.index : 'spine'
      const node = await reduce(children)
      // The parts are on their way to the right draft before the blob is called complete.
      await writes.idle()
      if (target === 'spine') spine = true
      else if (overLeaves) {
        if (held !== undefined) await sink.complete(held.index, held.root, held.contentBytes)
        held = { index: target, root: node.cid, contentBytes }
      } else if (held !== undefined) held = { ...held, root: node.cid }
      return node
    }
    const parts: InProgressImportResult[] = []
    let gathered: InProgressImportResult[] = []
    const closeFull = async (): Promise<void> => {
      if (gathered.length === leavesOf[parts.length]) await close()
    }
    const close = async (): Promise<void> => {
      if (init.blobLeaves() !== undefined && parts.length >= spreadBlobsMax) throw new BlobError('NO_SPACE', 'the file is too long for blobs of this size, more than which there was no room for', { blobs: parts.length })
      parts.push(await oneNode(gathered))
      gathered = []
    }
    for await (const leaf of source) {
      // It may have been decided only after its last leaf came that a blob ends.
      if (gathered.length > 0) await closeFull()
      gathered.push(leaf)
      await closeFull()
    }
    if (gathered.length > 0) await close()
    const [only] = parts
    if (only !== undefined && parts.length === 1) return only
    // The importer's own layout, from the second level on.
    if (init.blobLeaves() === undefined) return shape(parts, oneNode)
    const root = await spreadRoot(parts)
    spine = true
    await sink.put('spine', root.cid, root.block)
    return root
  }

  const nodes = {
    put: async (cid: CID, bytes: Uint8Array): Promise<CID> => {
      await sink.put(target, cid, bytes)
      return cid
    },
  }
  let root: CID | undefined
  try {
    const made = importer([{ content: chunks }], nodes, {
      chunker: (source) => asUint8Arrays(source),
      // The bytes are cut and typed already; the stock validator would only look at each again.
      chunkValidator: (source) => asUint8Arrays(source),
      bufferImporter: leafImporter,
      layout,
      blockWriteConcurrency: hashesAtOnce,
      fileImportConcurrency: 1,
      rawLeaves: true,
      reduceSingleLeafToSelf: true,
      cidVersion: 1,
    })
    for await (const entry of made) root = entry.cid
  } finally {
    await writes.settled()
  }
  await writes.idle()
  if (root === undefined || held === undefined) throw new Error('the importer made nothing')
  return { cid: root, size, last: { index: held.index, root: held.root }, spine }
}

function contentBytesOf(child: InProgressImportResult): number {
  return child.cid.code === rawCode ? Number(child.size) : Number(child.unixfs?.fileSize() ?? 0n)
}

async function* asUint8Arrays(source: Iterable<unknown> | AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
  for await (const piece of source) if (piece instanceof Uint8Array) yield piece
}

/** Writes that go on behind the importer's back, within a budget of bytes; the first failure stops what comes after. */
class PendingWrites {
  readonly #budget: ByteBudget
  readonly #running = new Set<Promise<void>>()
  #failure: { error: unknown } | undefined

  constructor(budget: ByteBudget) {
    this.#budget = budget
  }

  /** Resolves when hashing has begun; it and the write go on, `named` tells the name in between. */
  async start(chunk: Uint8Array, write: (cid: CID) => Promise<void>, signal: AbortSignal | undefined): Promise<{ named: Promise<CID> }> {
    await this.#budget.take(chunk.length, signal)
    if (this.#failure !== undefined) {
      this.#budget.release(chunk.length)
      throw this.#failure.error
    }
    const named = sha256(chunk).then((digest) => cidOfDigest(rawCode, digest))
    const running: Promise<void> = named
      .then(write)
      // On the disk, and the layout needs names and sizes only.
      .then(() => spareMemory.release(chunk))
      .catch((error: unknown) => {
        this.#failure ??= { error }
      })
      .finally(() => {
        this.#budget.release(chunk.length)
        this.#running.delete(running)
      })
    this.#running.add(running)
    return { named }
  }

  /** Nothing is under way; throws the first failure. */
  async idle(): Promise<void> {
    await this.settled()
    if (this.#failure !== undefined) throw this.#failure.error
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }
}


/** The node over the blobs of a spread file. */
async function spreadRoot(parts: readonly InProgressImportResult[]): Promise<InProgressImportResult & { block: Uint8Array }> {
  const unixfs = new UnixFS({ type: 'file', blockSizes: parts.map((part) => BigInt(contentBytesOf(part))) })
  const links = parts.map((part) => ({ Name: spreadLinkName, Tsize: Number(part.size), Hash: part.cid }))
  const block = encode(prepare({ Data: unixfs.marshal(), Links: links }))
  const cid = cidOfDigest(dagPbCode, await sha256(block))
  return { cid, unixfs, size: BigInt(links.reduce((sum, link) => sum + link.Tsize, block.length)), block }
}
