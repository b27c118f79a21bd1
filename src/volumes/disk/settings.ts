const mebibyte = 1024 * 1024

export interface DiskSettings {
  /** Of the index, 7 KiB and 1 MiB of volume each, kept in memory; more for a moment where many are written to. */
  pagesMax: number
  /** Segments of which the head is kept in memory. */
  headsMax: number
  /** Bytes of log after which the index is written out: what a start after a crash has to replay. */
  checkpointBytes: number
  /** The same when nothing else goes on. */
  quietCheckpointBytes: number
  /** Bytes waiting to be written before further calls wait. */
  queuedBytesMax: number
  /** Entries of one segment that are not settled. */
  unsettledMax: number
  /** The log is given back in units of this. */
  unitBytesMax: number
  garbageShareMin: number
  /** What compaction reads and writes per second. */
  bytesPerSecond: number
  /** Between two looks for something to give back. */
  pauseMs: number
  /** How often what was synced is told in a second place. */
  witnessEveryMs: number
}

export function diskSettings(given: Partial<DiskSettings>): DiskSettings {
  return {
    // 56 MiB: 8 GiB of volume that are written to at random.
    pagesMax: 8192,
    headsMax: 4096,
    // Half a second of writing, and as much of replaying.
    checkpointBytes: 64 * mebibyte,
    quietCheckpointBytes: 4 * mebibyte,
    queuedBytesMax: 32 * mebibyte,
    // 8 MiB of memory, and 4 GiB of writes of one block that no flush has covered.
    unsettledMax: 1_000_000,
    unitBytesMax: 16 * mebibyte,
    // Two bytes moved for one given back, and at most half as much again on disk as is needed.
    garbageShareMin: 0.33,
    bytesPerSecond: 64 * mebibyte,
    pauseMs: 1000,
    // One sync more a second, of a few bytes, and only while clients sync.
    witnessEveryMs: 1000,
    ...given,
  }
}
