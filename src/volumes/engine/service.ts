import type { RpcContext } from '../../base/index.js'
import { messageOf, withDeadline } from '../../base/index.js'
import { blockBytes, segmentBytes } from '../geometry.js'
import type { SegmentId } from '../replica-types.js'
import { Outcome, Verb } from '../wire/volume.js'
import type * as wire from '../wire/volume.js'
import * as codec from './codec.js'
import { blocksOf, noBytes } from './content.js'
import type { EngineContext } from './context.js'
import { bytesToMove, handOver, takeOffer } from './hand-off.js'
import type { Parts } from './parts.js'
import { keyOf } from './registers.js'
import type { SegmentPart } from './segment-part.js'
import { messageContentBytes, serve, verbs } from './verbs.js'

/** As many as gather at a node that does not hold what it writes. */
const operationsMax = 256
/** A holder's own business with the voters may take this long; the asker's deadline is a little more. */
const ownDeadlineMs = 6_000

/** What this node does for clients of others: reads and writes of what it holds; and what holders tell each other. */
class AccessService {
  readonly #context: EngineContext
  readonly #parts: Parts
  /** One request of one client at a time in one segment: a retry must not run beside what it repeats. */
  readonly #turns = new Map<string, Promise<unknown>>()
  #moves = 0

  constructor(context: EngineContext, init: { parts: Parts }) {
    this.#context = context
    this.#parts = init.parts
    const { rpc } = context.components
    serve(rpc, verbs.access, (request, from) => this.#access(request, from))
    serve(rpc, verbs.offer, (request) => this.#parts.using(codec.decodeId(request.segment), (part) => takeOffer(context, part, request)))
    serve(rpc, verbs.news, (request) => this.#news(request))
  }

  async #news(request: wire.News): Promise<object> {
    const id = codec.decodeId(request.segment)
    this.#context.registers.absorb(id, codec.fromWire(codec.there(request.value, 'the register')))
    await this.#parts.using(id, (part) => part.takeover.accept())
    return {}
  }

  async #access(request: wire.AccessRequest, context: RpcContext): Promise<Partial<wire.AccessAnswer>> {
    return this.#parts.using(codec.decodeId(request.segment), (part) => this.#accessPart(part, request, context))
  }

  async #accessPart(part: SegmentPart, request: wire.AccessRequest, context: RpcContext): Promise<Partial<wire.AccessAnswer>> {
    const { id } = part.holder
    const client = codec.decodeClient(request.client)
    if (request.operations.length > operationsMax) codec.bad('too many operations')
    const readBytes = request.operations.reduce((sum, { verb, length }) => sum + (verb === Verb.READ ? length : 0), 0)
    if (readBytes > messageContentBytes + blockBytes) codec.bad('reads of more than a message has')
    const hasWrites = request.operations.some(({ verb }) => verb === Verb.WRITE || verb === Verb.WRITE_ZEROES || verb === Verb.TRIM)
    const work = async (): Promise<Partial<wire.AccessAnswer>> => {
      const results: wire.Result[] = []
      for (const operation of request.operations) {
        const result = await this.#operate(part, client, operation)
        results.push(result)
        if (result.outcome === Outcome.DONE) continue
        // Nothing behind a write that failed: if this answer is lost, a higher number would say that it was applied.
        if (result.outcome !== Outcome.MOVED) return { results }
        const view = this.#context.registers.view(id)
        return { results, ...(view === undefined ? {} : { value: codec.toWire(view) }) }
      }
      return { results }
    }
    const answer = await (hasWrites ? this.#inTurn(`${keyOf(id)} ${client}`, work) : work())
    this.#account(id, part, request, context)
    return answer
  }

  async #operate(part: SegmentPart, client: string, operation: wire.Operation): Promise<wire.Result> {
    const { holder } = part
    if (operation.verb === Verb.FLUSH) {
      return this.#outcome(async () => {
        const end = await withDeadline(this.#context.components.clock, this.#context.init.operationDeadlineMs / 2, this.#context.signal, (deadline) => holder.flush(operation.token, deadline))
        return end === 'moved' ? { outcome: Outcome.MOVED } : { outcome: Outcome.DONE }
      })
    }
    const { offset, length, bytes } = operation
    if (length === 0 || offset + length > segmentBytes) codec.bad('bytes outside the segment')
    const range = blocksOf(offset, length)
    return this.#outcome(async () => {
      await this.#takeOwn(part, range)
      switch (operation.verb) {
        case Verb.READ: {
          if (range.blocks * blockBytes > messageContentBytes) codec.bad('a read of more than a message has')
          const runs = await holder.read(range)
          return runs === undefined ? { outcome: Outcome.MOVED } : { outcome: Outcome.DONE, runs: runs.map(codec.encodeRun) }
        }
        case Verb.EXTENTS: {
          const runs = await holder.extents(range)
          return runs === undefined ? { outcome: Outcome.MOVED } : { outcome: Outcome.DONE, runs: runs.map((run) => codec.encodeRun({ ...run, bytes: noBytes })) }
        }
        default: {
          const isData = operation.verb === Verb.WRITE
          if (bytes.length !== (isData ? length : 0)) codec.bad('bytes that are not as many as said')
          const content = isData ? 'data' : operation.verb === Verb.WRITE_ZEROES ? 'zeroes' : 'hole'
          const end = await holder.write({ offset, length, content, bytes }, { client, sequence: codec.count(operation.sequence, 'a number') })
          // In doubt: the asker tries again, and will be told whether it counts.
          return end.type === 'done' ? { outcome: Outcome.DONE, version: { ...end.version } } : { outcome: Outcome.MOVED }
        }
      }
    })
  }

  /** What the register gives to this node and it does not serve yet (after a restart, or a hand-off just now) it takes up. */
  async #takeOwn(part: SegmentPart, range: { start: number; blocks: number }): Promise<void> {
    const { registers, self, components, signal } = this.#context
    if (part.holder.holdOf(range) !== undefined) return
    if (registers.view(part.holder.id)?.ranges.at(range.start)?.session.node !== self) return
    await withDeadline(components.clock, ownDeadlineMs, signal, (deadline) => part.takeover.locate(range, deadline, false))
  }

  async #outcome(work: () => Promise<Partial<wire.Result>>): Promise<wire.Result> {
    const nothing = { outcome: Outcome.DONE, bytes: noBytes, runs: [], message: '' }
    try {
      return { ...nothing, ...(await work()) }
    } catch (error) {
      const code = (error as { code?: unknown }).code
      if (code === 'BAD_INPUT') throw error
      return { ...nothing, outcome: code === 'NO_SPACE' ? Outcome.NO_SPACE : code === 'IO' ? Outcome.FAILED : Outcome.MOVED, message: messageOf(error) }
    }
  }

  /** Heat, and whether the range should be where it is used. After the answer: it never delays one. */
  #account(id: SegmentId, part: SegmentPart, request: wire.AccessRequest, context: RpcContext): void {
    const { components, self } = this.#context
    const asker = components.regionOf(context.from)
    const here = components.regionOf(self)
    if (asker === undefined || here === undefined) return
    const place = { node: context.from, region: asker }
    for (const operation of request.operations) {
      if (operation.verb === Verb.FLUSH || operation.verb === Verb.EXTENTS) continue
      const range = blocksOf(operation.offset, operation.length)
      const kind = operation.verb === Verb.READ ? 'read' : 'write'
      const latencyMs = operation.latencyMs > 0 ? operation.latencyMs : (components.connections.rttMs(context.from) ?? 0)
      components.heat.record({ volume: id.volume, segment: id.segment, ...range, kind, place, latencyMs, remote: true })
      if (kind === 'write') this.#parts.using(id, () => this.#consider(id, part, range, place, { node: self, region: here })).catch((error: unknown) => { components.log.debug('a move was not made', { error: messageOf(error) }) })
    }
  }

  async #consider(id: SegmentId, part: SegmentPart, range: { start: number; blocks: number }, asker: { node: RpcContext['from']; region: string }, holder: { node: RpcContext['from']; region: string }): Promise<void> {
    const { components, registers } = this.#context
    const policy = (await this.#context.settingsOf(id.volume))?.policy ?? 'adaptive'
    const segment = registers.view(id)
    const hold = part.holder.holdOf(range)
    const held = segment?.ranges.entries.find((entry) => entry.value.token === hold?.token && entry.start <= range.start && range.start < entry.start + entry.blocks)
    if (segment === undefined || hold === undefined || held === undefined || this.#moves >= movesMax) return
    const others = segment.replicas.flatMap((node) => {
      const region = components.regionOf(node)
      return region === undefined || node === holder.node || node === asker.node ? [] : [{ node, region }]
    })
    const question = { volume: id.volume, segment: id.segment, ...range, held: { start: held.start, blocks: held.blocks }, holder, asker, others, bytesToMove: (moved: { start: number; blocks: number }) => bytesToMove(this.#context, hold, moved), policy }
    const answer = components.policy.decide(question)
    if (answer.type !== 'move') return
    this.#moves++
    let moved = false
    try {
      components.log.debug('a range moves to who writes it', { segment: keyOf(id), start: answer.range.start, blocks: answer.range.blocks, to: answer.to.node, why: answer.explanation })
      moved = await handOver(this.#context, part.holder, answer.range, answer.to.node)
    } finally {
      this.#moves--
      components.policy.ended(question, answer, moved ? 'moved' : 'failed')
    }
  }

  async #inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(work)
    const settled = turn.catch(() => undefined)
    this.#turns.set(key, settled)
    void settled.then(() => { if (this.#turns.get(key) === settled) this.#turns.delete(key) })
    return turn
  }
}

export function serveAccess(context: EngineContext, init: { parts: Parts }): AccessService {
  return new AccessService(context, init)
}

/** Hand-offs that this node makes at once: each freezes a range and waits for a flush. */
const movesMax = 16
