import { createHash } from 'node:crypto'
import type { ConfigRecord, ConfigSeals, Decree } from '../../../src/consensus/config.js'
import type { Ballot } from '../../../src/consensus/ballot.js'
import type { BaseChunk } from '../../../src/consensus/base.js'
import type { Snapshot } from '../../../src/consensus/snapshot.js'

/** Signatures and hashes of the simulation: honest ones, and cheap. Nobody in it forges; the real ones are tested apart. */
export function simulatedSeals(node: string): ConfigSeals {
  return {
    sign: (number, decree, ballot) => encode(`${node}|${statement(number, decree, ballot)}`),
    verifyVoter: (voter, number, decree, ballot, signature) => decode(signature) === `${voter}|${statement(number, decree, ballot)}`,
    verifyAuthority: (record: ConfigRecord) => record.proof.kind === 'authority' && decode(record.proof.signature) === 'authority',
  }
}

export const authorityProof = { kind: 'authority', signature: encode('authority') } as const

function statement(number: number, decree: Decree, ballot: Ballot): string {
  const members = decree.members.map((member) => `${member.node}/${member.incarnation}`).join(',')
  return `${number}|${decree.hash}|${members}|${ballot.config}.${ballot.round}.${ballot.node}.${ballot.epoch}`
}

function encode(text: string): Uint8Array {
  return Buffer.from(text)
}

function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString()
}

const hashes = new WeakMap<Snapshot, string>()

export function simulatedHash(snapshot: Snapshot): string {
  let hash = hashes.get(snapshot)
  if (hash === undefined) {
    hash = JSON.stringify([
      snapshot.registers.map(([scope, { ballot, value }]) => [scope, ballot.config, ballot.round, ballot.node, ballot.epoch, value.token, value.op]),
      snapshot.sessions, snapshot.revocations, snapshot.floor, snapshot.base,
    ])
    hashes.set(snapshot, hash)
  }
  return hash
}

export function simulatedHashOfChunk(before: string, { config, registers, dropped, through }: BaseChunk): string {
  const row = ([scope, { ballot, value }]: BaseChunk['registers'][number]): unknown[] => [scope, ballot.config, ballot.round, ballot.node, ballot.epoch, value.token, value.op]
  return createHash('sha256').update(JSON.stringify([before, config, registers.map(row), dropped.map(row), through])).digest('hex')
}
