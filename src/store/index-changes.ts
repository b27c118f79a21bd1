import { textBytes, bytesOfMapKey, joined } from './bytes.js'
import type { Held, HeldBlocks, Holder } from './held.js'
import type { IndexEntry } from './records.js'
import type { Workspace } from './transactions.js'
import { rows } from './transactions.js'

/** What can happen to one index entry. All are called within a transaction's turn, none waits. */

/** The key of a draft's marker; `key` is the map key of a multihash, or empty for the draft's first possible key. */
export function markerKey(draft: string, key: string): Uint8Array {
  return joined(rows.drafts, textBytes(draft), new Uint8Array(1), bytesOfMapKey(key))
}

function markerName(draft: string, key: string): string {
  return `${draft}\0${key}`
}

/**
 * The entry as it stands once the bytes that a draft brought are taken up: a new one, a quarantined one made whole, or
 * the one that is there (another draft was first; then these bytes are garbage, if they are others).
 */
export function take(work: Workspace, key: string, held: Pick<Held, 'place' | 'size'>): IndexEntry | undefined {
  const entry = work.entry(key)
  const { place, size } = held
  if (place === undefined) return entry
  if (entry !== undefined && !entry.quarantined) {
    if (entry.sequence !== place.sequence) work.garbage({ ...place, size })
    return entry
  }
  if (entry !== undefined) work.discard(key, entry)
  work.placed(place)
  return {
    quarantined: false,
    missing: false,
    sequence: place.sequence,
    size,
    references: entry?.references ?? 0,
    drafts: entry?.drafts ?? 0,
    codec: place.codec,
  }
}

export function refer(work: Workspace, key: string, entry: IndexEntry): void {
  work.set(key, { ...entry, references: entry.references + 1 })
}

/** Puts the marker of a draft. */
export function mark(work: Workspace, key: string, entry: IndexEntry, draft: string): void {
  work.set(key, { ...entry, drafts: entry.drafts + 1 })
  work.operations.push({ type: 'put', key: markerKey(draft, key), value: new Uint8Array(0) })
  work.markers.add(markerName(draft, key))
}

/** Takes the marker of a draft away; the entry may be free after that (see `settle`). */
export function unmark(work: Workspace, key: string, draft: string): void {
  const entry = work.entry(key)
  work.operations.push({ type: 'del', key: markerKey(draft, key) })
  work.markers.delete(markerName(draft, key))
  if (entry !== undefined) work.set(key, { ...entry, drafts: Math.max(0, entry.drafts - 1) })
}

/** True if this very batch puts that marker. */
export function marksNow(work: Workspace, key: string, draft: string): boolean {
  return work.markers.has(markerName(draft, key))
}

/**
 * Deletes an entry that nobody refers to; or, if open drafts hold the block in memory only, gives them their markers
 * instead, so that it is never in the index without a reason on disk. Returns those that got one.
 */
export function settle(work: Workspace, key: string, held: HeldBlocks, except?: Holder): Holder[] {
  const entry = work.entry(key)
  if (entry === undefined || entry.references > 0 || entry.drafts > 0) return []
  const wanted = held.get(key)
  // Whoever brings bytes of his own has no need of these.
  const holders = wanted === undefined || wanted.place !== undefined || entry.quarantined ? [] : [...wanted.holders].filter((holder) => holder !== except)
  if (holders.length === 0) {
    work.discard(key, entry)
    work.set(key, undefined)
    return []
  }
  for (const holder of holders) {
    const now = work.entry(key)
    if (now !== undefined) mark(work, key, now, holder.id)
  }
  return holders
}
