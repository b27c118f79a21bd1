import { messageOf } from '../base/index.js'
import { agentBytesMax, scopeBytesMax } from './checks.js'
import { LeaseError } from './types.js'
import * as wire from './wire/share.js'

/** Between the values of this room and `protocols/lease/share.proto`. What comes in is checked here: BAD_INPUT, nothing else. */
export interface ShareItem {
  readonly kind: 'admit' | 'renew' | 'return'
  readonly scope: string
  readonly token: number
}

export interface ShareRequest {
  /** 32 hex digits, random, of the asker's process. */
  readonly start: string
  readonly sequence: number
  readonly items: readonly ShareItem[]
}

export type ShareRefusal = 'not-holder' | 'writer-waits' | 'recalled' | 'not-now' | 'full'
/** `validMs` is counted from when the asker sent the request. */
export type ShareAnswer = { readonly validMs: number } | { readonly refused: ShareRefusal }

/** Renewals of so many scopes travel together; a node that reads more from one holder sends several. */
export const itemsMax = 256
export const shareBytesMax = itemsMax * (scopeBytesMax + 64)
export const forceReleaseBytesMax = agentBytesMax + 64

const kinds = { admit: wire.ShareKind.ADMIT, renew: wire.ShareKind.RENEW, return: wire.ShareKind.RETURN } as const
const refusals: Readonly<Record<ShareRefusal, wire.ShareRefusal>> = {
  'not-holder': wire.ShareRefusal.NOT_HOLDER, 'writer-waits': wire.ShareRefusal.WRITER_WAITS, recalled: wire.ShareRefusal.RECALLED,
  'not-now': wire.ShareRefusal.NOT_NOW, full: wire.ShareRefusal.FULL,
}

export function encodeShareRequest({ start, sequence, items }: ShareRequest): Uint8Array {
  return wire.ShareRequest.encode({ start: Buffer.from(start, 'hex'), sequence, items: items.map(({ kind, ...rest }) => ({ kind: kinds[kind], ...rest })) })
}

export function decodeShareRequest(bytes: Uint8Array): ShareRequest {
  return decoding(() => {
    const { start, sequence, items } = wire.ShareRequest.decode(bytes, { limits: { items: itemsMax } })
    if (start.length !== 16) throw bad('a start id has 16 bytes')
    return {
      start: Buffer.from(start).toString('hex'), sequence: whole(sequence),
      items: items.map(({ kind, scope, token }) => {
        const size = Buffer.byteLength(scope)
        if (size === 0 || size > scopeBytesMax) throw bad('a scope has 1 to 1024 bytes')
        return { kind: named(kinds, kind), scope, token: whole(token) }
      }),
    }
  })
}

export function encodeShareReply(answers: readonly ShareAnswer[]): Uint8Array {
  return wire.ShareReply.encode({
    answers: answers.map((answer) => ('validMs' in answer
      ? { validMs: Math.floor(answer.validMs), refusal: wire.ShareRefusal.NONE }
      : { validMs: 0, refusal: refusals[answer.refused] })),
  })
}

export function decodeShareReply(bytes: Uint8Array): ShareAnswer[] {
  return decoding(() => wire.ShareReply.decode(bytes, { limits: { answers: itemsMax } }).answers.map(({ validMs, refusal }) =>
    (refusal === wire.ShareRefusal.NONE ? { validMs: whole(validMs) } : { refused: named(refusals, refusal) })))
}

export function encodeForceRelease(agent: string): Uint8Array {
  return wire.ForceReleaseRequest.encode({ agent })
}

export function decodeForceRelease(bytes: Uint8Array): string {
  return decoding(() => {
    const { agent } = wire.ForceReleaseRequest.decode(bytes)
    if (agent === '' || Buffer.byteLength(agent) > agentBytesMax) throw bad('an agent\'s name has 1 to 256 bytes')
    return agent
  })
}

export function encodeForceReleased(released: number): Uint8Array {
  return wire.ForceReleaseReply.encode({ released })
}

export function decodeForceReleased(bytes: Uint8Array): number {
  return decoding(() => whole(wire.ForceReleaseReply.decode(bytes).released))
}

function named<Name extends string, Number>(table: Readonly<Record<Name, Number>>, number: Number): Name {
  for (const name of Object.keys(table) as Name[]) if (table[name] === number) return name
  throw bad('a kind that is not known')
}

function whole(number: number): number {
  if (!Number.isSafeInteger(number) || number < 0) throw bad('a number is not whole')
  return number
}

function bad(what: string): LeaseError {
  return new LeaseError('BAD_INPUT', `a message about shared leases is malformed: ${what}`)
}

function decoding<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof LeaseError) throw error
    throw new LeaseError('BAD_INPUT', `a message about shared leases does not decode: ${messageOf(error)}`, {}, { cause: error })
  }
}
