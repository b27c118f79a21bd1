import { blockBytes } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import type { BlockData, SegmentId } from '../replica-types.js'
import * as codec from './codec.js'
import type { EngineContext } from './context.js'
import { nearestFirst } from './holder.js'
import { ask, messageContentBytes, verbs } from './verbs.js'

/** As long as a slow link needs for a megabyte; then the next replica is asked. */
const fetchDeadlineMs = 8_000

/** For readers that do not mind being behind: from this disk, or the nearest replica that has all of it. Undefined: nobody has. */
export async function readStale(context: EngineContext, id: SegmentId, range: BlockRange): Promise<BlockData[] | undefined> {
  const { components, registers, self, signal } = context
  if (await components.disk.isWhole(id)) {
    const runs = await components.disk.read(id, range)
    if (runs.every((run) => run.content !== 'unknown')) return runs
  }
  if (range.blocks * blockBytes > messageContentBytes) return undefined
  const segment = registers.view(id) ?? (await registers.refreshShared(id, signal))
  for (const node of nearestFirst((segment?.replicas ?? []).filter((one) => one !== self), (one) => components.connections.rttMs(one))) {
    const answer = await ask(components.rpc, node, verbs.fetch, { segment: codec.encodeId(id), range }, { deadlineMs: fetchDeadlineMs, signal }).catch(() => undefined)
    const runs = answer?.refusal === undefined ? answer?.runs.map((run) => codec.decodeRun(run, true)) : undefined
    if (runs?.every((run) => run.content !== 'unknown') === true) return runs
  }
  return undefined
}
