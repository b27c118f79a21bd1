import { crc32 } from 'node:zlib'
import { noBytes } from '../value.js'

/**
 * Round 11, a voter's lost memory. A voter that forgets a promise breaks its word without knowing. LevelDB drops a
 * corrupt log tail without a sound, and an fsync that the platform does not pass on to the platter does the same. So the
 * last batches also go to a second small file, synced before any reply: a store that is so far behind that file that it cannot
 * be mended from it has lost what somebody was told. It takes a new incarnation and never votes again under the old one,
 * which the next configuration leaves out.
 *
 * A disk that was rolled back whole takes the file along. That is noticed only by peers who were told a higher number
 * (`seen` in every request), that is as a rule and not for certain.
 */
export function isMemoryLost(numbers: { stored: number; slot: number | undefined }): boolean {
  return numbers.slot !== undefined && numbers.stored < numbers.slot
}

/**
 * The batches that a store lacks which has everything up to `stored`, oldest first. Undefined: they are not all here, so it
 * has lost what it had.
 */
export function missingBatches(stored: number, slots: readonly Slot[]): Uint8Array[] | undefined {
  const missing: Uint8Array[] = []
  let expected: Slot | undefined
  for (const slot of [...slots].reverse()) {
    if (slot.sequence <= stored) return missing.length === 0 ? [] : undefined
    const isNext = expected === undefined || (slot.sequence === expected.sequence - 1 && slot.generation === expected.generation - 1)
    if (!isNext || slot.batch === undefined) return undefined
    missing.push(slot.batch)
    if (slot.sequence === stored + 1) return missing.reverse()
    expected = slot
  }
  return missing.length === 0 ? [] : undefined
}

/**
 * The second file. Slots, written in turn, each with one batch and its number, synced before any reply: a sync of a place that
 * is there already is the cheapest that a disk has to offer. The database gets the same batches a little later, several with
 * one sync, and never more behind than the slots reach back; after a crash it gets from here what it lacks. A write that was
 * torn leaves the other slots whole, and nobody was told of it. A batch that is too large for a slot goes to the database
 * first, and its number alone to a slot after it.
 *
 *   offset  bytes
 *   0       4      magic "MVS2"
 *   4       4      length of the batch, big-endian; 0: the number alone
 *   8       8      sequence number, big-endian
 *   16      8      generation, big-endian: grows with every slot that is written
 *   24      4      CRC-32 of bytes 0…23 and of the batch, big-endian
 *   28      4      zero
 *   32      …      the batch, as `VoterDisk` writes it
 *
 * The slots begin at 4096, 65536 bytes each. Before there were batches in them they had 32 bytes, magic "MVS1", and began at
 * 0 and 32: these are still read.
 */
export const slotsAt = 4096
export const slotBytes = 65_536
/** The database shares a sync among half as many batches. More would only make a start after a crash longer. */
export const slotCount = 16
export const slotFileBytes = slotsAt + slotCount * slotBytes
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
  return slotsAt + (generation % slotCount) * slotBytes
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

/** The whole slots of the file, in the order in which they were written; none in a new store. */
export function decodeSlots(file: Uint8Array): Slot[] {
  const slots: Slot[] = []
  for (const at of [0, headBytes, ...Array.from({ length: slotCount }, (_, i) => slotAt(i))]) {
    const slot = decodeSlot(file.subarray(at, at < slotsAt ? at + headBytes : at + slotBytes), at < slotsAt ? magicOfNumbers : magic)
    if (slot !== undefined) slots.push(slot)
  }
  return slots.sort((a, b) => a.generation - b.generation)
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
