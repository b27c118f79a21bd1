import { StoreError } from './types.js'
import type { StoreTotals } from './types.js'
import type { IndexEntry } from './records.js'

/**
 * The ledger says how many bytes are what, and from where on a new start has to look at the block log. It is one row of
 * `meta`, written in every batch that changes the index, so that it is never apart from it.
 *
 * | offset | size | what, big-endian                                                              |
 * |--------|------|-------------------------------------------------------------------------------|
 * | 0      | 1    | version: 1                                                                    |
 * | 1      | 1    | 1 = closed in order, nothing was written since                                |
 * | 2      | 8    | bytes of blocks that something refers to                                      |
 * | 10     | 8    | bytes of blocks that only drafts hold, by a marker on disk                    |
 * | 18     | 8    | bytes of deleted blocks whose space has not come back                         |
 * | 26     | 8    | blocks in the index, without those in quarantine                              |
 * | 34     | 8    | blocks in quarantine                                                          |
 * | 42     | 8    | the mark: all sequence numbers up to it are in tables, and indexed or garbage |
 * | 50     | 8    | the next sequence number when this was written                                |
 */
export interface LedgerRecord extends StoreTotals {
  clean: boolean
  mark: number
  sequenceNext: number
}

const version = 1
const recordBytes = 58
/** Sequence numbers begin at 1, so that a mark of 0 is before all. */
export const emptyLedger: Readonly<LedgerRecord> = {
  clean: true,
  liveBytes: 0,
  draftBytes: 0,
  reclaimableBytes: 0,
  blocks: 0,
  quarantined: 0,
  mark: 0,
  sequenceNext: 1,
}

const fields = ['liveBytes', 'draftBytes', 'reclaimableBytes', 'blocks', 'quarantined', 'mark', 'sequenceNext'] as const

export function encodeLedger(record: LedgerRecord): Uint8Array {
  const bytes = new Uint8Array(recordBytes)
  const view = new DataView(bytes.buffer)
  bytes[0] = version
  bytes[1] = record.clean ? 1 : 0
  fields.forEach((field, i) => {
    view.setBigUint64(2 + 8 * i, BigInt(Math.max(0, record[field])))
  })
  return bytes
}

/** Throws CORRUPT if the bytes are not a ledger of a version known here. */
export function decodeLedger(bytes: Uint8Array): LedgerRecord {
  if (bytes.length !== recordBytes || bytes[0] !== version) {
    throw new StoreError('CORRUPT', 'the ledger of the store cannot be read', { length: bytes.length, version: bytes[0] ?? null })
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const record: LedgerRecord = { ...emptyLedger, clean: bytes[1] === 1 }
  fields.forEach((field, i) => {
    record[field] = Number(view.getBigUint64(2 + 8 * i))
  })
  if (!fields.every((field) => Number.isSafeInteger(record[field]))) {
    throw new StoreError('CORRUPT', 'the ledger of the store cannot be read', { length: bytes.length })
  }
  return record
}

/** Moves what one block counts for from its old place in the totals to its new one. */
export function account(totals: StoreTotals, before: IndexEntry | undefined, after: IndexEntry | undefined): void {
  add(totals, before, -1)
  add(totals, after, 1)
}

/** A block in quarantine counts as such only: its bytes are kept aside, and are overhead until it is healed or released. */
function add(totals: StoreTotals, entry: IndexEntry | undefined, sign: 1 | -1): void {
  if (entry === undefined) return
  if (entry.quarantined) {
    totals.quarantined += sign
    return
  }
  totals.blocks += sign
  if (entry.references > 0) totals.liveBytes += sign * entry.size
  else totals.draftBytes += sign * entry.size
}
