import { createHash } from 'node:crypto'
import type { NodeId, Signer } from '../base/index.js'
import { verifySignature } from '../base/index.js'
import type { Ballot } from './ballot.js'
import type { BaseChunk } from './base.js'
import { ballotToWire, chunkToWire, snapshotToWire, voterToWire } from './codec.js'
import type { ConfigRecord, ConfigSeals, Decree } from './config.js'
import { recoveryConfigJump } from './config.js'
import type { Snapshot } from './snapshot.js'
import type { VoterId } from './types.js'
import * as wire from './wire/lease.js'

const purpose = 'mesh-node voter configuration 1'

/** `authority`: the mesh's key as a node name. */
export function createSeals(signer: Signer, authority: NodeId): ConfigSeals {
  return {
    sign: (number, decree, ballot) => signer.sign(purpose, statement(number, decree, ballot)),
    verifyVoter: (node, number, decree, ballot, signature) => verifySignature(node as NodeId, purpose, statement(number, decree, ballot), signature),
    verifyAuthority: (record) => record.proof.kind === 'authority' && verifySignature(authority, purpose, statement(record.number, record), record.proof.signature),
  }
}

/** Configuration 0: one voter. Made by `init` alone, by the holder of the authority's key. */
export function firstConfig(authority: Signer, voter: VoterId): ConfigRecord {
  return authorityConfig(authority, 0, { members: [voter], hash: '' })
}

/**
 * `voters recover --force`: the majority is lost for good. `last` is the newest configuration that anybody knows;
 * `snapshot` what the reachable ones knew, with `floor` raised to the highest token seen anywhere + 2³².
 */
export function recoveryConfig(authority: Signer, last: ConfigRecord, members: readonly VoterId[], snapshot: Snapshot): ConfigRecord {
  return authorityConfig(authority, last.number + recoveryConfigJump, { members, hash: hashOfSnapshot(snapshot) })
}

/** SHA-256 (hex) over the canonical encoding: lists sorted by key, fields in order. */
export function hashOfSnapshot(snapshot: Snapshot): string {
  return createHash('sha256').update(wire.Snapshot.encode(snapshotToWire(snapshot))).digest('hex')
}

const encodedChunks = new WeakMap<BaseChunk, Uint8Array>()

/** Canonical bytes, made once: they are hashed, written to disk, and sent to several. */
export function encodeChunk(chunk: BaseChunk): Uint8Array {
  let bytes = encodedChunks.get(chunk)
  if (bytes === undefined) encodedChunks.set(chunk, (bytes = wire.BaseChunk.encode(chunkToWire(chunk))))
  return bytes
}

/** A base is named by this (hex) of its last chunk: over the name of all before it (64 digits; none at first) and its bytes. */
export function hashOfChunk(before: string, chunk: BaseChunk): string {
  return createHash('sha256').update(before).update(encodeChunk(chunk)).digest('hex')
}

function authorityConfig(authority: Signer, number: number, decree: Decree): ConfigRecord {
  return { number, ...decree, proof: { kind: 'authority', signature: authority.sign(purpose, statement(number, decree)) } }
}

/** What is signed: number, members, hash, and for voters the decree's ballot, in the wire's own encoding. */
function statement(number: number, decree: Decree, ballot?: Ballot): Uint8Array {
  return wire.ConfigRecord.encode({
    number, members: decree.members.map(voterToWire), hash: decree.hash, signatures: [],
    ...(ballot === undefined ? {} : { ballot: ballotToWire(ballot) }),
  })
}
