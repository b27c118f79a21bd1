import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock } from '../base/index.js'

/**
 * V8 walks through the whole heap when it has grown by a part of its size, and counts the bytes of buffers along, which
 * are none of the heap: while a large file passes through, that was a tenth of the processor (18 walks for 512 MiB with
 * the default, 3 with this). The heap of a node is 40 MiB; what it may grow by more is given back at rest, see below.
 */
export function letHeapGrow(): void {
  setFlagsFromString('--heap-growing-percent=200')
}

/**
 * Gives back memory when the node has nothing to do. V8 collects when it allocates: a node that has just moved 10 GiB,
 * or has just started, and then rests, would keep what that took (125 MiB where 100 will do) for hours, on somebody's
 * laptop. One full collection of a heap this size costs some 40 ms, which nobody is waiting through: it happens only in
 * a period in which the process used next to no CPU.
 *
 * Road not taken: a small young generation (`--max-semi-space-size`) has the same effect at rest, and costs throughput
 * under load.
 */
export interface IdleMemoryInit {
  /** How often to look. */
  periodMs: number
  /** Share of one core, at most, in which a period counts as rest. */
  restShare: number
}

const defaults: IdleMemoryInit = { periodMs: 15_000, restShare: 0.05 }
/** Less than this is not worth a pause. */
const worthBytes = 4 * 2 ** 20

export async function releaseIdleMemory(components: { clock: Clock }, signal: AbortSignal, init: IdleMemoryInit = defaults): Promise<void> {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  /** What was left after the last collection: heap growing from there by `worthBytes` is what makes another one due. */
  let leftBytes = 0
  for (;;) {
    const before = process.cpuUsage()
    await components.clock.sleep(init.periodMs, signal)
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 > init.restShare * init.periodMs) continue
    const { heapTotal, external } = process.memoryUsage()
    if (heapTotal + external < leftBytes + worthBytes) continue
    collect()
    const after = process.memoryUsage()
    leftBytes = after.heapTotal + after.external
  }
}
