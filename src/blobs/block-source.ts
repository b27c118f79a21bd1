import type { CID } from 'multiformats/cid'
import type { BlockStore } from '../store/index.js'
import { codeOf, messageOf, spareMemory, type Log, type NodeId } from '../base/index.js'
import { keyOf, rawCode } from './cids.js'
import { isWhatItSays } from './hashing.js'
import type { HolderPool } from './holder-pool.js'

/**
 * Blocks for a reader, from the local store where they are, else from holders; verified either way, since LevelDB hands
 * out flipped bits without a word. A block that is damaged here is put right on the way.
 */
export interface BlockSourceComponents {
  blocks: BlockStore
  log: Log
  pool: (blob: CID, holders: readonly NodeId[], signal: AbortSignal | undefined) => HolderPool
}

export interface BlockSourceInit {
  holders: readonly NodeId[]
  signal: AbortSignal | undefined
}

/** Blobs whose holders are remembered at once: a reader is in one, its read-ahead perhaps in the next. */
const poolsMax = 4

/**
 * Nodes fetched from afar and remembered, since a range read comes by the same ones again: a node of 1024 links is
 * 50 KiB, so this is 1.6 MiB.
 */
const nodesMax = 32

export class BlockSource {
  readonly #components: BlockSourceComponents
  readonly #init: BlockSourceInit
  readonly #nodes = new Map<string, Uint8Array>()
  readonly #pools = new Map<string, { pool: HolderPool; using: number }>()

  constructor(components: BlockSourceComponents, init: BlockSourceInit) {
    this.#components = components
    this.#init = init
  }

  async get(cid: CID, expectedBytes: number, blob: CID): Promise<Uint8Array> {
    this.#init.signal?.throwIfAborted()
    const local = await this.local(cid)
    if (local instanceof Uint8Array) return local
    const known = local === undefined ? this.#nodes.get(keyOf(cid)) : undefined
    if (known !== undefined) return known
    const received = await this.remote(cid, expectedBytes, blob)
    // What is remembered is nobody's to release.
    const bytes = cid.code === rawCode ? received : spareMemory.copied(received)
    // Damage found earlier looks like a block that is not here; healing one that is not missed does nothing.
    await this.#heal(cid, bytes)
    if (cid.code !== rawCode) this.#remember(cid, bytes)
    return bytes
  }

  /** Undefined if it is not here; `damaged` if it is here and cannot be trusted (it is in quarantine then). */
  async local(cid: CID): Promise<Uint8Array | 'damaged' | undefined> {
    const { blocks, log } = this.#components
    try {
      const bytes = await blocks.get(cid)
      if (await isWhatItSays(cid, bytes)) return bytes
      log.warn('a block on this disk has changed', { cid: cid.toString() })
    } catch (error) {
      const code = codeOf(error)
      if (code === 'NOT_FOUND') return undefined
      if (code === 'CLOSED') throw error
      log.warn('a block on this disk cannot be read', { cid: cid.toString(), reason: messageOf(error) })
    }
    await blocks.verify(cid).catch(() => false)
    return 'damaged'
  }

  async remote(cid: CID, expectedBytes: number, blob: CID): Promise<Uint8Array> {
    const entry = this.#pool(blob)
    entry.using++
    try {
      let received: Uint8Array | undefined
      await entry.pool.get(cid, expectedBytes, async (bytes) => {
        received = bytes
      })
      if (received === undefined) throw new Error('a block was delivered without bytes')
      return received
    } finally {
      entry.using--
    }
  }

  close(): void {
    for (const { pool } of this.#pools.values()) pool.close()
    this.#pools.clear()
  }

  #remember(cid: CID, bytes: Uint8Array): void {
    for (const oldest of this.#nodes.keys()) {
      if (this.#nodes.size < nodesMax) break
      this.#nodes.delete(oldest)
    }
    this.#nodes.set(keyOf(cid), bytes)
  }

  async #heal(cid: CID, bytes: Uint8Array): Promise<void> {
    try {
      await this.#components.blocks.heal(cid, bytes)
    } catch (error) {
      if (codeOf(error) === 'NOT_FOUND') return
      this.#components.log.warn('a damaged block could not be put right', { cid: cid.toString(), reason: messageOf(error) })
    }
  }

  #pool(blob: CID): { pool: HolderPool; using: number } {
    const key = keyOf(blob)
    const known = this.#pools.get(key)
    if (known !== undefined) return known
    for (const [old, entry] of this.#pools) {
      if (this.#pools.size < poolsMax) break
      if (entry.using > 0) continue
      entry.pool.close()
      this.#pools.delete(old)
    }
    const made = { pool: this.#components.pool(blob, this.#init.holders, this.#init.signal), using: 0 }
    this.#pools.set(key, made)
    return made
  }
}
