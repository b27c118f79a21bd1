import { BaseBlockstore } from 'blockstore-core'
import type { Blockstore, Pair } from 'interface-blockstore'
import type { AbortOptions } from 'interface-store'
import { NotFoundError } from 'interface-store'
import type { CID } from 'multiformats/cid'
import type { BlockDraft, BlockStore } from './types.js'
import { StoreError } from './types.js'

/**
 * The store as the ecosystem's `interface-blockstore`: what ipfs-unixfs-importer writes to and ipfs-unixfs-exporter
 * reads from. With a draft, puts go into that draft, and nothing can be deleted; without one, every put of a block that
 * is not here is committed for itself with one reference, and `delete` takes one reference back. Missing blocks are
 * reported as `NotFoundError`, which that code looks for.
 */
export function asBlockstore(blocks: BlockStore, draft?: BlockDraft): Blockstore {
  return new StoreBlockstore(blocks, draft)
}

class StoreBlockstore extends BaseBlockstore {
  readonly #blocks: BlockStore
  readonly #draft: BlockDraft | undefined
  readonly #putting = new Map<string, Promise<void>>()

  constructor(blocks: BlockStore, draft: BlockDraft | undefined) {
    super()
    this.#blocks = blocks
    this.#draft = draft
  }

  override async put(cid: CID, bytes: Uint8Array, options?: AbortOptions): Promise<CID> {
    options?.signal?.throwIfAborted()
    if (this.#draft !== undefined) {
      await this.#draft.put(cid, bytes)
      return cid
    }
    // Puts of one block at once are one put, so that one `delete` undoes them.
    const name = cid.toString()
    const same = this.#putting.get(name)
    if (same !== undefined) await same
    else {
      const putting = this.#commit(cid, bytes).finally(() => this.#putting.delete(name))
      this.#putting.set(name, putting)
      await putting
    }
    return cid
  }

  async #commit(cid: CID, bytes: Uint8Array): Promise<void> {
    if (await this.#blocks.has(cid)) return
    const draft = await this.#blocks.draft(`blockstore/${String(nextDraft++)}/${cid.toString()}`)
    try {
      await draft.put(cid, bytes)
      await draft.commit([])
    } catch (error) {
      await draft.abort()
      throw error
    }
  }

  override async get(cid: CID, options?: AbortOptions): Promise<Uint8Array> {
    try {
      return await this.#blocks.get(cid, options)
    } catch (error) {
      if (error instanceof StoreError && error.code === 'NOT_FOUND') throw new NotFoundError(error.message)
      throw error
    }
  }

  override async has(cid: CID, options?: AbortOptions): Promise<boolean> {
    options?.signal?.throwIfAborted()
    return this.#blocks.has(cid)
  }

  override async delete(cid: CID, options?: AbortOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    if (this.#draft !== undefined) throw new StoreError('NOT_FOUND', 'blocks of a draft go when the draft is given up')
    if (await this.#blocks.has(cid)) await this.#blocks.release([cid], [])
  }

  override async *getAll(options?: AbortOptions): AsyncGenerator<Pair> {
    for await (const { cid } of this.#blocks.list()) {
      options?.signal?.throwIfAborted()
      yield { cid, block: await this.get(cid, options) }
    }
  }
}

/** Several of these may be over one store, and must not meet in one draft. */
let nextDraft = 0
