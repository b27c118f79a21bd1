import type { CID } from 'multiformats/cid'
import { spareMemory } from '../base/index.js'
import { decodeNode, type FileNode } from './nodes.js'
import { rawCode } from './cids.js'
import { isAboveBlobs } from './dag.js'
import { dagDepthMax } from './settings.js'
import { BlobError } from './types.js'

/**
 * A file's bytes from its DAG: down the left edge of the range, then leaf after leaf, with the next few under way while
 * the consumer has the current one. Only nodes on the way and leaves in the range are ever asked for.
 *
 * A node's sizes are claims. The range is cut by them, and each child is held to its claim when it is here: a DAG that
 * lies ends with CORRUPT instead of shifted bytes.
 */
export interface ReadInit {
  offset: number
  length: number
  /** Content bytes under way ahead of the consumer. */
  readAheadBytes: number
  /** Content bytes of a blob at most: tells blobs from the spine. */
  blobContentBytesMax: number
  /** What is yielded is used again when the next is asked for. */
  isLent: boolean
  /** `blob` is the one that the block belongs to. */
  get: (cid: CID, expectedBytes: number, blob: CID) => Promise<Uint8Array>
}

/** A leaf's place in the range, its bytes perhaps not asked for yet. */
interface Slice {
  bytes: Promise<Uint8Array> | Uint8Array
  from: number
  to: number
}

interface Piece {
  cid: CID
  contentBytes: number
  /** Where its content begins in the file. */
  start: number
  depth: number
  blob: CID
}

/** Blocks under way at once, however small. */
const readAheadBlocks = 64

export async function* readFile(cid: CID, root: FileNode, init: ReadInit): AsyncGenerator<Uint8Array> {
  const slices = slicesOf(cid, root, init.offset + init.length, init)
  const ahead = new ReadAhead(slices, init.readAheadBytes)
  try {
    for (;;) {
      const slice = await ahead.next()
      if (slice === undefined) return
      const received = await slice.bytes
      // Bytes that are used again are not ours to give away, except on loan.
      const bytes = init.isLent ? received : spareMemory.copied(received)
      try {
        if (slice.to > slice.from) yield slice.from === 0 && slice.to === bytes.length ? bytes : bytes.subarray(slice.from, slice.to)
      } finally {
        if (init.isLent) spareMemory.release(received)
      }
    }
  } finally {
    ahead.stop()
  }
}

/**
 * Takes slices ahead of their reader, within a bound. On its own feet, because a slice may need a node that is still on
 * its way, and those before it need not wait for that.
 */
class ReadAhead {
  readonly #slices: AsyncGenerator<Slice>
  readonly #bytesMax: number
  readonly #ready: Slice[] = []
  #bytes = 0
  #ended = false
  #failure: { error: unknown } | undefined
  #filling = false
  #wake: (() => void) | undefined

  constructor(slices: AsyncGenerator<Slice>, bytesMax: number) {
    this.#slices = slices
    this.#bytesMax = bytesMax
  }

  async next(): Promise<Slice | undefined> {
    for (;;) {
      const slice = this.#ready.shift()
      if (slice !== undefined) this.#bytes -= slice.to - slice.from
      if (!this.#filling) void this.#fill()
      if (slice !== undefined) return slice
      if (this.#failure !== undefined) throw this.#failure.error
      if (this.#ended) return undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  stop(): void {
    this.#ended = true
    void this.#slices.return(undefined)
  }

  async #fill(): Promise<void> {
    this.#filling = true
    try {
      while (!this.#ended && (this.#ready.length === 0 || (this.#bytes < this.#bytesMax && this.#ready.length < readAheadBlocks))) {
        const next = await this.#slices.next()
        if (next.done === true) this.#ended = true
        else {
          // A failure belongs to whoever reads that far.
          if (next.value.bytes instanceof Promise) next.value.bytes.catch(() => undefined)
          this.#ready.push(next.value)
          this.#bytes += next.value.to - next.value.from
        }
        this.#wake?.()
      }
    } catch (error) {
      this.#failure = { error }
      this.#wake?.()
    } finally {
      this.#filling = false
    }
  }
}

async function* slicesOf(cid: CID, root: FileNode, end: number, init: ReadInit): AsyncGenerator<Slice> {
  const { offset, get, blobContentBytesMax } = init
  // Last in, first out: children are pushed right to left.
  const stack: Piece[] = []
  const open = function* (node: FileNode, start: number, depth: number, blob: CID): Generator<Slice> {
    const above = isAboveBlobs(node, blobContentBytesMax)
    if (node.data.length > 0 && start < end && start + node.data.length > offset) {
      yield { bytes: node.data, from: Math.max(0, offset - start), to: Math.min(node.data.length, end - start) }
    }
    if (depth >= dagDepthMax) throw lying(cid, `it has more than ${dagDepthMax} levels`)
    let at = start + node.contentBytes
    for (const link of [...node.links].reverse()) {
      at -= link.contentBytes
      if (at >= end || at + link.contentBytes <= offset) continue
      const isBlob = above && link.contentBytes <= blobContentBytesMax
      stack.push({ cid: link.cid, contentBytes: link.contentBytes, start: at, depth: depth + 1, blob: isBlob ? link.cid : blob })
    }
  }
  yield* open(root, 0, 0, cid)
  for (;;) {
    const piece = stack.pop()
    if (piece === undefined) return
    if (piece.cid.code === rawCode) {
      yield {
        bytes: get(piece.cid, piece.contentBytes, piece.blob).then((bytes) => held(piece, bytes.length, bytes)),
        from: Math.max(0, offset - piece.start),
        to: Math.min(piece.contentBytes, end - piece.start),
      }
      continue
    }
    const node = decodeNode(piece.cid, spareMemory.copied(await get(piece.cid, 0, piece.blob)))
    if (node.type !== 'file') throw lying(piece.cid, 'it is a folder within a file')
    held(piece, node.contentBytes, undefined)
    yield* open(node, piece.start, piece.depth, piece.blob)
  }
}

function held<T>(piece: Piece, contentBytes: number, value: T): T {
  if (contentBytes === piece.contentBytes) return value
  throw lying(piece.cid, `it has ${contentBytes} bytes and its parent says ${piece.contentBytes}`)
}

function lying(cid: CID, what: string): BlobError {
  return new BlobError('CORRUPT', `the file cannot be read at ${cid.toString()}: ${what}`, { cid: cid.toString() })
}
