import { frameHead } from '../../base/index.js'
import type { Frame } from '../../base/index.js'
import { blockBytes } from '../geometry.js'
import type { LogEntry, SegmentId } from '../replica-types.js'
import { Content, StreamedAnswer, StreamedAppend } from '../wire/volume.js'
import type * as wire from '../wire/volume.js'
import * as codec from './codec.js'
import { messageContentBytes } from './verbs.js'

/**
 * Frames of `/mesh/volume/1`: see `frames.ts` of base for the head.
 *
 *   to the replica   message: StreamedAppend, the entries without their bytes; payload: the bytes of all entries, in order
 *   to the holder    message: StreamedAnswer; no payload
 *
 * Entries' bytes are neither copied into a protobuf nor out of one: of a long write that would be half of what it costs.
 */
export const appendProtocol = '/mesh/volume/1'

/** Entries in one frame. */
export const entriesPerFrameMax = 4096
/** 4,096 entries with their origins are 300 KiB. */
const messageBytesMax = 512 * 1024
export const appendLimits = { messageBytesMax, payloadBytesMax: messageContentBytes }
/** An answer is some numbers. */
export const answerLimits = { messageBytesMax: 256, payloadBytesMax: 0 }

/** Entries of one stream for one replica, and what is asked with them. */
export interface Append {
  readonly id: SegmentId
  readonly token: number
  readonly configuration: number
  /** In order, without a gap. */
  readonly entries: readonly LogEntry[]
  /** Answered when the stream up to here survives the end of the machine. */
  readonly sync: boolean
  /** Every replica has synced the stream up to here. */
  readonly settled: number
}

export interface NumberedAppend extends Append {
  readonly number: number
}

export interface NumberedAnswer {
  readonly number: number
  /** Undefined: the replica failed, and may do better the next time. */
  readonly answer: wire.AppendAnswer | undefined
}

/** Shorter parts are joined: each part of a list costs the stream a turn. */
const partBytesMin = 32 * 1024

export function encodeAppend(number: number, append: Append): Uint8Array[] {
  const { id, token, configuration, entries, sync, settled } = append
  const header = StreamedAppend.encode({
    number,
    append: { segment: codec.encodeId(id), token, configuration, entries: entries.map((entry) => ({ ...codec.encodeEntry(entry), bytes: noBytes })), sync, settled },
  })
  const parts: Uint8Array[] = []
  let payloadBytes = 0
  for (const { bytes } of entries) {
    if (bytes.length === 0) continue
    payloadBytes += bytes.length
    parts.push(bytes)
  }
  return joined([frameHead(header, payloadBytes), ...parts])
}

/** Throws BAD_INPUT. */
export function decodeAppend({ message, payload }: Frame): NumberedAppend {
  const { number, append } = codec.decoding(() => StreamedAppend.decode(message))
  const request = codec.there(append, 'what is appended')
  if (request.entries.length > entriesPerFrameMax) codec.bad('too many entries')
  const token = codec.count(request.token, 'a token')
  const configuration = codec.count(request.configuration, 'a configuration')
  let at = 0
  const entries = request.entries.map((entry) => {
    if (entry.bytes.length > 0) codec.bad('bytes in a header')
    const from = at
    if (entry.content === Content.DATA) at += codec.decodeRange(entry).blocks * blockBytes
    return codec.decodeEntry({ ...entry, bytes: payload.subarray(from, at) }, token, configuration)
  })
  if (at !== payload.length) codec.bad('bytes that are not as many as said')
  return { number, id: codec.decodeId(request.segment), token, configuration, entries, sync: request.sync, settled: codec.count(request.settled, 'a sequence') }
}

export function encodeAnswer(number: number, answer: wire.AppendAnswer | undefined): Uint8Array {
  return frameHead(StreamedAnswer.encode(answer === undefined ? { number } : { number, answer }), 0)
}

/** Throws BAD_INPUT. */
export function decodeAnswer({ message }: Frame): NumberedAnswer {
  const { number, answer } = codec.decoding(() => StreamedAnswer.decode(message))
  if (answer !== undefined) codec.count(answer.end, 'a sequence')
  return { number, answer }
}

const noBytes = new Uint8Array(0)

/** The same bytes in fewer parts; long ones stay as they are. */
export function joined(parts: readonly Uint8Array[]): Uint8Array[] {
  const result: Uint8Array[] = []
  let short: Uint8Array[] = []
  let shortBytes = 0
  const flush = (): void => {
    if (shortBytes > 0) result.push(short.length === 1 ? (short[0] as Uint8Array) : Buffer.concat(short, shortBytes))
    short = []
    shortBytes = 0
  }
  for (const part of parts) {
    if (part.length >= partBytesMin) {
      flush()
      result.push(part)
      continue
    }
    short.push(part)
    shortBytes += part.length
    if (shortBytes >= 4 * partBytesMin) flush()
  }
  flush()
  return result
}
