/**
 * The quota of one node: what may still come in.
 *
 * Intuition. Whoever wants to bring bytes reserves their whole cost first; the sum of what is on disk and what is
 * reserved never passes the limit. A reservation counts in full until it is settled, although part of its bytes is on
 * disk by then: counting twice refuses a little early, counting "what is still to come" could be wrong by what was
 * written between two measurements, and the limit is a promise.
 *
 * Assumes that the measurement of the disk is taken while no reservation is being settled (the caller does both one
 * after the other), and that a settled reservation's bytes are in the next measurement.
 */
import { PolicyError } from './types.js'
import { storageCost } from './storage-cost.js'

export interface QuotaSettings {
  /** Everything this node may have on disk: blocks, index, log, garbage not yet reclaimed. */
  readonly maxBytes: number
  /** Of that, kept free for its owner's own files. */
  readonly reservedBytes: number
  /** Whether others may use what is beyond the reserve. */
  readonly shareExcess: boolean
  /** What must stay free on the disk itself, whatever the quota says. */
  readonly minFreeDiskBytes: number
  /**
   * Kept out of every admission: LevelDB writes a log and then the table that it becomes, and for a moment both are
   * there. Undefined: a sixteenth of `maxBytes`, at most 128 MiB (two write buffers of 64 MiB).
   */
  readonly headroomBytes?: number | undefined
}

const headroomShare = 1 / 16
const headroomBytesMax = 128 * 2 ** 20

export function headroomOf(settings: QuotaSettings): number {
  return settings.headroomBytes ?? Math.min(headroomBytesMax, Math.floor(settings.maxBytes * headroomShare))
}

/** `BAD_SETTING` says which two contradict each other. */
export function checkQuotaSettings(settings: QuotaSettings): void {
  for (const key of ['maxBytes', 'reservedBytes', 'minFreeDiskBytes'] as const) {
    if (!Number.isSafeInteger(settings[key]) || settings[key] < 0) {
      throw new PolicyError('BAD_SETTING', `${key} must be a whole number of bytes`, { key, value: settings[key] })
    }
  }
  if (settings.reservedBytes > settings.maxBytes) {
    throw new PolicyError('BAD_SETTING', 'reserved is more than max_storage', {
      key: 'reservedBytes',
      value: settings.reservedBytes,
      maxBytes: settings.maxBytes,
    })
  }
  if (settings.headroomBytes !== undefined && (settings.headroomBytes < 0 || settings.headroomBytes > settings.maxBytes)) {
    throw new PolicyError('BAD_SETTING', 'headroomBytes must be between 0 and max_storage', { key: 'headroomBytes' })
  }
}

/** Bytes on disk by what they are for, as measured. */
export interface DiskUse {
  /** All of it. Never less than the parts. */
  readonly totalBytes: number
  /** Blobs of files whose owner is this node. */
  readonly ownBytes: number
  /** Blobs of others' files. */
  readonly othersBytes: number
  /** Of both, those that a pin keeps here. */
  readonly pinnedBytes: number
  /** Blocks of volumes, in their log. */
  readonly volumesBytes: number
  /** Index, log overhead, records. */
  readonly metadataBytes: number
  /** Deleted, and its space not back yet. */
  readonly reclaimableBytes: number
  /** Free on the disk itself. */
  readonly freeDiskBytes: number
}

export interface Reservation {
  readonly id: string
  /** `storageCost` of what is to come. */
  readonly bytes: number
  /** For a file of this node's owner. */
  readonly own: boolean
  readonly expiresAtMs: number
}

/** What is promised and not yet settled. A value: every change makes a new one. */
export interface Ledger {
  readonly reservations: readonly Reservation[]
}

export const emptyLedger: Ledger = { reservations: [] }

export type Admission =
  | { readonly admitted: true; readonly ledger: Ledger; readonly reservation: Reservation }
  | { readonly admitted: false; readonly reason: Refusal; readonly message: string; readonly shortBytes: number }

export type Refusal =
  /** The limit would be passed. */
  | 'QUOTA'
  /** The rest is kept for the owner's own files. */
  | 'RESERVED'
  /** This node takes nobody else's blobs. */
  | 'NOT_SHARED'
  /** The disk itself is too full, whatever the quota. */
  | 'DISK'
  /** Too many reservations are open. */
  | 'TOO_MANY'

/** Each open reservation is a transfer under way; nobody means to run more at once. */
export const reservationsMax = 4096

export interface ReserveRequest {
  readonly id: string
  /** Of the blob, before its cost on disk is added. */
  readonly bytes: number
  readonly own: boolean
  /** How long the reservation holds if it is neither settled nor cancelled. */
  readonly ttlMs: number
}

/** Decides whether the bytes may come. Lapsed reservations are forgotten first. */
export function reserve(
  ledger: Ledger,
  use: DiskUse,
  settings: QuotaSettings,
  request: ReserveRequest,
  nowMs: number,
): Admission {
  const live = expire(ledger, nowMs).reservations.filter((one) => one.id !== request.id)
  const refuse = (reason: Refusal, message: string, shortBytes: number): Admission => ({
    admitted: false,
    reason,
    message,
    shortBytes,
  })
  if (live.length >= reservationsMax) return refuse('TOO_MANY', 'too many transfers are under way', 0)
  if (!Number.isSafeInteger(request.bytes) || request.bytes < 0) return refuse('QUOTA', 'not a number of bytes', 0)
  const cost = storageCost(request.bytes)
  const room = roomFor(request.own, { reservations: live }, use, settings)
  if (room.reason !== null && cost > room.bytes) {
    return refuse(room.reason, sentenceOf(room.reason), cost - room.bytes)
  }
  const reservation: Reservation = { id: request.id, bytes: cost, own: request.own, expiresAtMs: nowMs + request.ttlMs }
  return { admitted: true, reservation, ledger: { reservations: [...live, reservation] } }
}

