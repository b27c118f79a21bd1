import { createCipheriv } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { createBlobs, type BlobService, type BlobsInit } from '../../../src/blobs/index.js'
import { seededRandom, silentLog, systemClock, type Clock, type NodeId } from '../../../src/base/index.js'
import type { MemoryNetwork} from './twins.js';
import { MemoryBlockStore, MemoryKeyValue, nodeId } from './twins.js'

/** 4 KiB blobs of four 1 KiB leaves: every shape of DAG with little data. */
export const smallProfile = { chunkBytes: 1024, linksMax: 4 }

/** Short waits, so that tests of silence are short. */
export const quick: BlobsInit = {
  profile: smallProfile,
  stallMs: 400,
  openMs: 400,
  findMs: 400,
  hedgeMs: 40,
  retryMinMs: 1,
  retryMaxMs: 5,
  wantedBytesMax: 4096,
  readAheadBytes: 4096,
  importBytesInFlightMax: 4096,
  fetchBytesInFlightMax: 8192,
}

export interface TestNode {
  id: NodeId
  meta: MemoryKeyValue
  blocks: MemoryBlockStore
  blobs: BlobService
}

export function makeNode(network: MemoryNetwork, number: number, init: BlobsInit = quick, on?: { meta: MemoryKeyValue; blocks: MemoryBlockStore }, clock: Clock = systemClock): TestNode {
  const id = nodeId(number)
  const meta = on?.meta ?? new MemoryKeyValue()
  const blocks = on?.blocks ?? new MemoryBlockStore(meta)
  const blobs = createBlobs(
    {
      blocks,
      meta,
      bulk: network.bulk(id),
      routing: network.routing(id),
      connections: network.connections(id),
      clock,
      random: seededRandom(number),
      log: silentLog,
    },
    init,
  )
  return { id, meta, blocks, blobs }
}

export async function* pieces(bytes: Uint8Array, pieceBytes = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    await Promise.resolve()
    yield bytes.subarray(at, at + pieceBytes)
  }
}

export async function collect(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of source) parts.push(part)
  return Buffer.concat(parts)
}

/** The same for the same seed; a cipher's stream, since megabytes of it are wanted. */
export function bytesOf(length: number, seed = 1): Uint8Array {
  const iv = Buffer.alloc(16)
  iv.writeUInt32BE(seed)
  return createCipheriv('aes-256-ctr', Buffer.alloc(32, 7), iv).update(Buffer.alloc(length))
}

export async function until(what: () => boolean | Promise<boolean>, timeoutMs = 5000): Promise<void> {
  const end = performance.now() + timeoutMs
  while (!(await what())) {
    if (performance.now() > end) throw new Error('it did not come true')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

export { CID }

/** A promise and its ends. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

export async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}
