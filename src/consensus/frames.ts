import {
  acceptedFromWire, acceptedToWire, bad, ballotFromWire, ballotToWire, chainFromWire, chunkFromWire, chunkToWire, decoding, decreeFromWire, decreeToWire, entryFromWire,
  entryToWire, hashFromWire, hexFromWire, hexToWire, membersFromWire, nonceFromWire, nonceToWire, recordToWire, revocationFromWire, revocationToWire,
  scopeFromWire, sessionFromWire, sessionToWire, snapshotFromWire, snapshotToWire, there, valueFromWire, valueToWire, voterFromWire,
  voterToWire, whole, wishFromWire, wishToWire,
} from './codec.js'
import type { AcceptedDecree, PeerMessage, Refusal, Reply, ReplyBody, Request, RequestBody } from './messages.js'
import * as wire from './wire/lease.js'

/** What one node has for another within a tick. */
export interface Frame {
  readonly requests: readonly Request[]
  readonly replies: readonly Reply[]
  readonly peers: readonly PeerMessage[]
  /** Instead of all the others: the frame is too large for one message and is to be fetched. */
  readonly parcel?: Parcel
}

/** A frame that its sender keeps for a while, to be fetched in pieces. */
export interface Parcel {
  /** 32 hex digits, random. */
  readonly id: string
  readonly bytes: number
  /** SHA-256 of the whole, 64 hex digits. */
  readonly hash: string
}

/** More is split over several frames: one synced batch of so many changes takes about 10 ms. */
export const frameMessagesMax = 512

export function encodeFrame(frame: Frame): Uint8Array {
  const { parcel } = frame
  return wire.Frame.encode({
    requests: frame.requests.map(requestToWire), replies: frame.replies.map(replyToWire), peers: frame.peers.map(peerToWire),
    ...(parcel === undefined ? {} : { parcel: { id: hexToWire(parcel.id), bytes: parcel.bytes, hash: hexToWire(parcel.hash) } }),
  })
}

/** Throws BAD_MESSAGE, and nothing else. */
export function decodeFrame(bytes: Uint8Array): Frame {
  return decoding(() => {
    const limits = { requests: frameMessagesMax, replies: frameMessagesMax, peers: frameMessagesMax }
    const frame = wire.Frame.decode(bytes, { limits })
    const content = { requests: frame.requests.map(requestFromWire), replies: frame.replies.map(replyFromWire), peers: frame.peers.map(peerFromWire) }
    return frame.parcel === undefined ? content : { ...content, parcel: parcelFromWire(frame.parcel) }
  })
}

function parcelFromWire({ id, bytes, hash }: wire.Parcel): Parcel {
  if (hash.length !== 32 || bytes === 0) bad('a parcel of nothing')
  return { id: hexFromWire(id, 'parcel id'), bytes, hash: Buffer.from(hash).toString('hex') }
}

type Fields<T> = Partial<Omit<T, 'kind'>>

function requestToWire(request: Request): wire.Request {
  return {
    config: request.config, incarnation: hexToWire(request.incarnation), nonce: nonceToWire(request.nonce), sender: sessionToWire(request.sender),
    seenStart: hexToWire(request.seen.start), seenSequence: request.seen.sequence,
    kind: request.body.kind, revocations: [], changed: false, number: 0, members: [], chain: [], held: false,
    ...requestFields(request.body),
  }
}

