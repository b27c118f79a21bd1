import { asNodeId, CommonError, messageOf } from '../../base/index.js'
import type { NodeId } from '../../base/index.js'
import { blockBytes, segmentBlocks } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import { RangeMap } from '../range-map.js'
import type { AppliedOrigin, BlockData, LogEntry, Origin, SegmentId, StreamEnd, Version } from '../replica-types.js'
import { cutsMax, rangesMax, sameHolding } from '../segment.js'
import type { Cut, Holding, Segment, Session } from '../segment.js'
import { Content, SegmentValue } from '../wire/volume.js'
import type * as wire from '../wire/volume.js'

/**
 * Between the values of this room and those generated from `protocols/volume/volume.proto`. What comes from others is
 * checked here, once: ranges inside the segment, lengths of names, bytes that fit their blocks. Whatever is wrong is
 * BAD_INPUT, nothing else.
 */
/** Replicas are few; a list of more is nobody's segment. */
const nodesMax = 64
/** Most segments that 1 PiB has. */
const segmentNumberMax = 2 ** 24

export function bad(what: string): never {
  throw new CommonError('BAD_INPUT', `a volume message is malformed: ${what}`)
}

/** Runs a decoder; whatever it throws on bytes of others is BAD_INPUT. */
export function decoding<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof CommonError) throw error
    throw new CommonError('BAD_INPUT', `a volume message does not decode: ${messageOf(error)}`, {}, { cause: error })
  }
}

export function there<T>(part: T | undefined, what: string): T {
  return part ?? bad(`${what} is missing`)
}

const hex = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')

function hexOf(bytes: Uint8Array, length: number, what: string): string {
  if (bytes.length !== length) bad(`${what} has ${String(bytes.length)} bytes`)
  return hex(bytes)
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'hex')
}

export function count(value: number, what: string): number {
  if (!Number.isSafeInteger(value) || value < 0) bad(`${what} is no count`)
  return value
}

export function nodeOf(text: string): NodeId {
  return asNodeId(text) ?? bad('a node id')
}

export function encodeSession(session: Session): wire.Session {
  return { node: session.node, incarnation: bytesOf(session.incarnation), epoch: session.epoch }
}

export function decodeSession(session: wire.Session): Session {
  return { node: nodeOf(session.node), incarnation: hexOf(session.incarnation, 16, 'an incarnation'), epoch: count(session.epoch, 'an epoch') }
}

export function encodeId(id: SegmentId): wire.Segment {
  return { volume: bytesOf(id.volume), number: id.segment }
}

export function decodeId(segment: wire.Segment | undefined): SegmentId {
  const { volume, number } = there(segment, 'the segment')
  if (number > segmentNumberMax) bad('a segment past the end of any volume')
  return { volume: hexOf(volume, 16, 'a volume id'), segment: number }
}

export function decodeRange(range: BlockRange | undefined): BlockRange {
  const { start, blocks } = there(range, 'a range')
  if (blocks === 0 || start + blocks > segmentBlocks) bad('a range outside its segment')
  return { start, blocks }
}

export function decodePosition(position: wire.Position | undefined): Cut & StreamEnd & Version {
  const { token, sequence } = there(position, 'a position')
  return { token: count(token, 'a token'), sequence: count(sequence, 'a sequence') }
}

const contents = { data: Content.DATA, zeroes: Content.ZEROES, hole: Content.HOLE, unknown: Content.UNKNOWN } as const

function decodeContent(content: Content): 'data' | 'zeroes' | 'hole' | 'unknown' {
  switch (content) {
    case Content.DATA: return 'data'
    case Content.ZEROES: return 'zeroes'
    case Content.HOLE: return 'hole'
    case Content.UNKNOWN: return 'unknown'
  }
}

function encodeOrigin(origin: Origin): wire.Origin {
  return { client: bytesOf(origin.client), sequence: origin.sequence }
}

function decodeOrigin(origin: wire.Origin): Origin {
  return { client: decodeClient(origin.client), sequence: count(origin.sequence, 'an origin') }
}

/** 32 hex digits. */
export function decodeClient(client: Uint8Array): string {
  return hexOf(client, 16, 'a client')
}

export function encodeClient(client: string): Uint8Array {
  return bytesOf(client)
}

