const mebibyte = 1024 * 1024

export interface StoreLimits {
  /** The files of the store stay below this, buffers and compactions included. `Infinity`: no limit. */
  limitBytes: number
  /**
   * LevelDB's write buffer for blocks, and the size of its tables. Up to two are in memory while blocks stream in. Large
   * ones make few tables (a TB is 64,000 of them at 16 MiB). Left out: 16 MiB, or a 32nd of the limit if that is less.
   */
  writeBufferBytes: number
  /** Read bytes that may stay mapped into memory: they count as resident. */
  mappedBytesMax: number
  /** Bytes of blocks waiting to be written. */
  queuedBytesMax: number
  /** Blocks that one draft, and all together, keep in memory only (about 300 bytes each) before they go to the index. */
  draftBlocksInMemoryMax: number
  draftsBlocksInMemoryMax: number
  draftsOpenMax: number
  /** Quiet time before the background work begins. */
  quietMs: number
  /** Share of garbage in a range from which on the background work compacts it. */
  garbageShareMin: number
  movedBytesPerSecond: number
  /** Age that a measurement of the files may have in `usage()`. */
  usageFreshMs: number
}

/** Smaller and each block of 1 MiB is a table of its own; larger and two buffers do not fit into a small machine. */
const writeBufferBytesMin = 4 * mebibyte
const writeBufferBytesMax = 16 * mebibyte
const limitShareOfBuffer = 32

export function storeLimits(given: Partial<StoreLimits>): StoreLimits {
  const limitBytes = given.limitBytes ?? Number.POSITIVE_INFINITY
  const share = Math.floor(limitBytes / limitShareOfBuffer)
  return {
    limitBytes,
    writeBufferBytes: Math.min(writeBufferBytesMax, Math.max(writeBufferBytesMin, share)),
    // Buffers of 64 MiB took a node over 300 MiB resident while a large file streamed through it (312 putting, 429 getting),
    // 32 to its edge (304); 16 are as fast. This is what else counts as resident;
    // when the disk is slow to open the database anew, it may be twice this for a moment.
    mappedBytesMax: 16 * mebibyte,
    // Eight blocks of 1 MiB keep the disk busy while the next are hashed; more only wait.
    queuedBytesMax: 16 * mebibyte,
    draftBlocksInMemoryMax: 4096,
    draftsBlocksInMemoryMax: 32_768,
    draftsOpenMax: 16_384,
    // Long enough to stay out of the way of a file that arrives in pieces, short enough to be seen.
    quietMs: 2000,
    // Moving four bytes to free one is the worst bargain that is still worth it.
    garbageShareMin: 0.2,
    movedBytesPerSecond: 64 * mebibyte,
    usageFreshMs: 1000,
    ...given,
  }
}
