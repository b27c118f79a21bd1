import { CommonError } from '../../base/index.js'
import type { Facts } from '../../base/index.js'
import { encode as lengthPrefixed } from 'it-length-prefixed'
import type { Uint8ArrayList } from 'uint8arraylist'
import { NetError, RemoteError } from '../types.js'
import { RpcFrame } from '../wire/rpc.js'
import { isCoded, printable } from './methods.js'

/** Limits of a frame's fields; see `protocols/rpc/README.md`. */
export const methodLengthMax = 64
export const codeLengthMax = 64
export const messageLengthMax = 1024
export const factsLengthMax = 4096
/** What a frame holds beside its body. */
export const frameOverheadBytes = 8 * 1024

export type Frame =
  | { readonly kind: 'request'; readonly id: number; readonly method: string; readonly body: Uint8Array; readonly deadlineMs: number }
  | { readonly kind: 'response'; readonly id: number; readonly body: Uint8Array }
  | { readonly kind: 'error'; readonly id: number; readonly code: string; readonly message: string; readonly facts: Facts }
  | { readonly kind: 'cancel'; readonly id: number }

const { Kind } = RpcFrame
const nothing = { method: '', body: new Uint8Array(0), deadlineMs: 0, code: '', message: '', facts: '' }

/** Length prefix and frame, ready to be written. */
export function encodeFrame(frame: Frame): Uint8ArrayList {
  return lengthPrefixed.single(RpcFrame.encode(wireOf(frame)))
}

function wireOf(frame: Frame): RpcFrame {
  switch (frame.kind) {
    case 'request':
      return { ...nothing, kind: Kind.REQUEST, id: frame.id, method: frame.method, body: frame.body, deadlineMs: Math.min(Math.max(1, Math.ceil(frame.deadlineMs)), 0xffffffff) }
    case 'response':
      return { ...nothing, kind: Kind.RESPONSE, id: frame.id, body: frame.body }
    case 'error':
      return { ...nothing, kind: Kind.ERROR, id: frame.id, code: frame.code.slice(0, codeLengthMax), message: frame.message.slice(0, messageLengthMax), facts: encodeFacts(frame.facts) }
    case 'cancel':
      return { ...nothing, kind: Kind.CANCEL, id: frame.id }
  }
}

/** Throws BAD_FRAME for anything that is not a frame of ours, whatever the bytes. */
export function decodeFrame(bytes: Uint8Array | Uint8ArrayList): Frame {
  let wire: RpcFrame
  try {
    wire = RpcFrame.decode(bytes)
  } catch (error) {
    throw new NetError('BAD_FRAME', 'an rpc frame could not be read', {}, { cause: error })
  }
  switch (wire.kind) {
    case Kind.REQUEST:
      if (wire.method.length === 0 || wire.method.length > methodLengthMax) throw new NetError('BAD_FRAME', 'a request without a method, or with too long a name of one')
      if (wire.deadlineMs === 0) throw new NetError('BAD_FRAME', 'a request without a deadline')
      return { kind: 'request', id: wire.id, method: wire.method, body: own(wire.body), deadlineMs: wire.deadlineMs }
    case Kind.RESPONSE:
      return { kind: 'response', id: wire.id, body: own(wire.body) }
    case Kind.ERROR:
      if (wire.code.length === 0) throw new NetError('BAD_FRAME', 'an error without a code')
      return {
        kind: 'error',
        id: wire.id,
        code: printable(wire.code, codeLengthMax),
        message: printable(wire.message, messageLengthMax),
        facts: decodeFacts(wire.facts),
      }
    case Kind.CANCEL:
      return { kind: 'cancel', id: wire.id }
    default:
      throw new NetError('BAD_FRAME', 'an rpc frame of no known kind')
  }
}

export function errorFrame(id: number, error: unknown): Frame {
  if (isCoded(error)) return { kind: 'error', id, code: error.code, message: error.message, facts: error.facts }
  return { kind: 'error', id, code: 'INTERNAL', message: 'the other side failed', facts: {} }
}

export function remoteError(frame: Extract<Frame, { kind: 'error' }>): RemoteError {
  return new RemoteError(frame.code, frame.message, frame.facts)
}

/**
 * The receiver keeps the body, so it must not pin the network buffer that it was cut out of, nor be one of Node's own
 * Buffers, whose `slice` does not copy.
 */
function own(body: Uint8Array): Uint8Array {
  if (body.byteLength * 2 < body.buffer.byteLength) return new Uint8Array(body)
  return new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
}

function encodeFacts(facts: Facts): string {
  if (Object.keys(facts).length === 0) return ''
  const text = JSON.stringify(facts)
  // Particulars are a help; an error without them is still the right error.
  return text.length <= factsLengthMax ? text : ''
}

/** Facts of a stranger: only what the type allows, or none. */
function decodeFacts(text: string): Facts {
  if (text.length === 0 || text.length > factsLengthMax) return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return {}
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return {}
  const facts: Facts = {}
  for (const [key, value] of Object.entries(parsed) as [string, unknown][]) {
    if (key === '__proto__') continue
    if (value === null || typeof value === 'number' || typeof value === 'boolean' || typeof value === 'string') facts[key] = value
    else if (isTextList(value)) facts[key] = value
  }
  return facts
}

function isTextList(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}

export function tooLong(bytes: number, bytesMax: number): CommonError {
  return new CommonError('BAD_INPUT', `a body of ${bytes} bytes does not fit into a frame`, { bodyBytesMax: bytesMax })
}