function requestFields(body: RequestBody): Fields<wire.Request> {
  switch (body.kind) {
    case 'epoch': case 'probe': return {}
    case 'snapshot': return body.base === undefined ? {} : { base: body.base }
    case 'rows': return { scope: body.after, number: body.limit, ...(body.base === undefined ? {} : { base: body.base }) }
    case 'base': return { ballot: ballotToWire(body.ballot), number: body.index, chunk: chunkToWire(body.chunk) }
    case 'base-end': return { ballot: ballotToWire(body.ballot) }
    case 'base-chunk': return { hash: body.hash, number: body.index }
    case 'renew': return { number: body.sequence }
    case 'prepare':
      return {
        scope: body.scope, ballot: ballotToWire(body.ballot),
        ...(body.evict === undefined ? {} : { session: sessionToWire(body.evict) }),
        ...(body.clear === undefined ? {} : { revocation: revocationToWire(body.clear) }),
      }
    case 'accept':
      return {
        scope: body.scope, ballot: ballotToWire(body.ballot), value: valueToWire(body.value), changed: body.changed,
        ...(body.next === undefined ? {} : { next: ballotToWire(body.next) }),
      }
    case 'open': return { scope: body.scope, ballot: ballotToWire(body.ballot), value: valueToWire(body.value), next: ballotToWire(body.next) }
    case 'read': return { scope: body.scope }
    case 'list': return { scope: body.after, number: body.limit, held: body.heldOnly }
    case 'expired': return { session: sessionToWire(body.session) }
    case 'revoke': case 'cleared': return { revocation: revocationToWire(body.revocation) }
    case 'acknowledge': return { revocations: body.revocations.map(revocationToWire) }
    case 'relay': return { wish: wishToWire(body.wish) }
    case 'seal':
      return {
        members: body.members.map(voterToWire), ...(body.base === undefined ? {} : { base: body.base }),
        ...(body.ballot === undefined ? {} : { ballot: ballotToWire(body.ballot) }),
      }
    case 'stage': return { hash: body.hash, snapshot: snapshotToWire(body.snapshot) }
    case 'decree-prepare': return { ballot: ballotToWire(body.ballot) }
    case 'decree-accept':
      return { ballot: ballotToWire(body.ballot), decree: decreeToWire(body.decree), ...(body.snapshot === undefined ? {} : { snapshot: snapshotToWire(body.snapshot) }) }
    case 'fetch': return { hash: body.hash }
    case 'activate': return { chain: body.chain.map(recordToWire), ...(body.snapshot === undefined ? {} : { snapshot: snapshotToWire(body.snapshot) }) }
  }
}

function requestFromWire(request: wire.Request): Request {
  return {
    config: whole(request.config, 'configuration'), incarnation: hexFromWire(request.incarnation, 'incarnation', true),
    nonce: nonceFromWire(request.nonce), sender: sessionFromWire(request.sender),
    seen: { start: hexFromWire(request.seenStart, 'start id', true), sequence: whole(request.seenSequence, 'sequence number') },
    body: requestBody(request),
  }
}

function requestBody(from: wire.Request): RequestBody {
  const { kind } = from
  const base = from.base === undefined ? {} : { base: hashFromWire(from.base) }
  switch (kind) {
    case 'epoch': case 'probe': return { kind }
    case 'snapshot': return { kind, ...base }
    case 'rows': return { kind, after: from.scope ?? '', limit: whole(from.number, 'limit'), ...base }
    case 'base': return { kind, ballot: ballotFromWire(from.ballot), index: whole(from.number, 'index'), chunk: chunkFromWire(from.chunk) }
    case 'base-end': return { kind, ballot: ballotFromWire(from.ballot) }
    case 'base-chunk': return { kind, hash: hashFromWire(there(from.hash, 'hash')), index: whole(from.number, 'index') }
    case 'renew': return { kind, sequence: whole(from.number, 'sequence') }
    case 'prepare':
      return {
        kind, scope: scopeFromWire(from.scope), ballot: ballotFromWire(from.ballot),
        ...(from.session === undefined ? {} : { evict: sessionFromWire(from.session) }),
        ...(from.revocation === undefined ? {} : { clear: revocationFromWire(from.revocation) }),
      }
    case 'accept':
      return {
        kind, scope: scopeFromWire(from.scope), ballot: ballotFromWire(from.ballot), value: valueFromWire(from.value), changed: from.changed,
        ...(from.next === undefined ? {} : { next: ballotFromWire(from.next) }),
      }
    case 'open': return { kind, scope: scopeFromWire(from.scope), ballot: ballotFromWire(from.ballot), value: valueFromWire(from.value), next: ballotFromWire(from.next) }
    case 'read': return { kind, scope: scopeFromWire(from.scope) }
    case 'list': return { kind, after: from.scope ?? '', limit: whole(from.number, 'limit'), heldOnly: from.held }
    case 'expired': return { kind, session: sessionFromWire(from.session) }
    case 'revoke': case 'cleared': return { kind, revocation: revocationFromWire(from.revocation) }
    case 'acknowledge': return { kind, revocations: from.revocations.map(revocationFromWire) }
    case 'relay': return { kind, wish: wishFromWire(from.wish) }
    case 'seal': return { kind, members: membersFromWire(from.members), ...base, ...(from.ballot === undefined ? {} : { ballot: ballotFromWire(from.ballot) }) }
    case 'stage': return { kind, hash: there(from.hash, 'hash'), snapshot: snapshotFromWire(from.snapshot) }
    case 'decree-prepare': return { kind, ballot: ballotFromWire(from.ballot) }
    case 'decree-accept':
      return { kind, ballot: ballotFromWire(from.ballot), decree: decreeFromWire(from.decree), ...(from.snapshot === undefined ? {} : { snapshot: snapshotFromWire(from.snapshot) }) }
    case 'fetch': return { kind, hash: there(from.hash, 'hash') }
    case 'activate': return { kind, chain: chainFromWire(from.chain), ...(from.snapshot === undefined ? {} : { snapshot: snapshotFromWire(from.snapshot) }) }
    default: return bad('unknown kind of request')
  }
}

