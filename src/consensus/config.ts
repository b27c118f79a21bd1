import type { Ballot } from './ballot.js'
import { majorityOf } from './quorum.js'
import type { VoterId } from './types.js'

/**
 * Who votes. Configuration 0 is made by `init` alone and signed by the mesh's authority; each further one is proven by
 * the signatures of a majority of the one before, all under one decree ballot. So the chain can be followed from
 * anybody's word, and a laptop that slept through ten changes needs no voter of the first to be alive.
 */
export interface ConfigRecord {
  readonly number: number
  /** 1, 3 or 5. */
  readonly members: readonly VoterId[]
  /** Of the snapshot that this configuration starts from; empty for 0. */
  readonly hash: string
  readonly proof: ConfigProof
}

export type ConfigProof =
  /** `init`, or `voters recover --force`: the authority's word. */
  | { readonly kind: 'authority'; readonly signature: Uint8Array }
  | { readonly kind: 'voters'; readonly ballot: Ballot; readonly signatures: readonly VoterSignature[] }

export interface VoterSignature {
  readonly node: string
  readonly signature: Uint8Array
}

/** What next(c) decides. */
export interface Decree {
  readonly members: readonly VoterId[]
  readonly hash: string
}

/** Signing and checking, handed in: the core knows no keys. */
export interface ConfigSeals {
  /** By this node's key, over (number of the next configuration, decree, ballot). */
  sign(number: number, decree: Decree, ballot: Ballot): Uint8Array
  verifyVoter(node: string, number: number, decree: Decree, ballot: Ballot, signature: Uint8Array): boolean
  verifyAuthority(record: ConfigRecord): boolean
}

/**
 * A recovery by the authority skips this many numbers, so that it outruns any configuration that the lost voters may
 * have decided among themselves without anybody reachable knowing.
 */
export const recoveryConfigJump = 2 ** 20

/** Whether `next` follows `last` by the word of `last`'s own voters, or by the authority's. */
export function follows(last: ConfigRecord, next: ConfigRecord, seals: ConfigSeals): boolean {
  if (next.members.length % 2 !== 1) return false
  if (next.proof.kind === 'authority') return next.number > last.number && seals.verifyAuthority(next)
  if (next.number !== last.number + 1) return false
  const { ballot, signatures } = next.proof
  const signed = new Set<string>()
  for (const { node, signature } of signatures) {
    if (!last.members.some((member) => member.node === node)) continue
    if (seals.verifyVoter(node, next.number, next, ballot, signature)) signed.add(node)
  }
  return signed.size >= majorityOf(last.members.length)
}

/** The records that `known` can be extended by, in order; those that do not follow are left out. */
export function extendChain(known: readonly ConfigRecord[], offered: readonly ConfigRecord[], seals: ConfigSeals): ConfigRecord[] {
  const added: ConfigRecord[] = []
  let last = known[known.length - 1]
  for (const record of [...offered].sort((a, b) => a.number - b.number)) {
    if (last === undefined) {
      if (record.proof.kind !== 'authority' || !seals.verifyAuthority(record)) continue
    } else if (record.number <= last.number || !follows(last, record, seals)) continue
    added.push(record)
    last = record
  }
  return added
}
