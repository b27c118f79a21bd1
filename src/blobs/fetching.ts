import type { CID } from 'multiformats/cid'
import type { BlockDraft, BlockStore } from '../store/index.js'
import { forEachLimit, spareMemory } from '../base/index.js'
import { hashKeyOf, keyOf, rawCode } from './cids.js'
import { kindOf, LevelWalk, type Part } from './dag.js'
import type { HolderPool } from './holder-pool.js'
import { decodeNode, type DagNode } from './nodes.js'
import { blobBytesMax, blobContentBytesMax, type BlobSettings } from './settings.js'
import { BlobError, type BlobRef, type Progress } from './types.js'

/**
 * One blob on its way here: level by level from the root, what the draft has already (from before a break) taken over,
 * the rest wanted from the pool of holders all at once, so that the line never runs dry. Blocks are readable as soon as
 * they are in the draft; `arrival` tells a reader that follows along.
 */
export interface BlobFetchComponents {
  blocks: BlockStore
  draft: BlockDraft
  pool: HolderPool
}

export interface BlobFetchInit {
  ref: BlobRef
  settings: BlobSettings
  onProgress: (progress: Progress) => void
  /** The content of a blob that is one block. */
  onContent: (bytes: Uint8Array) => void
}

/** Blocks asked for or taken over at once. The pool and the channels have their own, tighter bounds on bytes. */
const blocksAtOnce = 1024

export class BlobFetch {
  readonly #components: BlobFetchComponents
  readonly #init: BlobFetchInit
  readonly #arrivals: Arrivals
  readonly #progress: Progress = { bytes: 0 }
  #bytes = 0
  readonly #hashes = new Set<string>()
  #unflushed = 0
  #flushing: Promise<void> = Promise.resolve()
  #flushFailure: { error: unknown } | undefined

  constructor(components: BlobFetchComponents, init: BlobFetchInit, arrivals: Arrivals) {
    this.#components = components
    this.#init = init
    this.#arrivals = arrivals
  }

  /** What came over the network, and not from an earlier try. */
  readonly fetched = { blocks: 0, bytes: 0 }

  /** Resolves when every block is in the draft. */
  async run(): Promise<{ bytes: number; blocks: number }> {
    const { ref, settings } = this.#init
    const walk = new LevelWalk(ref, blobContentBytesMax(settings.profile))
    let level = walk.first()
    while (level.length > 0) {
      const nodes = new Array<DagNode | undefined>(level.length)
      let index = 0
      this.#arrivals.expect(level)
      await forEachLimit(level, blocksAtOnce, async (part) => {
        // Order matters to the next level, and to a reader: parents' order is children's order.
        const at = index++
        const node = await this.#obtain(part)
        if (part.cid === ref.cid && node !== undefined) assertKind(ref, node, settings)
        nodes[at] = node
      })
      level = walk.next(nodes.filter((node) => node !== undefined))
    }
    await this.#flushing
    if (this.#flushFailure !== undefined) throw this.#flushFailure.error
    return { bytes: this.#bytes, blocks: this.#hashes.size }
  }

  /** The node, if the block is one. */
  async #obtain(part: Part): Promise<DagNode | undefined> {
    // A blob of one block is rarely here by another name: asking the disk first would cost more than it saves.
    const isSingle = part.cid === this.#init.ref.cid && part.cid.code === rawCode
    let node: DagNode | undefined
    let bytes: Uint8Array | undefined
    if (isSingle) bytes = await this.#bring(part).catch(async (error: unknown) => this.#adoptOr(part.cid, error))
    else if (await this.#components.draft.adopt(part.cid)) node = await this.#adopted(part.cid)
    else {
      bytes = await this.#bring(part)
      if (part.cid.code !== rawCode) node = decodeNode(part.cid, bytes)
    }
    this.#arrivals.arrived(part.cid, bytes)
    // On the disk, and readers have their own share: nobody else has it.
    if (bytes !== undefined) spareMemory.release(bytes)
    return node
  }

  async #adoptOr(cid: CID, error: unknown): Promise<undefined> {
    if (!(await this.#components.draft.adopt(cid))) throw error
    await this.#adopted(cid)
  }

  async #adopted(cid: CID): Promise<DagNode | undefined> {
    const { blocks } = this.#components
    if (cid.code === rawCode) {
      this.#count(cid, (await blocks.size(cid)) ?? 0)
      return undefined
    }
    const bytes = await blocks.get(cid)
    const node = decodeNode(cid, bytes)
    this.#noteTotal(node)
    this.#count(cid, bytes.length)
    return node
  }

  async #bring({ cid, expectedBytes }: Part): Promise<Uint8Array> {
    const { draft, pool } = this.#components
    let brought: Uint8Array | undefined
    await pool.get(cid, expectedBytes, async (bytes) => {
      // Before it is kept: what is no node of a file is refused here.
      if (cid.code !== rawCode) this.#noteTotal(decodeNode(cid, bytes))
      else if (cid === this.#init.ref.cid) this.#init.onContent(bytes)
      this.#count(cid, bytes.length)
      await draft.put(cid, bytes)
      this.fetched.blocks++
      this.fetched.bytes += bytes.length
      this.#flushSometimes(bytes.length)
      brought = bytes
    })
    if (brought === undefined) throw new Error('a block was delivered without bytes')
    return brought
  }

  #count(cid: CID, bytes: number): void {
    const before = this.#hashes.size
    this.#hashes.add(hashKeyOf(cid))
    // Bytes that are a leaf and a node at once are one block.
    if (this.#hashes.size === before) return
    this.#bytes += bytes
    if (this.#bytes > blobBytesMax(this.#init.settings.profile)) {
      const cid = this.#init.ref.cid.toString()
      throw new BlobError('BAD_CID', `${cid} is no blob: it has more than ${this.#bytes} bytes`, { cid })
    }
    this.#progress.bytes = this.#bytes
    this.#init.onProgress({ ...this.#progress })
  }

  #noteTotal(node: DagNode): void {
    if (this.#init.ref.kind === 'dag' && this.#progress.total === undefined && node.type === 'file') this.#progress.total = node.contentBytes
  }

  /** What a crash would make us fetch again stays bounded. Not waited for, except by the next flush. */
  #flushSometimes(bytes: number): void {
    this.#unflushed += bytes
    if (this.#unflushed < this.#init.settings.flushEveryBytes) return
    this.#unflushed = 0
    this.#flushing = this.#flushing.then(() => this.#components.draft.flush()).catch((error: unknown) => {
      this.#flushFailure ??= { error }
    })
  }
}

