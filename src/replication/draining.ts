import type { Clock } from '../base/index.js'
import type { Plan } from '../storage-policy/index.js'
import type { Carrier } from './carrier.js'
import type { Inventory } from './inventory.js'
import type { DrainOutcome } from './types.js'

export interface DrainInit {
  /** What is still to be done, and how many blobs here are wanted by anybody. */
  readonly plan: () => Promise<Plan & { wanted: number }>
}

/** A round that moved nothing is tried again so often: a full or silent node may come back. */
const idleRoundsMax = 3
const pauseMs = 5_000

/** Hands on all that others need, round by round, until nothing is left or nothing moves. Rejects when the signal aborts. */
export async function drainAway(
  components: { clock: Clock; inventory: Inventory; carrier: Carrier },
  init: DrainInit,
  signal: AbortSignal,
): Promise<DrainOutcome> {
  const { clock, inventory, carrier } = components
  let moved = 0
  let idle = 0
  for (;;) {
    signal.throwIfAborted()
    const { actions, wanted } = await init.plan()
    if (wanted === 0) return { moved, remaining: 0, problems: [] }
    if (idle >= idleRoundsMax) {
      const many = `${String(wanted)} ${wanted === 1 ? 'blob has' : 'blobs have'} no other node to go to`
      return { moved, remaining: wanted, problems: [many] }
    }
    if (idle > 0) await clock.sleep(pauseMs, signal)
    const before = inventory.size
    // Copies first, since a move lets go of the blob only when all who are to have it do.
    await Promise.all(actions.filter((action) => action.kind === 'copy').map((action) => carrier.carry(action, signal)))
    const leaving = actions.filter((action) => action.kind === 'evict' || (action.kind === 'move' && action.to !== null))
    await Promise.all(leaving.map((action) => carrier.carry(action, signal)))
    moved += before - inventory.size
    idle = inventory.size < before ? 0 : idle + 1
  }
}
