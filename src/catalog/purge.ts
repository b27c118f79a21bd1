import type { Clock } from '../base/index.js'
import { hlcToMs } from '../base/index.js'
import { modifiedMaxOf } from './record-table.js'
import { viewOf } from './merge.js'
import type { Records } from './records.js'

/** Paths looked at before others get their turn. */
const pathsPerStep = 2000
const pauseMs = 50

export interface PurgeComponents {
  readonly records: Records
  readonly clock: Clock
}

/** One pass: removes tombstones that are past their lifetime, where nothing else is left of the path. Returns how many. */
export async function purge(components: PurgeComponents, tombstoneLifetimeMs: number, signal: AbortSignal): Promise<number> {
  const { records, clock } = components
  let purged = 0
  let after: Uint8Array | undefined
  for (;;) {
    let looked = 0
    const expired: string[] = []
    for await (const [hash, entry] of records.table.entries(new Uint8Array(0), after)) {
      after = Uint8Array.from(hash)
      if (records.isExpired(entry)) expired.push(entry.path)
      if (++looked >= pathsPerStep) break
    }
    for (const path of expired) {
      signal.throwIfAborted()
      // Looked at again under the lock: somebody may just have put a file there.
      const gone = await records.forget(path, (_, leaves) => {
        const { winner, copies } = viewOf(leaves)
        return winner?.record.content === undefined && copies.length === 0 && hlcToMs(modifiedMaxOf(leaves)) < clock.wallMs() - tombstoneLifetimeMs
      })
      if (gone > 0) purged++
    }
    if (looked < pathsPerStep) return purged
    await clock.sleep(pauseMs, signal)
  }
}
