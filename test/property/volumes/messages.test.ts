import assert from 'node:assert/strict'
import fc from 'fast-check'
import { codeOf, seededRandom } from '../../../src/base/index.js'
import * as codec from '../../../src/volumes/engine/codec.js'
import { decodeRefusal } from '../../../src/volumes/engine/replica.js'
import { verbs } from '../../../src/volumes/engine/verbs.js'
import { blockBytes, segmentBlocks, segmentBytes } from '../../../src/volumes/index.js'
import type { AppliedOrigin, BlockData, LogEntry } from '../../../src/volumes/index.js'
import { RangeMap } from '../../../src/volumes/range-map.js'
import { sameHolding } from '../../../src/volumes/segment.js'
import type { Segment } from '../../../src/volumes/segment.js'
import { Content, Outcome, SegmentValue, Verb, Why } from '../../../src/volumes/wire/volume.js'
import type * as wire from '../../../src/volumes/wire/volume.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf, SimulatedNetwork } from '../../simulation/net-twin.js'
import { Machine } from '../../simulation/volumes/machine.js'
import { RegisterTwin } from '../../simulation/volumes/register-twin.js'

/** Every message of `protocols/volume`, as others may send it: as it should be, with numbers that nobody has, and damaged. */
const strangers = 'ffeeddccbbaa99887766554433221100'
const number64 = fc.oneof(fc.nat(9), fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER))
const number32 = fc.oneof({ weight: 12, arbitrary: fc.integer({ min: 1, max: 20 }) }, fc.constant(0), fc.constantFrom(16_383, 16_384, 2 ** 24, 2 ** 26, 2 ** 31, 2 ** 32 - 1), fc.nat(2 ** 32 - 1))
const name16 = fc.oneof({ weight: 9, arbitrary: fc.constant(new Uint8Array(16).fill(7)) }, fc.uint8Array({ maxLength: 40 }))
const node = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(idOf(0), idOf(1), idOf(2)).map(String) }, fc.string({ maxLength: 60 }))
const nodes = fc.array(node, { maxLength: 4 })
const bytes = fc.oneof({ weight: 5, arbitrary: fc.constant(new Uint8Array(0)) }, { weight: 5, arbitrary: fc.constant(new Uint8Array(blockBytes).fill(3)) }, fc.uint8Array({ maxLength: 50 }))
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(arbitrary, { nil: undefined, freq: 9 })
const few = <T>(arbitrary: fc.Arbitrary<T>, maxLength = 3): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength })

const session: fc.Arbitrary<wire.Session> = fc.record({ node, incarnation: name16, epoch: number64 })
const position: fc.Arbitrary<wire.Position> = fc.record({ token: number64, sequence: number64 })
const range: fc.Arbitrary<wire.BlockRange> = fc.record({ start: number32, blocks: number32 })
const content = fc.constantFrom(Content.UNKNOWN, Content.DATA, Content.ZEROES, Content.HOLE)
const origin: fc.Arbitrary<wire.Origin> = fc.record({ client: name16, sequence: number64 })
const applied = fc.record({ origin: optional(origin), start: number32, blocks: number32, version: optional(position) }) as fc.Arbitrary<wire.AppliedOrigin>
const run = fc.record({ start: number32, blocks: number32, content, version: optional(position), bytes }) as fc.Arbitrary<wire.Run>
const value: fc.Arbitrary<wire.SegmentValue> = fc.record({
  version: number64, token: number64, configuration: number64, replicas: nodes, joining: nodes, sessions: few(session), cuts: few(position), cutsForgotten: number64,
  ranges: few(fc.record({ start: number32, blocks: number32, session: fc.nat(1), token: number64, unsettled: few(number64) })),
})
const refusal = fc.record({ why: fc.constantFrom(Why.NOT_REFUSED, Why.FENCED, Why.GAP, Why.NOT_A_REPLICA, Why.NOT_READY, Why.FULL), token: number64, configuration: number64 })
/** Of a volume that nobody here has: what these messages do is done to it. */
const segment: fc.Arbitrary<wire.Segment> = fc.record({ volume: fc.oneof({ weight: 9, arbitrary: fc.constant(new Uint8Array(Buffer.from(strangers, 'hex'))) }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 20 }) }), number: fc.oneof({ weight: 9, arbitrary: fc.constant(0) }, number32) })

