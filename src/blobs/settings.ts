/**
 * Sizes and limits of the room, with their reasons. `init` overrides some of them; tests make everything smaller.
 */
export interface BlobProfile {
  /** Content bytes of a leaf. */
  readonly chunkBytes: number
  /** Links of a node. */
  readonly linksMax: number
}

export interface BlobSettings {
  /** What `put` cuts files by. Together: the content bytes of a blob at most. */
  readonly profile: BlobProfile
  /** Bytes of one import that were hashed and are not written yet. Two LevelDB write buffers would be no faster. */
  readonly importBytesInFlightMax: number
  /** Bytes that arrived from all holders together and are not written yet. */
  readonly fetchBytesInFlightMax: number
  /** Holders that one fetch asks at once. Four fill any home line; more only costs connections. */
  readonly holdersAtOnceMax: number
  /** Bytes one operation asks of one holder ahead: a 100 ms line at 1 Gbit/s holds 12 MiB. */
  readonly wantedBytesMax: number
  /** Draft bytes between two flushes: what a crash makes us fetch again, at most. */
  readonly flushEveryBytes: number
  /** Content bytes a read fetches ahead of its consumer. */
  readonly readAheadBytes: number
  /** A holder that sends nothing for so long while it owes something does not answer. */
  readonly stallMs: number
  /** To open a stream to a holder. */
  readonly openMs: number
  /** To find holders in the DHT. */
  readonly findMs: number
  /** A want that one holder owes for so long is asked of an idle one too, if its speed is not known yet. */
  readonly hedgeMs: number
  /** How long a fetch that has nobody else waits for a holder whose connection went and that has served lately. */
  readonly returnMs: number
  /** How often a fetch tries one holder that breaks off. */
  readonly triesPerHolder: number
  readonly retryMinMs: number
  readonly retryMaxMs: number
  /** How long a holder that sent something corrupt or broke the protocol is asked last. */
  readonly avoidMs: number
  /** A stream nothing was asked on for so long is closed. */
  readonly streamIdleMs: number
  /** A part of a blob that nobody asked for again this long after the start is given up. */
  readonly draftKeepMs: number
  /** Of the scrub, so that a disk's owner does not hear it. */
  readonly scrubBytesPerSecond: number
  /** From the end of one pass to the start of the next. */
  readonly scrubRestMs: number
}

const mebibyte = 2 ** 20

export const defaultSettings: BlobSettings = {
  profile: { chunkBytes: mebibyte, linksMax: 1024 },
  importBytesInFlightMax: 8 * mebibyte,
  fetchBytesInFlightMax: 8 * mebibyte,
  holdersAtOnceMax: 4,
  wantedBytesMax: 12 * mebibyte,
  flushEveryBytes: 128 * mebibyte,
  readAheadBytes: 8 * mebibyte,
  stallMs: 20_000,
  openMs: 10_000,
  findMs: 15_000,
  hedgeMs: 500,
  returnMs: 15_000,
  triesPerHolder: 3,
  retryMinMs: 100,
  retryMaxMs: 3_000,
  avoidMs: 10 * 60_000,
  streamIdleMs: 60_000,
  draftKeepMs: 24 * 3_600_000,
  scrubBytesPerSecond: 8 * mebibyte,
  scrubRestMs: 7 * 24 * 3_600_000,
}

/** A block of the mesh, whatever the profile: what a frame carries at most. */
export const blockBytesMax = mebibyte

/**
 * Blocks of one blob at most: 1 GiB in the 256 KiB chunks other tools make is 4121 blocks; a folder of a million names
 * has about 130,000 shards.
 */
export const blobBlocksMax = 2 ** 18

/** Levels of a DAG at most. Ours has 3 at 1 PiB; other layouts (trickle) a dozen. */
export const dagDepthMax = 32

/** Content bytes of a blob at most. */
export function blobContentBytesMax(profile: BlobProfile): number {
  return profile.chunkBytes * profile.linksMax
}

/** Block bytes of a blob at most: its content, and a quarter as much again for the nodes of layouts with tiny chunks. */
export function blobBytesMax(profile: BlobProfile): number {
  return Math.ceil(blobContentBytesMax(profile) * 1.25) + blockBytesMax
}