/** The bytes are on disk, or will not come: the reservation is over. */
export function settle(ledger: Ledger, id: string): Ledger {
  return { reservations: ledger.reservations.filter((one) => one.id !== id) }
}

/** A transfer that is making progress keeps its place. */
export function extend(ledger: Ledger, id: string, expiresAtMs: number): Ledger {
  return { reservations: ledger.reservations.map((one) => (one.id === id ? { ...one, expiresAtMs } : one)) }
}

export function expire(ledger: Ledger, nowMs: number): Ledger {
  return { reservations: ledger.reservations.filter((one) => one.expiresAtMs > nowMs) }
}

export function reservedInFlight(ledger: Ledger, own?: boolean): number {
  return ledger.reservations.reduce((sum, one) => (own === undefined || one.own === own ? sum + one.bytes : sum), 0)
}

/**
 * How many bytes (of cost) may still come, never below 0, and what the narrowest limit is.
 *
 * `own`: for this node's owner, who may use the whole quota. Others stay out of the part of the reserve that the owner
 * has not used yet.
 */
export function roomFor(
  own: boolean,
  ledger: Ledger,
  use: DiskUse,
  settings: QuotaSettings,
): { bytes: number; reason: Refusal | null } {
  const inFlight = reservedInFlight(ledger)
  const quota = settings.maxBytes - headroomOf(settings) - use.totalBytes - inFlight
  const disk = use.freeDiskBytes - settings.minFreeDiskBytes - inFlight
  const limits: { bytes: number; reason: Refusal }[] = [
    { bytes: quota, reason: 'QUOTA' },
    { bytes: disk, reason: 'DISK' },
  ]
  if (!own) {
    if (!settings.shareExcess) limits.push({ bytes: 0, reason: 'NOT_SHARED' })
    const unusedReserve = Math.max(0, settings.reservedBytes - use.ownBytes - reservedInFlight(ledger, true))
    limits.push({ bytes: quota - unusedReserve, reason: 'RESERVED' })
  }
  let narrowest = limits[0] ?? { bytes: 0, reason: 'QUOTA' as const }
  for (const limit of limits) if (limit.bytes < narrowest.bytes) narrowest = limit
  return { bytes: Math.max(0, narrowest.bytes), reason: narrowest.reason }
}

/** `storage` of `status`, and of `quota show`. */
export interface QuotaReport {
  readonly maxBytes: number
  readonly usedBytes: number
  readonly ownBytes: number
  readonly othersBytes: number
  readonly pinnedBytes: number
  /** Kept for the owner: the setting. */
  readonly reservedBytes: number
  /** Reserved by transfers under way. */
  readonly inFlightBytes: number
  readonly volumesBytes: number
  readonly metadataBytes: number
  readonly reclaimableBytes: number
  readonly freeDiskBytes: number
  /** What others may still bring. */
  readonly freeForOthersBytes: number
  /** What the owner may still bring. */
  readonly freeForOwnBytes: number
  /** The same for others and for the owner once garbage is reclaimed, which is done as soon as somebody needs the room. */
  readonly roomForOthersBytes: number
  readonly roomForOwnBytes: number
  /** By how much the limit is passed: only ever after it was lowered, or when somebody else filled the disk. */
  readonly overBytes: number
}

export function report(ledger: Ledger, use: DiskUse, settings: QuotaSettings): QuotaReport {
  const clean = { ...use, totalBytes: use.totalBytes - use.reclaimableBytes, freeDiskBytes: use.freeDiskBytes + use.reclaimableBytes }
  return {
    maxBytes: settings.maxBytes,
    usedBytes: use.totalBytes,
    ownBytes: use.ownBytes,
    othersBytes: use.othersBytes,
    pinnedBytes: use.pinnedBytes,
    reservedBytes: settings.reservedBytes,
    inFlightBytes: reservedInFlight(ledger),
    volumesBytes: use.volumesBytes,
    metadataBytes: use.metadataBytes,
    reclaimableBytes: use.reclaimableBytes,
    freeDiskBytes: use.freeDiskBytes,
    freeForOthersBytes: roomFor(false, ledger, use, settings).bytes,
    freeForOwnBytes: roomFor(true, ledger, use, settings).bytes,
    roomForOthersBytes: roomFor(false, ledger, clean, settings).bytes,
    roomForOwnBytes: roomFor(true, ledger, clean, settings).bytes,
    overBytes: overBytes(use, settings),
  }
}

/**
 * What has to go for the node to be within its limits again. Garbage is not counted as something to go: its space is on
 * its way back already, and evicting live copies in its stead would be a waste.
 */
export function overBytes(use: DiskUse, settings: QuotaSettings): number {
  const overQuota = use.totalBytes - settings.maxBytes
  const overDisk = settings.minFreeDiskBytes - use.freeDiskBytes
  return Math.max(0, Math.max(overQuota, overDisk) - use.reclaimableBytes)
}

function sentenceOf(reason: Refusal): string {
  switch (reason) {
    case 'QUOTA':
      return 'it would pass the storage limit of this node'
    case 'RESERVED':
      return "what is left is reserved for this node's own files"
    case 'NOT_SHARED':
      return "this node does not take others' files"
    case 'DISK':
      return 'the disk of this node is too full; storage.min_free_space says how much of it stays free'
    case 'TOO_MANY':
      return 'too many transfers are under way'
  }
}
