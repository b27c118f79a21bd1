import type { Clock, ContentRouting, NodeId } from '../base/index.js'
import { codeOf, withDeadline } from '../base/index.js'
import type { BlobService } from '../blobs/index.js'
import { CID } from 'multiformats/cid'

/** A question in passing (`stat`): what the DHT has not said by then is left out. */
const lookupMs = 1_500

export interface HoldersComponents {
  self: NodeId
  blobs: BlobService
  routing: ContentRouting
  clock: Clock
}

/** Who has all of a blob, as far as can be told quickly: this node by its own records, others by theirs in the DHT. */
export async function holdersOf(components: HoldersComponents, cid: string, signal: AbortSignal | undefined): Promise<NodeId[]> {
  const holders = new Set<NodeId>()
  if ((await components.blobs.held(CID.parse(cid))) !== undefined) holders.add(components.self)
  try {
    await withDeadline(components.clock, lookupMs, signal, async (inner) => {
      for await (const holder of components.routing.findProviders(cid, { signal: inner })) holders.add(holder)
    })
  } catch (error) {
    signal?.throwIfAborted()
    if (codeOf(error) === undefined) throw error
  }
  return [...holders]
}
