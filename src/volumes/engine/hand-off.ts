import type { NodeId } from '../../base/index.js'
import { codeOf, messageOf, withDeadline } from '../../base/index.js'
import { blockBytes, segmentBlocks } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import type { BlockData, SegmentId } from '../replica-types.js'
import type { Session } from '../segment.js'
import type * as wire from '../wire/volume.js'
import * as codec from './codec.js'
import type { EngineContext } from './context.js'
import type { Hold, SegmentHolder } from './holder.js'
import { movedWith, moveOnly } from './moving.js'
import { intersection } from './range-lock.js'
import { keyOf } from './registers.js'
import type { SegmentPart } from './segment-part.js'
import { ask, verbs } from './verbs.js'

/** A hand-off freezes writes: if it takes longer than this something is wrong, and the range stays. */
const offerDeadlineMs = 5_000
const flushDeadlineMs = 10_000
const moveDeadlineMs = 10_000

/**
 * Handing a range over while this node lives: lock it, which waits for what is under way and holds back what comes; flush,
 * so that every replica has all of it; give the newcomer the blocks in use and what clients' writes were applied; from
 * then on never act on it again under this token; propose the new holder. What waited finds the register changed and goes
 * there.
 *
 * Road not taken: streaming what is unflushed to the newcomer alone, for it to log again under its own token. It spares
 * waiting for the replicas' syncs once, but then two streams have the same writes, and a newcomer that dies leaves
 * replicas that have different ends of the older one.
 */
export async function handOver(context: EngineContext, holder: SegmentHolder, range: BlockRange, to: NodeId): Promise<boolean> {
  const { components, registers, counters, self } = context
  const { id } = holder
  const segment = registers.view(id)
  const first = holder.holdOf(range)
  if (segment === undefined || first === undefined || to === self) return false
  // Near the limit of ranges, a round takes whole entries: then these are what must be frozen.
  const frozen = movedWith(segment, range)
  const locked = holder.lock.lock(frozen)
  const release = typeof locked === 'function' ? locked : await locked
  try {
    const hold = holder.holdOf(frozen)
    if (hold === undefined) return false
    const done = await moveLocked(context, holder, hold, frozen, to)
    if (done) counters.handOffs++
    else counters.handOffsFailed++
    return done
  } catch (error) {
    counters.handOffsFailed++
    components.log.info('a range was not handed over', { segment: keyOf(id), to, error: messageOf(error) })
    return false
  } finally {
    release()
  }
}

async function moveLocked(context: EngineContext, holder: SegmentHolder, hold: Hold, range: BlockRange, to: NodeId): Promise<boolean> {
  const { components, registers, signal } = context
  const { id } = holder
  const flushed = withDeadline(components.clock, flushDeadlineMs, signal, (deadline) => holder.flush(hold.token, deadline))
  const [session, end] = await Promise.all([offer(context, hold, id, range, to), flushed])
  if (session === undefined || end !== 'done' || holder.holdOf(range) !== hold) return false
  holder.relinquish(range, hold.token)
  // If its outcome is not known it may still happen, so nobody acts on the range here until a later round has said.
  const { change, segment } = await withDeadline(components.clock, moveDeadlineMs, signal, (deadline) =>
    registers.change(id, (value) => (value === undefined ? undefined : moveOnly(value, range, range, hold.session, hold.token, session)), { signal: deadline }))
  if (segment === undefined) return false
  context.tell(id, segment, [to, ...segment.replicas])
  return change?.type === 'changed'
}

async function offer(context: EngineContext, hold: Hold, id: SegmentId, range: BlockRange, to: NodeId): Promise<Session | undefined> {
  const { disk, rpc } = context.components
  const from = { token: hold.token, sequence: hold.stream.end }
  const origins = await disk.origins(id)
  const blocks = await hotBlocks(context, id, range)
  const answer = await ask(rpc, to, verbs.offer, { segment: codec.encodeId(id), range, origins: origins.map(codec.encodeAppliedOrigin), blocks: blocks.map(codec.encodeRun), from }, { deadlineMs: offerDeadlineMs, signal: context.signal })
  return answer.session === undefined ? undefined : codec.decodeSession(answer.session)
}

/** Those that were written under the latest tokens: what is in use is what was written last. */
async function hotBlocks(context: EngineContext, id: SegmentId, range: BlockRange): Promise<BlockData[]> {
  const { disk } = context.components
  try {
    const runs = (await disk.versions(id, range)).filter((run) => run.content !== 'unknown' && run.version !== undefined)
    runs.sort((a, b) => (b.version?.token ?? 0) - (a.version?.token ?? 0) || (b.version?.sequence ?? 0) - (a.version?.sequence ?? 0))
    const blocks: BlockData[] = []
    let left = context.init.hotBlocksMax
    for (const run of runs) {
      if (left === 0) break
      const part = { start: run.start, blocks: Math.min(run.blocks, left) }
      for (const found of await disk.read(id, part)) if (found.content !== 'unknown') blocks.push(found)
      left -= part.blocks
    }
    return blocks
  } catch (error) {
    // They are a kindness: damaged ones stay where they are.
    if (codeOf(error) === 'CORRUPT') return []
    throw error
  }
}

/** The newcomer's side. Resolves when what must be known before the range is served is known here. */
export async function takeOffer(context: EngineContext, { holder, takeover }: SegmentPart, request: wire.OfferRequest): Promise<Partial<wire.OfferAnswer>> {
  const { registers, replica, components: { disk } } = context
  const { id } = holder
  const range = codec.decodeRange(request.range)
  const from = codec.decodePosition(request.from)
  const blocks = request.blocks.map((run) => codec.decodeRun(run, true))
  const origins = request.origins.map(codec.decodeAppliedOrigin)
  if (blocks.some((run) => run.start < range.start || run.start + run.blocks > range.start + range.blocks)) codec.bad('blocks that are not offered')
  // One after the other: an offer that was overtaken must not put its blocks over those of the later one.
  return takeover.takingOffer(async () => {
    const session = context.session()
    const view = registers.view(id)
    // What is here while joining may be older than the offer, and may not be forgotten.
    if (session === undefined || view?.joining.includes(context.self) === true) return {}
    // A message is on its way as long as it likes. Asked again right before each thing that is done.
    const isLate = (): boolean => takeover.isOvertaken(range, from)
    if (isLate()) return {}
    takeover.sees(range, from)
    // A replica's own blocks may do; whether it still is one the register says when the range has come.
    const isWhole = await disk.isWhole(id)
    if (!isWhole) {
      // A copy that nobody waits for any more might yet bring what is older than the offer.
      if (!(await replica.leave(id, view?.configuration ?? 0)) || isLate()) return {}
      await disk.forget(id, range)
    }
    if (isLate()) return {}
    await disk.install(id, blocks.filter((run) => run.content !== 'unknown'))
    await disk.installOrigins(id, origins)
    if (isLate()) return {}
    takeover.offered(range, isWhole ? 'copy' : 'clean')
    return { session: codec.encodeSession(session) }
  })
}

/** What a move of the range would carry at once. */
export function bytesToMove({ init }: EngineContext, hold: Hold, range: BlockRange): number {
  const { blocks } = intersection(range, { start: 0, blocks: segmentBlocks }) ?? { blocks: 0 }
  return Math.min(blocks, init.hotBlocksMax) * blockBytes + hold.stream.unflushedBytes
}
