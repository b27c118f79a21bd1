import type { NodeId } from '../base/index.js'
import { messageOf } from '../base/index.js'
import type { BaseChunk } from './base.js'
import type { Ballot } from './ballot.js'
import type { ConfigRecord, Decree } from './config.js'
import type { HandOffWish } from './messages.js'
import type { Revocation } from './revocation.js'
import type { SessionRecord, Snapshot } from './snapshot.js'
import type { Nonce, SessionId, VoterId } from './types.js'
import { ConsensusError } from './types.js'
import type { Accepted, Value } from './value.js'
import type * as wire from './wire/lease.js'

/**
 * Between the values of this room and those that are generated from `protocols/lease/lease.proto`. Everything that comes
 * in is checked here: lengths of names and ids, numbers that are whole and safe, parts that must be there. Whatever is
 * wrong is BAD_MESSAGE, nothing else.
 */
export const scopeBytesMax = 1024
/** A segment's range map of 64 entries is about 8 KiB; a lease's data far less. */
export const payloadBytesMax = 64 * 1024
const opBytesMax = 256
const reasonBytesMax = 16 * 1024
const signatureBytesMax = 128
export const chainMax = 4096

export function bad(what: string): never {
  throw new ConsensusError('BAD_MESSAGE', `a lease message is malformed: ${what}`)
}

/** Runs a decoder; whatever it throws on bytes of others is BAD_MESSAGE. */
export function decoding<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof ConsensusError) throw error
    throw new ConsensusError('BAD_MESSAGE', `a lease message does not decode: ${messageOf(error)}`, {}, { cause: error })
  }
}

export function there<T>(part: T | undefined, what: string): T {
  return part === undefined ? bad(`no ${what}`) : part
}

export function whole(number: number, what: string): number {
  return Number.isSafeInteger(number) && number >= 0 ? number : bad(`${what} is no whole number`)
}

const hexPattern = /^[0-9a-f]*$/

/** 32 hex digits ↔ 16 bytes; empty ↔ empty, where the sender cannot know. */
export function hexToWire(hex: string): Uint8Array {
  if (!hexPattern.test(hex) || hex.length % 2 !== 0) bad('an id is not hex')
  return Buffer.from(hex, 'hex')
}

export function hexFromWire(bytes: Uint8Array, what: string, mayBeEmpty = false): string {
  if (bytes.length !== 16 && !(mayBeEmpty && bytes.length === 0)) bad(`${what} has ${String(bytes.length)} bytes`)
  return Buffer.from(bytes).toString('hex')
}

function text(string: string, bytesMax: number, what: string): string {
  return string.length > bytesMax ? bad(`${what} is too long`) : string
}

function bytes(array: Uint8Array, bytesMax: number, what: string): Uint8Array {
  return array.length > bytesMax ? bad(`${what} is too large`) : array
}

/** A name without a slash in it, of at most 128 characters; whether it is a real PeerId is the handshake's business. */
export function nodeFromWire(node: string): NodeId {
  return /^[^/|]{1,128}$/.test(node) ? (node as NodeId) : bad('a node has no name')
}

export function scopeFromWire(scope: string | undefined): string {
  const found = there(scope, 'scope')
  if (found === '' || Buffer.byteLength(found) > scopeBytesMax) bad('a scope is empty or too long')
  return found
}

export function sessionToWire(session: SessionId): wire.SessionId {
  return { node: session.node, incarnation: hexToWire(session.incarnation), epoch: session.epoch }
}

export function sessionFromWire(session: wire.SessionId | undefined): SessionId {
  const { node, incarnation, epoch } = there(session, 'session')
  return { node: nodeFromWire(node), incarnation: hexFromWire(incarnation, 'incarnation'), epoch: whole(epoch, 'epoch') }
}

export function voterToWire(voter: VoterId): wire.VoterId {
  return { node: voter.node, incarnation: hexToWire(voter.incarnation) }
}

export function voterFromWire(voter: wire.VoterId | undefined): VoterId {
  const { node, incarnation } = there(voter, 'voter')
  return { node: nodeFromWire(node), incarnation: hexFromWire(incarnation, 'incarnation') }
}

export function ballotToWire(ballot: Ballot): wire.Ballot {
  return { config: ballot.config, round: ballot.round, session: sessionToWire(ballot) }
}

export function ballotFromWire(ballot: wire.Ballot | undefined): Ballot {
  const { config, round, session } = there(ballot, 'ballot')
  return { config: whole(config, 'configuration'), round: whole(round, 'round'), ...sessionFromWire(session) }
}

export function valueToWire(value: Value): wire.Value {
  return { ...(value.holder === null ? {} : { holder: sessionToWire(value.holder) }), token: value.token, op: value.op, payload: value.payload }
}

export function valueFromWire(value: wire.Value | undefined): Value {
  const { holder, token, op, payload } = there(value, 'value')
  return {
    holder: holder === undefined ? null : sessionFromWire(holder),
    token: whole(token, 'token'), op: text(op, opBytesMax, 'operation'), payload: bytes(payload, payloadBytesMax, 'payload'),
  }
}

export function acceptedToWire(accepted: Accepted): wire.Accepted {
  return { ballot: ballotToWire(accepted.ballot), value: valueToWire(accepted.value) }
}

export function acceptedFromWire(accepted: wire.Accepted | undefined): Accepted {
  const { ballot, value } = there(accepted, 'accepted value')
  return { ballot: ballotFromWire(ballot), value: valueFromWire(value) }
}

export function revocationToWire(revocation: Revocation): wire.Revocation {
  return { scope: revocation.scope, target: sessionToWire(revocation.target), token: revocation.token }
}

