/**
 * Round 11, a voter's lost memory. A voter that forgets a promise breaks its word without knowing. LevelDB drops a
 * corrupt log tail without a sound, and an fsync that the platform does not pass on to the platter does the same. So the
 * number of the last batch also goes to a second small file, synced after the batch and before any reply: a store that is
 * behind that file has lost what somebody was told. It takes a new incarnation and never votes again under the old one,
 * which the next configuration leaves out.
 *
 * A disk that was rolled back whole takes the file along. That is noticed only by peers who were told a higher number
 * (`seen` in every request), that is as a rule and not for certain.
 */
export function isMemoryLost(numbers: { stored: number; slot: number | undefined }): boolean {
  return numbers.slot !== undefined && numbers.stored < numbers.slot
}

/**
 * The second file. Two slots, written in turn, so that a write that was torn by a crash leaves the other one whole.
 *
 *   offset  bytes
 *   0       4      magic "MVS1"
 *   4       4      zero
 *   8       8      sequence number, big-endian
 *   16      8      generation of this slot, big-endian: the higher valid one counts
 *   24      4      CRC-32 of bytes 0…23, big-endian
 *   28      4      zero
 *   32      …      the second slot, the same
 */
export const slotBytes = 32
const magic = 0x4d565331

export interface Slot {
  readonly sequence: number
  readonly generation: number
}

export function encodeSlot(slot: Slot): Uint8Array {
  const bytes = new Uint8Array(slotBytes)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, magic)
  view.setBigUint64(8, BigInt(slot.sequence))
  view.setBigUint64(16, BigInt(slot.generation))
  view.setUint32(24, crc32(bytes.subarray(0, 24)))
  return bytes
}

/** The newest whole slot of the file; undefined if there is none (a new store). */
export function decodeSlots(file: Uint8Array): Slot | undefined {
  let newest: Slot | undefined
  for (const offset of [0, slotBytes]) {
    const slot = decodeSlot(file.subarray(offset, offset + slotBytes))
    if (slot !== undefined && (newest === undefined || slot.generation > newest.generation)) newest = slot
  }
  return newest
}

function decodeSlot(bytes: Uint8Array): Slot | undefined {
  if (bytes.length < slotBytes) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0) !== magic || view.getUint32(24) !== crc32(bytes.subarray(0, 24))) return undefined
  const sequence = Number(view.getBigUint64(8))
  const generation = Number(view.getBigUint64(16))
  return Number.isSafeInteger(sequence) && Number.isSafeInteger(generation) ? { sequence, generation } : undefined
}

/** CRC-32 (IEEE 802.3), bitwise: 24 bytes a time need no table. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1))
  }
  return (crc ^ 0xffffffff) >>> 0
}

/** What `voters recover --force` adds to the highest token seen: more than any lost voter can have given out unseen. */
export const recoveryTokenJump = 2 ** 32
