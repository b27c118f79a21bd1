import type { CID } from 'multiformats/cid'
import type { BlockStore } from '../store/index.js'
import { codeOf, messageOf, type NodeId } from '../base/index.js'
import { rawCode } from './cids.js'
import { LevelWalk } from './dag.js'
import type { HolderPool } from './holder-pool.js'
import { decodeNode, type DagNode } from './nodes.js'
import { blobContentBytesMax, type BlobProfile } from './settings.js'
import type { BlobRef } from './types.js'

/**
 * Re-hashes the blocks of a held blob, root first, and puts damaged ones right from other holders. By blob and not in
 * the order of the disk, because a healer must know whose copy to ask for: holders are found by the blob.
 */
export interface VerifyComponents {
  blocks: BlockStore
  pool: (blob: CID, holders: readonly NodeId[], signal: AbortSignal | undefined) => HolderPool
  isHeld: (blob: CID) => Promise<boolean>
}

export interface VerifyInit {
  profile: BlobProfile
  holders: readonly NodeId[]
  signal: AbortSignal | undefined
  /** Called before each block: where a scrub rests. */
  pace: (bytes: number) => Promise<void>
}

export interface Verified {
  cid: CID
  ok: boolean
  healed: boolean
  error?: string
}

export async function* verifyBlob(ref: BlobRef, components: VerifyComponents, init: VerifyInit): AsyncGenerator<Verified> {
  const { blocks } = components
  const walk = new LevelWalk(ref, blobContentBytesMax(init.profile))
  let pool: HolderPool | undefined
  try {
    let level = walk.first()
    while (level.length > 0) {
      const nodes: DagNode[] = []
      for (const { cid, expectedBytes } of level) {
        init.signal?.throwIfAborted()
        await init.pace((await sizeOf(blocks, cid)) ?? expectedBytes)
        let result = await check(blocks, cid)
        if (!result.ok) {
          // It was dropped since it was listed: nothing of it is amiss.
          if (!(await components.isHeld(ref.cid))) return
          pool ??= components.pool(ref.cid, init.holders, init.signal)
          result = await heal(blocks, pool, result, expectedBytes)
        }
        // What lies below a node that is lost is not known here.
        if (cid.code !== rawCode && (result.ok || result.healed)) nodes.push(decodeNode(cid, await blocks.get(cid)))
        yield result
      }
      level = walk.next(nodes)
    }
  } finally {
    pool?.close()
  }
}

/** Undefined also where what is known of it cannot be read, which `check` tells. */
async function sizeOf(blocks: BlockStore, cid: CID): Promise<number | undefined> {
  try {
    return await blocks.size(cid)
  } catch (error) {
    if (codeOf(error) === 'CLOSED') throw error
    return undefined
  }
}

async function check(blocks: BlockStore, cid: CID): Promise<Verified> {
  try {
    if (await blocks.verify(cid)) return { cid, ok: true, healed: false }
    return { cid, ok: false, healed: false, error: 'its bytes on this disk have changed' }
  } catch (error) {
    const code = codeOf(error)
    if (code === 'CLOSED') throw error
    return { cid, ok: false, healed: false, error: code === 'NOT_FOUND' ? 'it is missing here' : `it cannot be read: ${messageOf(error)}` }
  }
}

async function heal(blocks: BlockStore, pool: HolderPool, damaged: Verified, expectedBytes: number): Promise<Verified> {
  try {
    await pool.get(damaged.cid, expectedBytes, (bytes) => blocks.heal(damaged.cid, bytes))
    return { ...damaged, healed: true }
  } catch (error) {
    if (codeOf(error) === 'CLOSED') throw error
    return { ...damaged, error: `${damaged.error ?? 'damaged'}; ${messageOf(error)}` }
  }
}
