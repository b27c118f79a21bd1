import { spareMemory } from '../../../src/base/index.js'

/**
 * Spare memory is filled with rubbish as soon as nobody has it any more. Where somebody reads it all the same, a replica
 * gets rubbish for what was written, at once and every time, and not only if a later write happens to be put there.
 */
const release = spareMemory.release.bind(spareMemory)
spareMemory.release = (bytes) => {
  const hadOwner = spareMemory.has(bytes)
  release(bytes)
  if (hadOwner && !spareMemory.has(bytes)) spoil(new Uint8Array(bytes.buffer))
}

/** What a caller does with its bytes once a write is done. */
export function spoil(bytes: Uint8Array): void {
  bytes.fill(0xee)
}
