/** One block holds 1 MiB of content at most; nodes above the leaves link to 1,024 each. */
const blockBytes = 2 ** 20
/** Index entry, block log key, table overhead and the reference count: about 100 bytes measured; the rest is for growth. */
const costPerBlock = 256
/** The record of the blob, its place in the inventory, and the catalog's record of a small file. */
const costPerBlob = 1024

/**
 * Bytes on disk that a blob of `bytes` block bytes comes to, rounded up on purpose: what is reserved before the bytes
 * come must not be passed by the index that comes with them.
 */
export function storageCost(bytes: number): number {
  return bytes + (Math.ceil(bytes / blockBytes) + 1) * costPerBlock + costPerBlob
}