/** What a root is, is not for the caller to choose: a blob has one kind, or nodes would count its blocks differently. */
function assertKind(ref: BlobRef, node: DagNode, settings: BlobSettings): void {
  const kind = kindOf(node, settings)
  if (kind === ref.kind) return
  throw new BlobError('BAD_CID', `${ref.cid.toString()} was asked for as a ${ref.kind} and is a ${kind}`, { cid: ref.cid.toString(), kind })
}

/** Who waits for which block of a fetch that is under way. */
export class Arrivals {
  readonly #waiting = new Map<string, Set<(bytes?: Uint8Array) => void>>()
  /** Known to belong to the blob, and not here yet. */
  readonly #due = new Set<string>()
  #ended = false

  expect(parts: Iterable<Part>): void {
    for (const { cid } of parts) this.#due.add(keyOf(cid))
  }

  /** The fetch under way is about to bring it: nobody need look whether it is here. */
  isDue(cid: CID): boolean {
    return this.#due.has(keyOf(cid))
  }

  /**
   * With its verified bytes, when they have just come: whoever waits need not read them back from the disk. Each who does
   * has a share in them, and releases it.
   */
  arrived(cid: CID, bytes?: Uint8Array): void {
    const key = keyOf(cid)
    this.#due.delete(key)
    for (const wake of this.#waiting.get(key) ?? []) {
      if (bytes !== undefined) spareMemory.share(bytes)
      wake(bytes)
    }
    this.#waiting.delete(key)
  }

  /** The fetch is over, well or not: nobody waits any more. */
  end(): void {
    this.#ended = true
    for (const set of this.#waiting.values()) for (const wake of set) wake()
    this.#waiting.clear()
    this.#due.clear()
  }

  get ended(): boolean {
    return this.#ended
  }

  /**
   * Settles when the block has come, with its bytes if they are at hand, or when the fetch has ended. To be called
   * *before* looking whether it is here, or it could come in between. `cancel` when it was.
   */
  wait(cid: CID): { here: Promise<Uint8Array | undefined>; cancel: () => void } {
    if (this.#ended) return { here: Promise.resolve(undefined), cancel: () => undefined }
    const key = keyOf(cid)
    let set = this.#waiting.get(key)
    if (set === undefined) this.#waiting.set(key, (set = new Set()))
    const waiting = set
    let wake: (bytes?: Uint8Array) => void = () => undefined
    const here = new Promise<Uint8Array | undefined>((resolve) => {
      wake = resolve
    })
    waiting.add(wake)
    const cancel = (): void => {
      waiting.delete(wake)
      if (waiting.size === 0 && this.#waiting.get(key) === waiting) this.#waiting.delete(key)
    }
    return { here, cancel }
  }
}
