import type { Clock, NodeId, RpcMethod } from '../base/index.js'
import { CommonError, messageOf } from '../base/index.js'
import type { ClockAgreement } from './clock-agreement.js'
import { leavesBytesMax } from './merge.js'
import { hashBytes } from './record.js'
import type { Records } from './records.js'
import { BucketRequest, BucketResponse, DigestRequest, DigestResponse, RecordsRequest, RecordsResponse } from './wire/catalog.js'

/** First-level buckets in one `catalog.bucket` request: 128 KiB of answer. */
export const bucketsMax = 32
/** Buckets in one `catalog.records` request. */
export const wantedMax = 512
/** Of the hashes a bucket's asker has. At 65,536 buckets that is a catalog of hundreds of millions. */
export const haveBytesMax = 64 * 1024
export const haveHashBytes = 8
/** An answer is closed when it has this much: large enough to keep a link busy, small enough for a stream that others use. */
const recordsBytes = 256 * 1024
/** Paths read from disk at once. */
const pathsPerRead = 256

export const limits = {
  digest: { request: 64, response: 8 * 1024 },
  bucket: { request: bucketsMax + 16, response: bucketsMax * 256 * hashBytes + 64 },
  records: { request: 128 * 1024, response: recordsBytes + leavesBytesMax + 136 * 1024 },
}

export interface ServerComponents {
  readonly records: Records
  /** Whether this node has been away for longer than tombstones live. */
  readonly isReturning: () => boolean
  readonly clock: Clock
  readonly clocks: ClockAgreement
  /** Somebody asked who has something else than we. */
  readonly onDifference: (peer: NodeId, theirRoot: Uint8Array, isReturning: boolean) => void
}

/** The rows of anti-entropy: what a node answers. Reads only. */
export function antiEntropyMethods(components: ServerComponents): RpcMethod[] {
  const { records } = components
  return [
    {
      name: 'catalog.digest',
      requestBytesMax: limits.digest.request,
      responseBytesMax: limits.digest.response,
      inFlightMax: 2,
      async handle(body, { from }) {
        const request = decode(() => DigestRequest.decode(body))
        if (request.root.length !== hashBytes) throw new CommonError('BAD_INPUT', 'a root digest has 16 bytes')
        if (request.wallMs > 0) components.clocks.heard(from, request.wallMs)
        const isSame = Buffer.compare(request.root, records.digests.root()) === 0
        if (!isSame) components.onDifference(from, request.root, request.returning)
        return DigestResponse.encode({
          buckets: isSame ? new Uint8Array(0) : records.digests.firstLevel(),
          returning: components.isReturning(),
          wallMs: Math.floor(components.clock.wallMs()),
        })
      },
    },
    {
      name: 'catalog.bucket',
      requestBytesMax: limits.bucket.request,
      responseBytesMax: limits.bucket.response,
      inFlightMax: 2,
      async handle(body) {
        const { buckets } = decode(() => BucketRequest.decode(body))
        if (buckets.length > bucketsMax) throw new CommonError('BAD_INPUT', `${buckets.length} buckets asked for; ${bucketsMax} are allowed`)
        return BucketResponse.encode({ digests: Buffer.concat(Array.from(buckets, (bucket) => records.digests.secondLevel(bucket))) })
      },
    },
    {
      name: 'catalog.records',
      requestBytesMax: limits.records.request,
      responseBytesMax: limits.records.response,
      inFlightMax: 4,
      async handle(body, { signal }) {
        const request = decode(() => RecordsRequest.decode(body, { limits: { wanted: wantedMax } }))
        return answer(records, request, signal)
      },
    },
  ]
}

async function answer(records: Records, request: RecordsRequest, signal: AbortSignal): Promise<Uint8Array> {
  for (const { prefix, have } of request.wanted) {
    if (prefix.length !== 1 && prefix.length !== 2) throw new CommonError('BAD_INPUT', 'a bucket is named by one byte or two')
    if (have.length % haveHashBytes !== 0 || have.length > haveBytesMax) throw new CommonError('BAD_INPUT', 'a list of hashes has an odd length')
  }
  if (request.after !== undefined && request.after.length !== hashBytes) throw new CommonError('BAD_INPUT', 'a place has 16 bytes')
  const found: Uint8Array[] = []
  const unknown: Uint8Array[] = []
  let bytes = 0
  for (const [i, { prefix, have }] of request.wanted.entries()) {
    const after = i === 0 ? request.after : undefined
    const theirs = new Set(hashesOf(have))
    const lacking: { path: string; pathHash: Uint8Array; isWanted: Set<string> }[] = []
    const read = async (): Promise<Uint8Array | undefined> => {
      const stored = await records.table.leaves(lacking.map(({ path }) => path))
      for (const [j, { pathHash, isWanted }] of lacking.entries()) {
        for (const version of stored[j] ?? []) {
          if (!isWanted.has(short(version.hash))) continue
          found.push(version.bytes)
          bytes += version.bytes.length + 8
        }
        // A path goes in whole, so that an answer can be taken up after it.
        if (bytes >= recordsBytes) return pathHash
      }
      lacking.length = 0
      return undefined
    }
    for await (const [pathHash, entry] of records.table.entries(prefix, after)) {
      signal.throwIfAborted()
      const isWanted = new Set(entry.hashes.map(short).filter((hash) => !theirs.delete(hash)))
      if (isWanted.size > 0) lacking.push({ path: entry.path, pathHash: Uint8Array.from(pathHash), isWanted })
      if (lacking.length < pathsPerRead) continue
      const next = await read()
      if (next !== undefined) return RecordsResponse.encode({ records: found, unknown: Buffer.concat(unknown), done: i, next })
    }
    const next = await read()
    if (next !== undefined) return RecordsResponse.encode({ records: found, unknown: Buffer.concat(unknown), done: i, next })
    // What came in an earlier part of the answer is not unknown.
    if (after === undefined) for (const hash of theirs) unknown.push(Buffer.from(hash, 'latin1'))
  }
  return RecordsResponse.encode({ records: found, unknown: Buffer.concat(unknown), done: request.wanted.length })
}

export function short(hash: Uint8Array): string {
  return Buffer.from(hash.buffer, hash.byteOffset, haveHashBytes).toString('latin1')
}

export function hashesOf(list: Uint8Array): string[] {
  const text = Buffer.from(list.buffer, list.byteOffset, list.byteLength).toString('latin1')
  return Array.from({ length: list.length / haveHashBytes }, (_, i) => text.slice(i * haveHashBytes, (i + 1) * haveHashBytes))
}

function decode<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw new CommonError('BAD_INPUT', `not a request: ${messageOf(error)}`)
  }
}