function replyToWire(reply: Reply): wire.Reply {
  return {
    nonce: nonceToWire(reply.nonce), voter: voterToWire(reply.voter), start: hexToWire(reply.start), configPlusOne: reply.config + 1, sequence: reply.sequence,
    kind: reply.body.kind, code: '', number: 0, yes: false, clear: false, wishes: [], entries: [], chain: [], members: [], revocations: [],
    ...replyFields(reply.body),
  }
}

function replyFields(body: ReplyBody): Fields<wire.Reply> {
  switch (body.kind) {
    case 'refused': return refusalFields(body.why)
    case 'epoch': return { number: body.epoch }
    case 'renewed': return { wishes: body.wishes.map(wishToWire) }
    case 'promise': return { number: body.floor, yes: body.evicted, clear: body.clear, ...(body.accepted === undefined ? {} : { accepted: acceptedToWire(body.accepted) }) }
    case 'accepted': return { yes: body.promisedNext }
    case 'value': return body.accepted === undefined ? {} : { accepted: acceptedToWire(body.accepted) }
    case 'page': return { entries: body.entries.map(entryToWire), ...(body.next === undefined ? {} : { next: body.next }) }
    case 'is-expired': return { yes: body.expired }
    case 'is-clear': return { yes: body.clear }
    case 'recorded': case 'done': return {}
    case 'probed': return { yes: body.sealed, number: body.registers, chain: body.chain.map(recordToWire) }
    case 'based': return { number: body.behind }
    case 'base-chunk': return { chunk: chunkToWire(body.chunk), yes: body.more }
    case 'snapshot': case 'fetched': return { snapshot: snapshotToWire(body.snapshot) }
    case 'decree-promise': return acceptedDecreeFields(body.accepted)
    case 'sealed': return { snapshot: snapshotToWire(body.snapshot), ...acceptedDecreeFields(body.accepted) }
    case 'decree-accepted': return { signature: body.signature }
    case 'activated': return { number: body.config + 1 }
  }
}

function acceptedDecreeFields(accepted: AcceptedDecree | undefined): Fields<wire.Reply> {
  return accepted === undefined ? {} : { ballot: ballotToWire(accepted.ballot), decree: decreeToWire(accepted.decree) }
}

function refusalFields(why: Refusal): Fields<wire.Reply> {
  const { code } = why
  switch (code) {
    case 'promised': return { code, ballot: ballotToWire(why.ballot) }
    case 'config': return { code, chain: why.chain.map(recordToWire) }
    case 'sealed': return { code, members: why.members.map(voterToWire), ...(why.base === undefined ? {} : { base: why.base }) }
    case 'superseded': return { code, number: why.epoch }
    case 'revoked': return { code, revocations: why.revocations.map(revocationToWire) }
    default: return { code }
  }
}

function replyFromWire(reply: wire.Reply): Reply {
  return {
    nonce: nonceFromWire(reply.nonce), voter: voterFromWire(reply.voter), start: hexFromWire(reply.start, 'start id'),
    config: whole(reply.configPlusOne, 'configuration') - 1, sequence: whole(reply.sequence, 'sequence number'), body: replyBody(reply),
  }
}

