import type { Clock, Log, NodeId, Rpc } from '../base/index.js'
import { CommonError, hlcToMs, messageOf } from '../base/index.js'
import type { ClockAgreement } from './clock-agreement.js'
import { bucketsMax, hashesOf, haveBytesMax, haveHashBytes, limits, short, wantedMax } from './anti-entropy-server.js'
import { differing, isEmptyDigest, rootOf } from './digest-tree.js'
import { hashBytes } from './record.js'
import type { Records } from './records.js'
import type { RecordsWanted } from './wire/catalog.js'
import { BucketRequest, BucketResponse, DigestRequest, DigestResponse, RecordsRequest, RecordsResponse } from './wire/catalog.js'

/** A peer that does not answer for so long is tried again later. */
const deadlineMs = 20_000
/**
 * The first question is answered from memory. Who does not answer that soon (a machine that fell asleep just now) must not
 * keep a place of the few pulls for as long as one that has much to send.
 */
const digestDeadlineMs = 5_000
/** Requests under way while the last answer is being verified and written. */
const pipelined = 3
/**
 * To look up the entries of one bucket costs either side as much as to read so many that follow each other. A first-level
 * bucket in which more than every so-manieth entry may differ is asked for as one: so are all while many files come in.
 */
const entriesPerLook = 12
/** First-level buckets of which we have a part, in one request. Beyond some 10,000 files an answer has less, and is asked on. */
const partsMax = 16
/** Left free in a request for what is not hashes. */
const requestSlackBytes = 16 * 1024

export interface PullComponents {
  readonly records: Records
  readonly rpc: Rpc
  readonly clock: Clock
  readonly clocks: ClockAgreement
  readonly log: Log
}

export interface Pulled {
  /** Versions taken in. */
  readonly accepted: number
  /** Versions that were removed here, since the peer no longer knows them. */
  readonly forgotten: number
  /** What the peer had when we began; undefined if we had the same. */
  readonly peerRoot: Uint8Array | undefined
  /** The peer itself was away for longer than tombstones live. */
  readonly peerReturning: boolean
}

/**
 * Fetches from one peer what it has and we have not: compare roots, then the first level where they differ, then the
 * second level where that differs, then exchange names of versions and get the missing ones. Nothing new: one request of
 * 20 bytes. Each side pulls for itself; who is asked by somebody with another root asks back.
 *
 * `forgetUntilMs`: set at a node that was away for longer than tombstones live. The peer then is the authority on all
 * that is older than this: what it does not know was deleted, and its tombstone has been purged since; unless it knows nothing of what we had.
 */
export async function pull(
  components: PullComponents,
  peer: NodeId,
  options: { signal: AbortSignal; forgetUntilMs: number | undefined },
): Promise<Pulled> {
  const { records } = components
  const ask = async (method: string, body: Uint8Array, forMs = deadlineMs): Promise<Uint8Array> =>
    components.rpc.request(peer, method, body, { deadlineMs: forMs, signal: options.signal })
  const digest = decode(
    DigestResponse.decode,
    await ask('catalog.digest', DigestRequest.encode({ root: records.digests.root(), returning: options.forgetUntilMs !== undefined, wallMs: Math.floor(components.clock.wallMs()) }), digestDeadlineMs),
  )
  if (digest.wallMs > 0) components.clocks.heard(peer, digest.wallMs)
  // One that is back from a long absence asks us first; what it has is not to be trusted before.
  const isAuthority = options.forgetUntilMs !== undefined && !digest.returning
  const nothing = { accepted: 0, forgotten: 0, peerRoot: undefined, peerReturning: digest.returning }
  if (digest.buckets.length === 0 || (digest.returning && options.forgetUntilMs === undefined)) return nothing
  if (digest.buckets.length !== 256 * hashBytes) throw new CommonError('BAD_INPUT', 'an answer to catalog.digest has a wrong length')

  const had = isAuthority ? await olderThan(records, options.forgetUntilMs ?? 0) : new Set<string>()
  const missing: { wanted: readonly RecordsWanted[]; unknown: Uint8Array }[] = []
  const places = await differingBuckets(records, digest.buckets, isAuthority, ask)
  let accepted = 0
  let forgotten = 0
  const work = batches(records, places)
  const worker = async (): Promise<void> => {
    for (let next = await work.next(); next.done !== true; next = await work.next()) {
      for await (const response of exchange(ask, next.value)) {
        accepted += (await records.ingest(response.records)).accepted
        if (isAuthority && response.unknown.length > 0) missing.push({ wanted: next.value, unknown: response.unknown })
      }
    }
  }
  try {
    const outcomes = await Promise.allSettled(Array.from({ length: pipelined }, worker))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
  } finally {
    await work.return(undefined)
  }
  const unknown = new Set(missing.flatMap((answer) => hashesOf(answer.unknown)))
  // Whoever knows nothing at all of what we had did not stay and see it deleted: a new member, or one that was set up
  // anew, perhaps after losing what we alone still have.
  if (had.size > 0 && [...had].every((hash) => unknown.has(hash))) return { accepted, forgotten, peerRoot: undefined, peerReturning: true }
  for (const answer of missing) forgotten += await forget(records, answer.wanted, answer.unknown, options.forgetUntilMs ?? 0)
  return { accepted, forgotten, peerRoot: rootOf(digest.buckets), peerReturning: digest.returning }
}