const requests = {
  fence: fc.record({ segment: optional(segment), ranges: few(fc.record({ start: number32, blocks: number32, token: number64 })), configuration: number64, cuts: few(position), create: fc.boolean() }),
  fetch: fc.record({ segment: optional(segment), range: optional(range), versions: fc.boolean(), state: fc.boolean(), stale: fc.boolean(), tokens: few(number64) }),
  copy: fc.record({ segment: optional(segment), from: node, value: optional(value), ranges: few(range), cuts: few(position), join: fc.boolean() }),
  access: fc.record({ segment: optional(segment), client: name16, operations: few(fc.record({ verb: fc.constantFrom(Verb.READ, Verb.WRITE, Verb.WRITE_ZEROES, Verb.TRIM, Verb.EXTENTS, Verb.FLUSH), offset: number32, length: fc.oneof(number32, fc.constant(blockBytes)), bytes, sequence: number64, token: number64, latencyMs: number32 }), 2) }),
  offer: fc.record({ segment: optional(segment), range: optional(range), origins: few(applied), blocks: few(run) }),
  news: fc.record({ segment: optional(segment), value: optional(value) }),
} as const
const answers = {
  fence: fc.record({ ends: few(position), refusal: optional(refusal) }),
  fetch: fc.record({ runs: few(run), ends: few(position), origins: few(applied), refusal: optional(refusal) }),
  copy: fc.record({ done: fc.boolean(), refusal: optional(refusal), ready: fc.boolean() }),
  access: fc.record({ results: few(fc.record({ outcome: fc.constantFrom(Outcome.DONE, Outcome.MOVED, Outcome.FAILED, Outcome.NO_SPACE), bytes, version: optional(position), runs: few(run), message: fc.string({ maxLength: 20 }) })), value: optional(value) }),
  offer: fc.record({ session: optional(session) }),
  news: fc.constant({}),
} as const
const verbNames = Object.keys(verbs) as (keyof typeof verbs)[]

/** Leaves out what is undefined, as who encodes does. */
function plain<T>(message: T): T {
  if (Array.isArray(message)) return message.map(plain) as T
  if (message === null || typeof message !== 'object' || message instanceof Uint8Array) return message
  return Object.fromEntries(Object.entries(message).filter(([, part]) => part !== undefined).map(([key, part]: [string, unknown]) => [key, plain(part)])) as T
}

const encodedRequest = fc.constantFrom(...verbNames).chain((name) => (requests[name] as fc.Arbitrary<object>).map((message) => ({ name, body: (verbs[name].request as { encode: (message: object) => Uint8Array }).encode(plain(message)) })))
const encodedAnswer = fc.constantFrom(...verbNames).chain((name) => (answers[name] as fc.Arbitrary<object>).map((message) => ({ name, body: (verbs[name].answer as { encode: (message: object) => Uint8Array }).encode(plain(message)) })))
const harm = fc.record({ past: fc.boolean(), flips: fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }), cut: fc.option(fc.nat(), { freq: 3 }), tail: fc.uint8Array({ maxLength: 6 }) })

/** The largest number, and one that has as many bytes and is larger. */
const largest = 'ffffffffffffff0f'
const pastLargest = 'ffffffffffffff7f'

function harmed(body: Uint8Array, { past, flips, cut, tail }: { past: boolean; flips: readonly (readonly [number, number])[]; cut: number | null; tail: Uint8Array }): Uint8Array {
  const changed = Buffer.concat([body.subarray(0, cut === null ? body.length : cut % (body.length + 1)), tail])
  if (past) return Uint8Array.from(Buffer.from(Buffer.from(body).toString('hex').replaceAll(largest, pastLargest), 'hex'))
  for (const [at, by] of flips) if (changed.length > 0) changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ by
  return Uint8Array.from(changed)
}

/** It decodes, or is BAD_INPUT: nothing else, whatever the bytes. */
function calm(decode: () => unknown): void {
  try {
    decode()
  } catch (error) {
    assert.equal(codeOf(error), 'BAD_INPUT', String(error))
  }
}