function replyBody(from: wire.Reply): ReplyBody {
  const { kind } = from
  const accepted = from.accepted === undefined ? {} : { accepted: acceptedFromWire(from.accepted) }
  switch (kind) {
    case 'refused': return { kind, why: refusal(from) }
    case 'epoch': return { kind, epoch: whole(from.number, 'epoch') }
    case 'renewed': return { kind, wishes: from.wishes.map(wishFromWire) }
    case 'promise': return { kind, floor: whole(from.number, 'floor'), evicted: from.yes, clear: from.clear, ...accepted }
    case 'accepted': return { kind, promisedNext: from.yes }
    case 'value': return { kind, ...accepted }
    case 'page': return { kind, entries: from.entries.map(entryFromWire), ...(from.next === undefined ? {} : { next: from.next }) }
    case 'is-expired': return { kind, expired: from.yes }
    case 'is-clear': return { kind, clear: from.yes }
    case 'recorded': case 'done': return { kind }
    case 'probed': return { kind, sealed: from.yes, registers: whole(from.number, 'count'), chain: chainFromWire(from.chain) }
    case 'based': return { kind, behind: whole(from.number, 'count') }
    case 'base-chunk': return { kind, chunk: chunkFromWire(from.chunk), more: from.yes }
    case 'snapshot': case 'fetched': return { kind, snapshot: snapshotFromWire(from.snapshot) }
    case 'decree-promise': return { kind, ...acceptedDecree(from) }
    case 'sealed': return { kind, snapshot: snapshotFromWire(from.snapshot), ...acceptedDecree(from) }
    case 'decree-accepted': return { kind, signature: there(from.signature, 'signature') }
    case 'activated': return { kind, config: whole(from.number, 'configuration') - 1 }
    default: return bad('unknown kind of reply')
  }
}

function acceptedDecree(from: wire.Reply): { accepted?: AcceptedDecree } {
  return from.decree === undefined ? {} : { accepted: { ballot: ballotFromWire(from.ballot), decree: decreeFromWire(from.decree) } }
}

function refusal(from: wire.Reply): Refusal {
  const { code } = from
  switch (code) {
    case 'promised': return { code, ballot: ballotFromWire(from.ballot) }
    case 'config': return { code, chain: chainFromWire(from.chain) }
    case 'sealed': return { code, members: membersFromWire(from.members), ...(from.base === undefined ? {} : { base: hashFromWire(from.base) }) }
    case 'superseded': return { code, epoch: whole(from.number, 'epoch') }
    case 'revoked': return { code, revocations: from.revocations.map(revocationFromWire) }
    case 'incarnation': case 'cloned': case 'old-sequence': case 'unsupported': case 'moot': case 'not-sealed': case 'unknown-snapshot': case 'unknown-base': case 'forgot':
      return { code }
    default: return bad('unknown refusal')
  }
}

function peerToWire(message: PeerMessage): wire.Peer {
  const base = { kind: message.kind, number: 0, reason: '', chain: [] }
  switch (message.kind) {
    case 'wish': return { ...base, wish: wishToWire(message.wish) }
    case 'refuse': return { ...base, scope: message.scope, number: message.token, asker: sessionToWire(message.asker), reason: message.reason }
    case 'handed': return { ...base, scope: message.scope, value: valueToWire(message.value) }
    case 'chain-wish': return { ...base, number: message.known }
    case 'chain': return { ...base, chain: message.records.map(recordToWire) }
  }
}

function peerFromWire(from: wire.Peer): PeerMessage {
  const { kind } = from
  switch (kind) {
    case 'wish': return { kind, wish: wishFromWire(from.wish) }
    case 'refuse': return { kind, scope: scopeFromWire(from.scope), token: whole(from.number, 'token'), asker: sessionFromWire(from.asker), reason: from.reason.slice(0, 256) }
    case 'handed': return { kind, scope: scopeFromWire(from.scope), value: valueFromWire(from.value) }
    case 'chain-wish': return { kind, known: whole(from.number, 'configuration') }
    case 'chain': return { kind, records: chainFromWire(from.chain) }
    default: return bad('unknown kind of peer message')
  }
}