export function encodeEntry(entry: LogEntry): wire.Entry {
  const { start, blocks, sequence, bytes, origin } = entry
  return { start, blocks, sequence, content: contents[entry.content], bytes, ...(origin === undefined ? {} : { origin: encodeOrigin(origin) }) }
}

export function decodeEntry(entry: wire.Entry, token: number, configuration: number): LogEntry {
  const { start, blocks } = decodeRange(entry)
  const content = decodeContent(entry.content)
  if (content === 'unknown') bad('an entry without content')
  if (entry.bytes.length !== (content === 'data' ? blocks * blockBytes : 0)) bad('bytes that do not fit their blocks')
  const { sequence, bytes, origin } = entry
  return { start, blocks, token, sequence: count(sequence, 'a sequence'), configuration, content, bytes, ...(origin === undefined ? {} : { origin: decodeOrigin(origin) }) }
}

export function encodeAppliedOrigin({ origin, start, blocks, version }: AppliedOrigin): wire.AppliedOrigin {
  return { origin: encodeOrigin(origin), start, blocks, version }
}

export function decodeAppliedOrigin(applied: wire.AppliedOrigin): AppliedOrigin {
  return { ...decodeRange(applied), origin: decodeOrigin(there(applied.origin, 'an origin')), version: decodePosition(applied.version) }
}

export function encodeRun(run: BlockData): wire.Run {
  const { start, blocks, bytes, version } = run
  return { start, blocks, content: contents[run.content], bytes, ...(version === undefined ? {} : { version }) }
}

/** `bytes`: whether runs of data carry them. */
export function decodeRun(run: wire.Run, bytes: boolean): BlockData {
  const range = decodeRange(run)
  const content = decodeContent(run.content)
  if (run.bytes.length !== (bytes && content === 'data' ? range.blocks * blockBytes : 0)) bad('bytes that do not fit their blocks')
  return { ...range, content, version: run.version === undefined ? undefined : decodePosition(run.version), bytes: run.bytes }
}

export function toWire(segment: Segment): SegmentValue {
  const { version, token, configuration, replicas, joining, cuts, cutsForgotten } = segment
  const sessions: Session[] = []
  const places = new Map<string, number>()
  const ranges = segment.ranges.entries.map(({ start, blocks, value }) => {
    const key = `${value.session.node}/${value.session.incarnation}/${String(value.session.epoch)}`
    let place = places.get(key)
    if (place === undefined) {
      places.set(key, (place = sessions.length))
      sessions.push(value.session)
    }
    return { start, blocks, session: place, token: value.token, unsettled: [...value.unsettled] }
  })
  return { version, token, configuration, replicas: [...replicas], joining: [...joining], sessions: sessions.map(encodeSession), ranges, cuts: [...cuts], cutsForgotten }
}

/** Throws BAD_INPUT. */
export function fromWire(value: SegmentValue): Segment {
  if (value.replicas.length > nodesMax || value.joining.length > nodesMax || value.ranges.length > rangesMax || value.cuts.length > cutsMax) bad('a register of too many parts')
  const sessions = value.sessions.map(decodeSession)
  let end = 0
  const entries = value.ranges.map((range) => {
    const { start, blocks } = decodeRange(range)
    if (start < end) bad('ranges that overlap')
    end = start + blocks
    const session = there(sessions[range.session], 'a holder')
    const holding: Holding = { session, token: count(range.token, 'a token'), unsettled: range.unsettled.map((token) => count(token, 'a token')) }
    return { start, blocks, value: holding }
  })
  return {
    version: count(value.version, 'a version'), token: count(value.token, 'a token'), configuration: count(value.configuration, 'a configuration'),
    replicas: value.replicas.map(nodeOf), joining: value.joining.map(nodeOf), ranges: new RangeMap(sameHolding, entries),
    cuts: value.cuts.map(decodePosition), cutsForgotten: count(value.cutsForgotten, 'a token'),
  }
}

export function encodeSegment(segment: Segment): Uint8Array {
  return SegmentValue.encode(toWire(segment))
}

export function decodeSegment(bytes: Uint8Array): Segment {
  return decoding(() => fromWire(SegmentValue.decode(bytes)))
}
