import type { AppendLog, Log } from '../../base/index.js'
import { DiskError } from '../replica-types.js'
import { applyRow, pagesTouched } from './apply.js'
import type { Row, RowKey, StoredRow } from './rows.js'
import { decodeRow, decodeRowKey, positionKey, rowBytes, rowsPerUnitMax, unitOf } from './rows.js'
import type { Segments } from './segments.js'
import type { Units } from './units.js'
import type { Witness } from './witness.js'

export interface ReplayComponents {
  log: AppendLog
  journal: Log
  segments: Segments
  units: Units
  witness: Pick<Witness, 'found'>
  /** Called now and then, when everything up to this position is applied. */
  onApplied: (position: number) => Promise<void>
}

export interface ReplayResult {
  /** The last row that counts. */
  previous: number
  /** The last row that was found. */
  lastPosition: number
  rows: number
}

interface Pending {
  readonly key: RowKey
  /** Undefined if it cannot be read. */
  readonly row: StoredRow | undefined
}

/** More than a batch has rows: what is further back is followed by rows of a later write that name it. */
const pendingMax = 4096

/**
 * Applies the rows of the log after the mark. Every row names the one written before it: a row that no later one builds
 * upon is what a failed write left behind, and does not count; and where a row names one that is missing, power was lost
 * and what was not synced has holes: the log ends there.
 */
export async function replay(components: ReplayComponents, mark: number): Promise<ReplayResult> {
  const { log, journal } = components
  const result: ReplayResult = { previous: mark, lastPosition: mark, rows: 0 }
  const pending: Pending[] = []
  let cutAt: number | undefined
  let previous = mark
  const apply = async (count: number): Promise<void> => {
    for (const { key, row } of pending.splice(0, count)) {
      await applyOne(components, key, row)
      components.witness.found(key.segment, key.position)
      result.previous = key.position
      result.rows++
    }
    await components.onApplied(result.previous)
  }
  for await (const [bytes, value] of log.entries({ gt: keyAfter(mark) })) {
    const key = decodeRowKey(bytes)
    if (key === undefined) throw new DiskError('CORRUPT', 'the log of volumes has a row of no known kind', { length: bytes.length })
    result.lastPosition = key.position
    const row = readable(bytes, value)
    if (row !== undefined) {
      while (previous > row.previous && pending.length > 0) {
        pending.pop()
        previous = pending.at(-1)?.key.position ?? result.previous
      }
      if (previous !== row.previous) {
        cutAt = key.position
        break
      }
    }
    pending.push({ key, row })
    previous = key.position
    if (pending.length > 2 * pendingMax) await apply(pendingMax)
  }
  await apply(pending.length)
  if (cutAt !== undefined) {
    journal.warn('the log of volumes ends early: what came after was never synced', { position: cutAt })
    await eraseFrom(log, cutAt, result)
  }
  return result
}

/** Keys begin with the position; nothing is between the last key of a position and this. */
function keyAfter(position: number): Uint8Array {
  const key = new Uint8Array(28).fill(0xff)
  key.set(positionKey(position))
  return key
}

function readable(key: Uint8Array, value: Uint8Array): StoredRow | undefined {
  try {
    const row = decodeRow(key, value)
    // Damaged blocks are told when they are read; a damaged fence is as good as none.
    return row.intact || row.content === 'data' ? row : undefined
  } catch (error) {
    if (error instanceof DiskError) return undefined
    throw error
  }
}

async function applyOne({ segments, units, journal }: ReplayComponents, key: RowKey, row: Row | undefined): Promise<void> {
  const segment = segments.get(key.id)
  segment.pins++
  try {
    const pages = row === undefined ? [] : pagesTouched(row)
    await segments.load(segment, pages)
    if (row === undefined) {
      journal.error('a row of the log of volumes cannot be read: its segment has to be fetched again', { volume: key.id.volume, segment: key.id.segment, position: key.position })
      const head = segment.loaded
      head.isDamaged = true
      head.exists = true
      head.dirty = true
      return
    }
    units.written(key.position, rowBytes(row))
    applyRow(segment, row, key.position)
  } finally {
    segment.pins--
  }
}

async function eraseFrom(log: AppendLog, position: number, result: ReplayResult): Promise<void> {
  const [last] = await firstEntry(log.entries({ reverse: true, limit: 1 }))
  const lastPosition = last === undefined ? undefined : decodeRowKey(last)?.position
  if (lastPosition === undefined || lastPosition < position) return
  result.lastPosition = lastPosition
  // To the end of the unit: the last rows in it may be damaged, and not be found.
  await log.erase(positionKey(position), positionKey((unitOf(lastPosition) + 1) * rowsPerUnitMax))
}

async function firstEntry(entries: AsyncIterable<readonly [Uint8Array, Uint8Array]>): Promise<Uint8Array[]> {
  for await (const [key] of entries) return [key]
  return []
}
