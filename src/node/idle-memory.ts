import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock, Log } from '../base/index.js'
import { messageOf } from '../base/index.js'

/**
 * V8 walks through the whole heap when it has grown by a part of its size, and counts the bytes of buffers along, which
 * are none of the heap: while a large file passes through, that was a tenth of the processor (18 walks for 512 MiB as V8
 * decides by itself, 3 with `roomyPercent`). So the heap may grow while the process is small; once it is not, it is kept
 * tighter than V8 would. What it grew by is given back at rest, see below.
 */
const roomyPercent = 200
const tightPercent = 35
/** With this much resident the rest of 300 MiB goes to the buffers of LevelDB and of what is on its way. */
const tightFromBytes = 190 * 2 ** 20
const tightPeriodMs = 500

export async function boundHeap(components: { clock: Clock }, signal: AbortSignal): Promise<void> {
  let set = 0
  while (!signal.aborted) {
    const percent = process.memoryUsage.rss() < tightFromBytes ? roomyPercent : tightPercent
    if (percent !== set) setFlagsFromString(`--heap-growing-percent=${String(percent)}`)
    set = percent
    await components.clock.sleep(tightPeriodMs, signal)
  }
}

/**
 * Gives back memory when the node has nothing to do. Three owners keep what they no longer use, for hours, on somebody's
 * laptop: V8, which collects when it allocates; LevelDB, which maps what it reads; and the C library, which keeps freed
 * pages below any that are in use. A node with 10,000 files rests at about half of what it took without this. It costs
 * some 100 ms, which nobody is waiting through: it happens only in a period in which the process used next to no CPU.
 *
 * Road not taken: a small young generation (`--max-semi-space-size`) has the same effect on V8 at rest, and costs
 * throughput under load; environment variables of the C library (MALLOC_TRIM_THRESHOLD_, MALLOC_ARENA_MAX) made no
 * difference, and MALLOC_MMAP_THRESHOLD_ makes each small buffer several times dearer.
 */
export interface IdleMemoryInit {
  /** How often to look. */
  periodMs: number
  /** Share of one core, at most, in which a period counts as rest. */
  restShare: number
}

export interface IdleMemoryComponents {
  clock: Clock
  log: Log
  /** What has files open: told that nothing is going on. */
  store: { rest(): Promise<void> }
}

const defaults: IdleMemoryInit = { periodMs: 15_000, restShare: 0.05 }
/** Less than this is not worth a pause. */
const worthBytes = 4 * 2 ** 20
/** Made by the build where there is a C compiler and glibc; without it, only the other two owners give back. */
const trimFile = join(import.meta.dirname, 'trim.node')

export async function releaseIdleMemory(components: IdleMemoryComponents, signal: AbortSignal, init: IdleMemoryInit = defaults): Promise<void> {
  const { clock, log, store } = components
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const trim = trimmer(log)
  /** What was left after the last collection: growing from there by `worthBytes` is what makes another one due. */
  let leftHeapBytes = 0
  let leftBytes = 0
  for (;;) {
    const before = process.cpuUsage()
    await clock.sleep(init.periodMs, signal)
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 > init.restShare * init.periodMs) continue
    const { heapTotal, external, rss } = process.memoryUsage()
    if (heapTotal + external < leftHeapBytes + worthBytes && rss < leftBytes + worthBytes) continue
    try {
      await store.rest()
    } catch (error) {
      log.warn('the store did not give back what it had mapped', { reason: messageOf(error) })
    }
    // Pages that are nearly empty are emptied: a heap that was large for a moment is full of them.
    setFlagsFromString('--compact-on-every-full-gc')
    collect()
    setFlagsFromString('--no-compact-on-every-full-gc')
    trim()
    const after = process.memoryUsage()
    leftHeapBytes = after.heapTotal + after.external
    leftBytes = after.rss
  }
}

function trimmer(log: Log): () => void {
  if (process.platform !== 'linux' || !existsSync(trimFile)) return () => undefined
  let works = true
  return () => {
    if (!works) return
    try {
      process.dlopen({ exports: {} }, trimFile)
    } catch (error) {
      works = false
      log.debug('freed memory cannot be given back', { reason: messageOf(error) })
    }
  }
}