/** All that the engine reads out of an answer. */
const readers: { readonly [Name in keyof typeof verbs]: (body: Uint8Array) => unknown } = {
  fence: (body) => { const answer = verbs.fence.answer.decode(body); return [answer.ends.map(codec.decodePosition), answer.refusal === undefined ? '' : decodeRefusal(answer.refusal)] },
  fetch: (body) => { const answer = verbs.fetch.answer.decode(body); return [...[true, false].map((withBytes) => { calm(() => answer.runs.map((one) => codec.decodeRun(one, withBytes))) }), answer.ends.map(codec.decodePosition), answer.origins.map(codec.decodeAppliedOrigin)] },
  copy: (body) => verbs.copy.answer.decode(body),
  access: (body) => { const answer = verbs.access.answer.decode(body); return [answer.results.map((result) => [result.runs.map((one) => codec.decodeRun(one, true)), result.version === undefined ? '' : codec.decodePosition(result.version)]), answer.value === undefined ? '' : codec.fromWire(answer.value)] },
  offer: (body) => { const answer = verbs.offer.answer.decode(body); return answer.session === undefined ? '' : codec.decodeSession(answer.session) },
  news: (body) => verbs.news.answer.decode(body),
}

const id = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((hex) => Buffer.from(hex).toString('hex'))
const fineRange = fc.tuple(fc.nat(segmentBlocks - 1), fc.integer({ min: 1, max: 3 })).map(([start, blocks]) => ({ start, blocks: Math.min(blocks, segmentBlocks - start) }))
const fineNumber = fc.oneof(fc.nat(), fc.constant(Number.MAX_SAFE_INTEGER))
const fineOrigin = fc.record({ client: id, sequence: fineNumber }, { noNullPrototype: true })
const finePosition = fc.record({ token: fineNumber, sequence: fineNumber }, { noNullPrototype: true })
const fineNode = fc.constantFrom(idOf(0), idOf(1), idOf(2))