export function revocationFromWire(revocation: wire.Revocation | undefined): Revocation {
  const { scope, target, token } = there(revocation, 'revocation')
  return { scope: scopeFromWire(scope), target: sessionFromWire(target), token: whole(token, 'token') }
}

export function wishToWire(wish: HandOffWish): wire.Wish {
  return { scope: wish.scope, token: wish.token, holder: sessionToWire(wish.holder), asker: sessionToWire(wish.asker), reason: wish.reason }
}

export function wishFromWire(wish: wire.Wish | undefined): HandOffWish {
  const { scope, token, holder, asker, reason } = there(wish, 'wish')
  return {
    scope: scopeFromWire(scope), token: whole(token, 'token'), holder: sessionFromWire(holder), asker: sessionFromWire(asker),
    reason: bytes(reason, reasonBytesMax, 'reason'),
  }
}

export function nonceToWire(nonce: Nonce): wire.Nonce {
  return { start: hexToWire(nonce.start), counter: nonce.counter }
}

export function nonceFromWire(nonce: wire.Nonce | undefined): Nonce {
  const { start, counter } = there(nonce, 'nonce')
  return { start: hexFromWire(start, 'start id'), counter: whole(counter, 'counter') }
}

export function recordToWire(record: ConfigRecord): wire.ConfigRecord {
  const { number, members, hash, proof } = record
  const common = { number, members: members.map(voterToWire), hash }
  if (proof.kind === 'authority') return { ...common, authority: proof.signature, signatures: [] }
  return { ...common, ballot: ballotToWire(proof.ballot), signatures: proof.signatures.map(({ node, signature }) => ({ node, signature })) }
}

export function recordFromWire(record: wire.ConfigRecord): ConfigRecord {
  const members = record.members.map(voterFromWire)
  if (members.length > 5 || members.length % 2 !== 1) bad('a configuration has 1, 3 or 5 voters')
  const common = { number: whole(record.number, 'configuration'), members, hash: text(record.hash, 128, 'hash') }
  if (record.authority !== undefined) return { ...common, proof: { kind: 'authority', signature: bytes(record.authority, signatureBytesMax, 'signature') } }
  if (record.signatures.length > 5) bad('too many signatures')
  const signatures = record.signatures.map(({ node, signature }) => ({ node: nodeFromWire(node), signature: bytes(signature, signatureBytesMax, 'signature') }))
  return { ...common, proof: { kind: 'voters', ballot: ballotFromWire(record.ballot), signatures } }
}

export function chainFromWire(chain: readonly wire.ConfigRecord[]): ConfigRecord[] {
  return chain.length > chainMax ? bad('a chain is too long') : chain.map(recordFromWire)
}

export function decreeToWire(decree: Decree): wire.Decree {
  return { members: decree.members.map(voterToWire), hash: decree.hash }
}

export function decreeFromWire(decree: wire.Decree | undefined): Decree {
  const { members, hash } = there(decree, 'decree')
  return { members: membersFromWire(members), hash: text(hash, 128, 'hash') }
}

export function membersFromWire(members: readonly wire.VoterId[]): VoterId[] {
  return members.length > 5 ? bad('too many voters') : members.map(voterFromWire)
}

export function entryToWire([scope, accepted]: readonly [string, Accepted]): wire.ScopeEntry {
  return { scope, accepted: acceptedToWire(accepted) }
}

export function entryFromWire(entry: wire.ScopeEntry): readonly [string, Accepted] {
  return [scopeFromWire(entry.scope), acceptedFromWire(entry.accepted)]
}

export function snapshotToWire(snapshot: Snapshot): wire.Snapshot {
  return {
    registers: snapshot.registers.map(entryToWire),
    sessions: snapshot.sessions.map(([store, record]) => {
      const [node = '', incarnation = ''] = store.split('/')
      return { node, incarnation: hexToWire(incarnation), supported: record.supported, start: hexToWire(record.start), minimum: record.minimum }
    }),
    revocations: snapshot.revocations.map(({ revocation, acknowledged }) => ({ revocation: revocationToWire(revocation), acknowledged })),
    floor: snapshot.floor,
    ...(snapshot.base === undefined ? {} : { base: snapshot.base }),
  }
}

export function chunkToWire({ config, registers, dropped, through }: BaseChunk): wire.BaseChunk {
  return { config, registers: registers.map(entryToWire), dropped: dropped.map(entryToWire), ...(through === undefined ? {} : { through }) }
}

export function chunkFromWire(chunk: wire.BaseChunk | undefined): BaseChunk {
  const { config, registers, dropped, through } = there(chunk, 'chunk')
  return {
    config: whole(config, 'configuration'), registers: registers.map(entryFromWire), dropped: dropped.map(entryFromWire),
    ...(through === undefined ? {} : { through: scopeFromWire(through) }),
  }
}

export function hashFromWire(hash: string): string {
  return text(hash, 128, 'hash')
}

export function snapshotFromWire(snapshot: wire.Snapshot | undefined): Snapshot {
  const { registers, sessions, revocations, floor, base } = there(snapshot, 'snapshot')
  return {
    registers: registers.map(entryFromWire),
    sessions: sessions.map((entry): readonly [string, SessionRecord] => [
      `${nodeFromWire(entry.node)}/${hexFromWire(entry.incarnation, 'incarnation')}`,
      { supported: whole(entry.supported, 'epoch'), start: hexFromWire(entry.start, 'start id', true), minimum: whole(entry.minimum, 'epoch') },
    ]),
    revocations: revocations.map(({ revocation, acknowledged }) => ({ revocation: revocationFromWire(revocation), acknowledged })),
    floor: whole(floor, 'floor'),
    ...(base === undefined ? {} : { base: hashFromWire(base) }),
  }
}