type Ask = (method: string, body: Uint8Array) => Promise<Uint8Array>

/** Prefixes of the buckets in which we may lack something. `all`: also those that are empty there. */
async function differingBuckets(records: Records, theirs: Uint8Array, all: boolean, ask: Ask): Promise<Uint8Array[]> {
  const ours = records.digests.firstLevel()
  const prefixes: Uint8Array[] = []
  const deeper: number[] = []
  const entriesHere = (records.counts.files + records.counts.tombstones) / 256
  for (const place of differing(theirs, ours)) {
    // Nothing of ours in it: no need to ask for particulars.
    if (isEmptyDigest(ours, place)) prefixes.push(Uint8Array.of(place))
    else if (all || !isEmptyDigest(theirs, place)) deeper.push(place)
  }
  for (let at = 0; at < deeper.length; at += bucketsMax) {
    const buckets = Uint8Array.from(deeper.slice(at, at + bucketsMax))
    const { digests } = decode(BucketResponse.decode, await ask('catalog.bucket', BucketRequest.encode({ buckets })))
    const bytes = 256 * hashBytes
    if (digests.length !== buckets.length * bytes) throw new CommonError('BAD_INPUT', 'an answer to catalog.bucket has a wrong length')
    for (const [i, bucket] of buckets.entries()) {
      const part = digests.subarray(i * bytes, (i + 1) * bytes)
      const within = differing(part, records.digests.secondLevel(bucket)).filter((place) => all || !isEmptyDigest(part, place))
      if (within.length > 1 && within.length * entriesPerLook > entriesHere) prefixes.push(Uint8Array.of(bucket))
      else for (const place of within) prefixes.push(Uint8Array.of(bucket, place))
    }
  }
  return prefixes
}

/** The requests: as many buckets as fit, each with what we have in it. */
async function* batches(records: Records, prefixes: readonly Uint8Array[]): AsyncGenerator<RecordsWanted[]> {
  let batch: RecordsWanted[] = []
  let bytes = 0
  let parts = 0
  for (const prefix of prefixes) {
    const hashes = records.refusedRecently(prefix).map((hash) => hash.subarray(0, haveHashBytes))
    for await (const [, entry] of records.table.entries(prefix)) {
      for (const hash of entry.hashes) hashes.push(hash.subarray(0, haveHashBytes))
    }
    // Over the limit we are sent some that we have: no more than a waste.
    const have = Buffer.concat(hashes.slice(0, haveBytesMax / haveHashBytes))
    // A whole first-level bucket brings enough for a request of its own.
    const weight = prefix.length > 1 ? 0 : have.length === 0 ? partsMax : 1
    if (batch.length > 0 && (batch.length >= wantedMax || parts + weight > partsMax || bytes + have.length > limits.records.request - requestSlackBytes)) {
      yield batch
      batch = []
      bytes = 0
      parts = 0
    }
    batch.push({ prefix, have })
    bytes += have.length + 8
    parts += weight
  }
  if (batch.length > 0) yield batch
}

/** Asks for a batch until it is answered in full. */
async function* exchange(ask: Ask, wanted: readonly RecordsWanted[]): AsyncGenerator<RecordsResponse> {
  let rest = wanted
  let after: Uint8Array | undefined
  while (rest.length > 0) {
    const request = { wanted: [...rest], ...(after === undefined ? {} : { after }) }
    const response = decode(RecordsResponse.decode, await ask('catalog.records', RecordsRequest.encode(request)))
    yield response
    const isFurther = response.next !== undefined && response.next.length === hashBytes && (after === undefined || response.done > 0 || Buffer.compare(response.next, after) > 0)
    // Each answer must get us on, or a peer could keep us asking for ever.
    if (response.done > rest.length || (response.done === 0 && !isFurther)) throw new CommonError('BAD_INPUT', 'an answer to catalog.records leads nowhere')
    rest = rest.slice(response.done)
    after = response.next
  }
}

/** The names of all versions here of paths that have not changed since. */
async function olderThan(records: Records, untilMs: number): Promise<Set<string>> {
  const hashes = new Set<string>()
  for await (const [, entry] of records.table.entries(new Uint8Array(0))) {
    if (hlcToMs(entry.modifiedMax) > untilMs) continue
    for (const hash of entry.hashes) hashes.add(short(hash))
  }
  return hashes
}

/** Removes what the authority does not know, if it is as old as our last contact. */
async function forget(records: Records, wanted: readonly RecordsWanted[], list: Uint8Array, untilMs: number): Promise<number> {
  const unknown = new Set(hashesOf(list))
  let forgotten = 0
  for (const { prefix } of wanted) {
    const paths: string[] = []
    for await (const [, entry] of records.table.entries(prefix)) {
      if (entry.hashes.some((hash) => unknown.has(short(hash)))) paths.push(entry.path)
    }
    for (const path of paths) {
      forgotten += await records.forget(path, ({ hash, record }) => unknown.has(short(hash)) && hlcToMs(record.modified) <= untilMs)
    }
  }
  return forgotten
}

function decode<T>(decoder: (bytes: Uint8Array) => T, bytes: Uint8Array): T {
  try {
    return decoder(bytes)
  } catch (error) {
    throw new CommonError('BAD_INPUT', `not an answer: ${messageOf(error)}`)
  }
}

