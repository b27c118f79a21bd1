import type { Database } from './database.js'
import { account, emptyLedger } from './ledger.js'
import { within } from './recovery.js'
import { decodeEntry, garbageOrNone } from './records.js'
import { rows } from './transactions.js'
import type { StoreTotals } from './types.js'

/** Entries that one read of the iterator brings. */
const page = 1000

/**
 * Counts the index and the garbage from scratch, as of the moment when `atOnce` calls the function that it is given.
 * Reads between pages let the database be opened anew; the count fails then (CLOSED) and can be asked for again.
 */
export async function count(meta: Database, atOnce: (takeView: () => Promise<void>) => Promise<void>, signal?: AbortSignal): Promise<StoreTotals> {
  let view: Awaited<ReturnType<typeof viewOf>> | undefined
  await atOnce(async () => {
    view = await viewOf(meta)
  })
  view ??= await viewOf(meta)
  const totals = { ...emptyLedger }
  try {
    for (const [row, iterator] of view.iterators) {
      while (true) {
        signal?.throwIfAborted()
        const entries = await meta.read(async () => iterator.nextv(page))
        if (entries.length === 0) break
        for (const [key, value] of entries) {
          if (row === rows.index) account(totals, undefined, decodeEntry(value))
          else totals.reclaimableBytes += garbageOrNone(key.slice(row.length), value)?.size ?? 0
        }
      }
    }
  } finally {
    await view.close()
  }
  const { liveBytes, draftBytes, reclaimableBytes, blocks, quarantined } = totals
  return { liveBytes, draftBytes, reclaimableBytes, blocks, quarantined }
}

async function viewOf(meta: Database) {
  const letGo = meta.holdOpen()
  return meta.read(async (level) => {
    const snapshot = level.snapshot()
    const iterators = [rows.index, rows.garbage].map((row) => [row, level.iterator({ ...within(row), snapshot, fillCache: false })] as const)
    return {
      iterators,
      close: async (): Promise<void> => {
        letGo()
        await Promise.all(iterators.map(async ([, iterator]) => iterator.close()))
        await snapshot.close()
      },
    }
  }).catch((error: unknown) => {
    letGo()
    throw error
  })
}
