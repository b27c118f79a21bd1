import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { joined, readSequence, sequenceKey, writeSequence } from './bytes.js'
import { StoreError } from './types.js'

/**
 * What the store writes about blocks, byte by byte. All numbers are big-endian and unsigned.
 *
 * Index entry (`block-index`: multihash → entry), 25 bytes:
 *
 * | offset | size | what                                                                        |
 * |--------|------|-----------------------------------------------------------------------------|
 * | 0      | 1    | flags: 1 = quarantined, 2 = its bytes are not in the log (1 is set then too) |
 * | 1      | 8    | sequence number of the bytes in the log                                     |
 * | 9      | 4    | size of the block in bytes                                                  |
 * | 13     | 4    | references of what is permanent                                             |
 * | 17     | 4    | drafts that hold it by a marker on disk                                     |
 * | 21     | 4    | codec of the CID under which it came first                                  |
 *
 * Key in the block log: 8 bytes of sequence number, then the CID (version 1). The CID stands in the key and not in front
 * of the bytes, so that a block is written and read without copying it once more, and so that a scan of the log reads
 * keys only: uncompressed tables are mapped, and the pages of values nobody looks at are never touched.
 *
 * Garbage (`garbage`: sequence number → record): 4 bytes size of the block, then the CID.
 *
 * Tail (`tail`: highest sequence number of one batch → record): for each block that the batch put into the index,
 * 8 bytes sequence number, 1 byte length of the multihash, the multihash.
 */
export interface IndexEntry {
  readonly quarantined: boolean
  readonly missing: boolean
  readonly sequence: number
  readonly size: number
  readonly references: number
  readonly drafts: number
  readonly codec: number
}

const entryBytes = 25

export function encodeEntry(entry: IndexEntry): Uint8Array {
  const bytes = new Uint8Array(entryBytes)
  const view = new DataView(bytes.buffer)
  bytes[0] = (entry.quarantined ? 1 : 0) | (entry.missing ? 2 : 0)
  writeSequence(bytes, 1, entry.sequence)
  view.setUint32(9, entry.size)
  view.setUint32(13, entry.references)
  view.setUint32(17, entry.drafts)
  view.setUint32(21, entry.codec)
  return bytes
}

/** Throws CORRUPT if the bytes are not an entry. */
export function decodeEntry(bytes: Uint8Array): IndexEntry {
  if (bytes.length !== entryBytes) throw damaged('an index entry', bytes.length)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const flags = bytes[0] ?? 0
  const sequence = readSequence(bytes, 1)
  if (flags > 3 || flags === 2 || !Number.isSafeInteger(sequence)) throw damaged('an index entry', bytes.length)
  return {
    quarantined: (flags & 1) !== 0,
    missing: (flags & 2) !== 0,
    sequence,
    size: view.getUint32(9),
    references: view.getUint32(13),
    drafts: view.getUint32(17),
    codec: view.getUint32(21),
  }
}

export function blockKey(sequence: number, codec: number, multihash: Uint8Array): Uint8Array {
  const codecLength = varint.encodingLength(codec)
  const key = new Uint8Array(9 + codecLength + multihash.length)
  writeSequence(key, 0, sequence)
  key[8] = 1
  varint.encodeTo(codec, key, 9)
  key.set(multihash, 9 + codecLength)
  return key
}

export interface BlockKey {
  readonly sequence: number
  readonly codec: number
  readonly multihash: Uint8Array
}

/** Throws CORRUPT if the bytes are not a key of the block log. */
export function decodeBlockKey(key: Uint8Array): BlockKey {
  if (key.length < 9) throw damaged('a key of the block log', key.length)
  const sequence = readSequence(key, 0)
  if (!Number.isSafeInteger(sequence)) throw damaged('a key of the block log', key.length)
  const { codec, multihash } = decodeCid(key.subarray(8), 'a key of the block log')
  return { sequence, codec, multihash }
}

export interface Garbage {
  readonly sequence: number
  readonly size: number
  readonly codec: number
  readonly multihash: Uint8Array
}

export function encodeGarbage(garbage: Garbage): { key: Uint8Array; value: Uint8Array } {
  const key = blockKey(garbage.sequence, garbage.codec, garbage.multihash)
  const value = new Uint8Array(4 + key.length - 8)
  new DataView(value.buffer).setUint32(0, garbage.size)
  value.set(key.subarray(8), 4)
  return { key: key.slice(0, 8), value }
}

/** Throws CORRUPT if the bytes are not a garbage record. */
export function decodeGarbage(key: Uint8Array, value: Uint8Array): Garbage {
  if (key.length !== 8 || value.length < 4) throw damaged('a garbage record', value.length)
  const size = new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0)
  const sequence = readSequence(key, 0)
  if (!Number.isSafeInteger(sequence)) throw damaged('a garbage record', value.length)
  return { sequence, size, ...decodeCid(value.subarray(4), 'a garbage record') }
}

/**
 * The same; undefined for a row that is damaged, of which nobody knows what it was about. Its block's space does not come back,
 * which is the lesser evil: whatever else it could be taken for may be somebody's.
 */
export function garbageOrNone(key: Uint8Array, value: Uint8Array): Garbage | undefined {
  try {
    return decodeGarbage(key, value)
  } catch (error) {
    if (error instanceof StoreError && error.code === 'CORRUPT') return undefined
    throw error
  }
}

export interface TailBlock {
  readonly sequence: number
  readonly multihash: Uint8Array
}

export function encodeTail(blocks: readonly TailBlock[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const { sequence, multihash } of blocks) {
    parts.push(sequenceKey(sequence), new Uint8Array([multihash.length]), multihash)
  }
  return joined(...parts)
}

/** Throws CORRUPT if the bytes are not a tail record. */
export function decodeTail(bytes: Uint8Array): TailBlock[] {
  const blocks: TailBlock[] = []
  for (let offset = 0; offset < bytes.length; ) {
    const length = bytes[offset + 8]
    if (length === undefined || offset + 9 + length > bytes.length) throw damaged('a tail record', bytes.length)
    blocks.push({ sequence: readSequence(bytes, offset), multihash: bytes.slice(offset + 9, offset + 9 + length) })
    offset += 9 + length
  }
  return blocks
}

function decodeCid(bytes: Uint8Array, what: string): { codec: number; multihash: Uint8Array } {
  try {
    const cid = CID.decode(bytes)
    if (cid.version !== 1) throw new Error('not version 1')
    return { codec: cid.code, multihash: cid.multihash.bytes }
  } catch (error) {
    throw damaged(what, bytes.length, error)
  }
}

export function cidOf(codec: number, multihash: Uint8Array): CID {
  return CID.createV1(codec, Digest.decode(multihash))
}

function damaged(what: string, length: number, cause?: unknown): StoreError {
  return new StoreError('CORRUPT', `${what} in the store cannot be read`, { what, length }, { cause })
}
