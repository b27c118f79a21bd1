import { crc32 } from 'node:zlib'
import { noBytes } from '../value.js'

/**
 * Round 11, a voter's lost memory. A voter that forgets a promise breaks its word without knowing. LevelDB drops a
 * corrupt log tail without a sound, and an fsync that the platform does not pass on to the platter does the same. So the
 * last batch also goes to a second small file with its number, synced before any reply: a store that is more than one batch
 * behind that file has lost what somebody was told. It takes a new incarnation and never votes again under the old one,
 * which the next configuration leaves out.
 *
 * A disk that was rolled back whole takes the file along. That is noticed only by peers who were told a higher number
 * (`seen` in every request), that is as a rule and not for certain.
 */
export function isMemoryLost(numbers: { stored: number; slot: number | undefined }): boolean {
  return numbers.slot !== undefined && numbers.stored < numbers.slot
}

/** Whether the store lacks exactly the batch that the slot has: both were being written. To be asked, and mended, first. */
export function isInterrupted(stored: number, slot: Slot | undefined): slot is Slot & { readonly batch: Uint8Array } {
  return slot?.batch !== undefined && stored === slot.sequence - 1
}

/**
 * The second file. Two slots, written in turn, so that a write that was torn by a crash leaves the other one whole. A slot
 * has the last batch beside its number, so that batch and slot can be written at the same time: a store that is one behind
 * was merely interrupted, and gets from here what it lacks. A batch that is too large for a slot is written first, and its
 * number after it.
 *
 *   offset  bytes
 *   0       4      magic "MVS2"
 *   4       4      length of the batch, big-endian; 0: the number alone
 *   8       8      sequence number, big-endian
 *   16      8      generation of this slot, big-endian: the higher valid one counts
 *   24      4      CRC-32 of bytes 0…23 and of the batch, big-endian
 *   28      4      zero
 *   32      …      the batch, as `VoterDisk` writes it
 *
 * The slots begin at 4096 and 4096 + 65536. Before there were batches in them they had 32 bytes, magic "MVS1", and began at
 * 0 and 32: these are still read.
 */
export const slotsAt = 4096
export const slotBytes = 65_536
export const slotFileBytes = slotsAt + 2 * slotBytes
const headBytes = 32
/** A batch that fits. Some 200 registers of usual size: more than share a sync where syncs are quick. */
export const slotBatchBytesMax = slotBytes - headBytes
const magic = 0x4d565332
const magicOfNumbers = 0x4d565331

export interface Slot {
  readonly sequence: number
  readonly generation: number
  /** Of this very sequence number. Undefined: it was in the database before this was written. */
  readonly batch?: Uint8Array
}

/** Where the slot of this generation begins. */
export function slotAt(generation: number): number {
  return slotsAt + (generation % 2) * slotBytes
}

export function encodeSlot({ sequence, generation, batch = noBytes }: Slot): Uint8Array {
  const bytes = new Uint8Array(headBytes + batch.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic)
  view.setUint32(4, batch.length)
  view.setBigUint64(8, BigInt(sequence))
  view.setBigUint64(16, BigInt(generation))
  bytes.set(batch, headBytes)
  view.setUint32(24, crc32(batch, crc32(bytes.subarray(0, 24))))
  return bytes
}

/** The newest whole slot of the file; undefined if there is none (a new store). */
export function decodeSlots(file: Uint8Array): Slot | undefined {
  let newest: Slot | undefined
  for (const at of [0, headBytes, slotAt(0), slotAt(1)]) {
    const slot = decodeSlot(file.subarray(at, at < slotsAt ? at + headBytes : at + slotBytes), at < slotsAt ? magicOfNumbers : magic)
    if (slot !== undefined && (newest === undefined || slot.generation > newest.generation)) newest = slot
  }
  return newest
}

function decodeSlot(bytes: Uint8Array, expected: number): Slot | undefined {
  if (bytes.length < headBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = view.getUint32(4)
  if (view.getUint32(0) !== expected || length > bytes.length - headBytes) return undefined
  const batch = bytes.slice(headBytes, headBytes + length)
  if (view.getUint32(24) !== crc32(batch, crc32(bytes.subarray(0, 24)))) return undefined
  const sequence = Number(view.getBigUint64(8))
  const generation = Number(view.getBigUint64(16))
  if (!Number.isSafeInteger(sequence) || !Number.isSafeInteger(generation)) return undefined
  return { sequence, generation, ...(length === 0 ? {} : { batch }) }
}

/** What `voters recover --force` adds to the highest token seen: more than any lost voter can have given out unseen. */
export const recoveryTokenJump = 2 ** 32
