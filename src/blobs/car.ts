import { CarWriter } from '@ipld/car/writer'
import type { CID } from 'multiformats/cid'
import { raceAbort } from '../base/index.js'
import { keyOf, rawCode } from './cids.js'
import { isAboveBlobs } from './dag.js'
import { decodeNode } from './nodes.js'
import { blobBlocksMax } from './settings.js'
import { BlobError } from './types.js'

/**
 * A DAG as a CAR (version 1), depth first, each block once: what other IPFS tools import. Blocks are read one ahead of
 * the writer; the writer waits for the consumer.
 */
export async function* carOf(root: CID, get: Get, blobContentBytesMax: number): AsyncGenerator<Uint8Array> {
  const { writer, out } = CarWriter.create([root])
  const stop = new AbortController()
  const producing = produce(root, get, blobContentBytesMax, async (cid, bytes) => raceAbort(writer.put({ cid, bytes }), stop.signal)).then(
    () => raceAbort(writer.close(), stop.signal),
    async (error: unknown) => {
      // The consumer must wake up to hear of it.
      void writer.close().catch(() => undefined)
      throw error
    },
  )
  producing.catch(() => undefined)
  try {
    // The first chunk is the header, which holds only what was asked for. It waits for a block, so that a root that nobody
    // has is an error, and not the beginning of an archive.
    let header: Uint8Array | undefined
    let isFirst = true
    for await (const chunk of out) {
      if (isFirst) {
        isFirst = false
        header = chunk
        continue
      }
      if (header !== undefined) yield header
      header = undefined
      yield chunk
    }
    await producing
  } finally {
    stop.abort(new BlobError('ABORTED', 'nobody reads the CAR any more'))
    await producing.catch(() => undefined)
  }
}

/** Levels of files within folders within folders at most: deeper than any path of the catalog. */
const depthMax = 4096

/** Names of written blocks kept in memory: 1 TiB of file, 100 MB of names. Past it blocks may come twice, as CAR allows. */
const writtenMax = 4 * blobBlocksMax

/** `blob` is the one the block belongs to: under whose name its holders are found. */
type Get = (cid: CID, blob: CID) => Promise<Uint8Array>

interface Place {
  cid: CID
  blob: CID
  depth: number
}

async function produce(root: CID, get: Get, contentBytesMax: number, put: (cid: CID, bytes: Uint8Array) => Promise<void>): Promise<void> {
  const written = new Set<string>()
  const stack: Place[] = [{ cid: root, blob: root, depth: 0 }]
  let ahead: { cid: CID; bytes: Promise<Uint8Array> } | undefined
  for (;;) {
    const next = stack.pop()
    if (next === undefined) return
    const key = keyOf(next.cid)
    if (written.has(key)) continue
    if (written.size < writtenMax) written.add(key)
    const bytes = await (ahead?.cid === next.cid ? ahead.bytes : get(next.cid, next.blob))
    if (next.cid.code !== rawCode) stack.push(...placesBelow(next, bytes, contentBytesMax).reverse())
    const top = stack.at(-1)
    ahead = undefined
    if (top !== undefined && !written.has(keyOf(top.cid))) {
      ahead = { cid: top.cid, bytes: get(top.cid, top.blob) }
      ahead.bytes.catch(() => undefined)
    }
    await put(next.cid, bytes)
  }
}

function placesBelow(place: Place, bytes: Uint8Array, contentBytesMax: number): Place[] {
  if (place.depth >= depthMax) throw new BlobError('BAD_CID', `${place.cid.toString()} is more than ${depthMax} levels down`, { cid: place.cid.toString() })
  const node = decodeNode(place.cid, bytes)
  const depth = place.depth + 1
  if (node.type === 'folder') return node.links.map(({ cid, shard }) => ({ cid, blob: shard ? place.blob : cid, depth }))
  const above = isAboveBlobs(node, contentBytesMax)
  return node.links.map(({ cid, contentBytes }) => ({ cid, blob: above && contentBytes <= contentBytesMax ? cid : place.blob, depth }))
}