describe('volumes: messages', () => {
  it('come back as they went', () => {
    fc.assert(fc.property(fineRange, fc.constantFrom('data' as const, 'zeroes' as const, 'hole' as const), finePosition, fc.option(fineOrigin, { nil: undefined }), fineNumber, (where, kind, version, from, configuration) => {
      const filled = new Uint8Array(kind === 'data' ? where.blocks * blockBytes : 0).fill(5)
      const entry: LogEntry = { ...where, ...version, configuration, content: kind, bytes: filled, ...(from === undefined ? {} : { origin: from }) }
      assert.deepEqual(codec.decodeEntry(codec.encodeEntry(entry), version.token, configuration), entry)
      const data: BlockData = { ...where, content: kind, version, bytes: filled }
      assert.deepEqual(codec.decodeRun(codec.encodeRun(data), true), data)
      const one: AppliedOrigin = { ...where, origin: from ?? { client: strangers, sequence: 1 }, version }
      assert.deepEqual(codec.decodeAppliedOrigin(codec.encodeAppliedOrigin(one)), one)
    }), { numRuns: 60 })
    const holding = fc.record({ session: fc.record({ node: fineNode, incarnation: id, epoch: fineNumber }, { noNullPrototype: true }), token: fineNumber, unsettled: fc.array(fineNumber, { maxLength: 3 }) }, { noNullPrototype: true })
    fc.assert(fc.property(fc.array(fc.tuple(fineRange, holding), { maxLength: 12 }), fc.array(finePosition, { maxLength: 32 }), fc.tuple(fineNumber, fineNumber, fineNumber, fineNumber), fc.array(fineNode, { maxLength: 3 }), (entries, cuts, [version, token, configuration, cutsForgotten], replicas) => {
      let ranges: Segment['ranges'] = new RangeMap(sameHolding)
      for (const [where, one] of entries) ranges = ranges.with(where, one)
      const whole: Segment = { version, token, configuration, replicas, joining: [...replicas].reverse(), ranges, cuts, cutsForgotten }
      const back = codec.decodeSegment(codec.encodeSegment(whole))
      assert.deepEqual({ ...back, ranges: back.ranges.entries }, { ...whole, ranges: ranges.entries })
    }), { numRuns: 100 })
  })

  it('any answer and any register is read, or is BAD_INPUT', () => {
    fc.assert(fc.property(encodedAnswer, harm, fc.boolean(), ({ name, body }, how, isHarmed) => {
      calm(() => codec.decoding(() => readers[name](isHarmed ? harmed(body, how) : body)))
    }), { numRuns: 1500 })
    fc.assert(fc.property(value, harm, fc.boolean(), (one, how, isHarmed) => {
      const body = SegmentValue.encode(one)
      calm(() => codec.decodeSegment(isHarmed ? harmed(body, how) : body))
    }), { numRuns: 500 })
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(...verbNames), (body, name) => {
      calm(() => codec.decodeSegment(body))
      calm(() => codec.decoding(() => readers[name](body)))
    }), { numRuns: 500 })
  })

  it('any request is answered or refused, and harms neither another volume nor the disk', async function () {
    this.timeout(60_000)
    const clock = new VirtualClock()
    const random = seededRandom(1)
    const network = new SimulatedNetwork({ clock, random }, { delayMs: [1, 2], redialMs: 10 })
    const registers = new RegisterTwin(clock, random, [1, 2])
    const machines = [0, 1].map((which): Machine => new Machine({ clock, network, registers, random }, {
      number: which, replicas: 1, sizeBytes: segmentBytes, engine: { keepEveryMs: 500, operationDeadlineMs: 3_000, inSyncMin: 1 }, places: () => [idOf(0)],
    }))
    const [a, b] = machines as [Machine, Machine]
    for (const machine of machines) await clock.outcome(machine.start())
    await clock.advance(200)
    const kept = new Uint8Array(2 * blockBytes).fill(9)
    await clock.outcome(a.device!.write(0, kept))
    await clock.outcome(a.device!.flush())
    let refused = 0
    let done = 0
    const send = async (name: keyof typeof verbs, body: Uint8Array): Promise<void> => {
      await clock.outcome(b.node.rpc.request(a.id, verbs[name].name, body, { deadlineMs: 30_000 })).then(() => { done++ }, (error: unknown) => {
        refused++
        const code = (error as { facts?: { code?: unknown } }).facts?.code ?? codeOf(error)
        assert.equal(code, 'BAD_INPUT', `${name} ${Buffer.from(body).toString('hex').slice(0, 200)}: ${String(error)}`)
      })
    }
    await fc.assert(fc.asyncProperty(encodedRequest, harm, fc.nat(2), async ({ name, body }, how, isHarmed) => send(name, isHarmed === 0 ? harmed(body, how) : body)), { numRuns: 700 })
    await fc.assert(fc.asyncProperty(fc.constantFrom(...verbNames), fc.uint8Array({ maxLength: 60 }), async (name, body) => send(name, body)), { numRuns: 100 })
    // One message cannot ask for more than it has room for.
    const strange = { volume: Buffer.from(strangers, 'hex'), number: 0 }
    const before = refused
    const read = { verb: Verb.READ, offset: 0, length: 1024 * 1024, bytes: new Uint8Array(0), sequence: 0, token: 0, latencyMs: 0 }
    await send('access', verbs.access.request.encode({ segment: strange, client: new Uint8Array(16), operations: [read, read] }))
    await send('access', verbs.access.request.encode({ segment: strange, client: new Uint8Array(16), operations: Array.from({ length: 300 }, () => ({ ...read, length: 1 })) }))
    await send('fence', verbs.fence.request.encode({ segment: strange, configuration: 0, ranges: Array.from({ length: 300 }, (_, i) => ({ start: i, blocks: 1, token: 1 })) }))
    await send('fetch', verbs.fetch.request.encode({ segment: strange, range: { start: 0, blocks: 1 }, versions: true, tokens: Array.from({ length: 300 }, (_, i) => i) }))
    assert.equal(refused, before + 4)
    assert.ok(refused > 100 && done > 20, `${String(refused)} refused, ${String(done)} done`)
    assert.deepEqual(await clock.outcome(a.device!.read(0, kept.length)), kept)
    // After a new start everything that these messages left can be read.
    a.crash(false)
    await clock.outcome(a.start())
    await clock.advance(10_000)
    for await (const found of a.disk!.segments()) await clock.outcome(Promise.resolve(a.disk!.versions(found, { start: 0, blocks: segmentBlocks })))
    assert.deepEqual(await clock.outcome(b.device!.read(0, kept.length)), kept)
  })
})
