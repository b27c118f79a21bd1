import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Clock, Log } from '../base/index.js'
import { messageOf } from '../base/index.js'

/**
 * V8 walks through the whole heap when it has grown by a part of its size, and counts the bytes of buffers along, which
 * are none of the heap: while a large file passes through, that was a tenth of the processor (18 walks for 512 MiB as V8
 * decides by itself). So the heap may grow further before it does. What it grew by is given back at rest, see below.
 *
 * Road not taken: three times its size while the process is small, and a third more once it is not. V8 takes a new percent
 * to heart with its next walk, so it walked late once and then without end: a put of 10,000 small files had twice as many
 * walks, and with 1.5 GiB put after them a peak of 278 MiB, where it is 246 with this, at less of the processor.
 */
const growingPercent = 120
/**
 * With this much resident, the C library is asked for freed pages every so often: under a large file it keeps some 30 MiB
 * between LevelDB's buffers and ours, and finding them takes 4 ms.
 */
const trimFromBytes = 190 * 2 ** 20
const lookPeriodMs = 500
const trimPeriodMs = 1500
/**
 * This near to 300 MiB the buffers that nobody uses any more are collected before: V8 lets 60 MiB of them come together,
 * since it counts them apart from the heap. That takes some 40 ms, so it is not done where there is room.
 */
const collectFromBytes = 255 * 2 ** 20

export async function boundHeap(components: { clock: Clock; log: Log }, signal: AbortSignal): Promise<void> {
  const { clock, log } = components
  const trim = native(trimFile, log)
  const collect = collector()
  setFlagsFromString(`--heap-growing-percent=${String(growingPercent)}`)
  let trimmedAtMs = clock.monotonicMs()
  while (!signal.aborted) {
    const residentBytes = process.memoryUsage.rss()
    if (residentBytes >= trimFromBytes && clock.monotonicMs() - trimmedAtMs >= trimPeriodMs) {
      if (residentBytes >= collectFromBytes) collect()
      trim()
      trimmedAtMs = clock.monotonicMs()
    }
    await clock.sleep(lookPeriodMs, signal)
  }
}

/**
 * Gives back memory when the node has nothing to do. Four owners keep what they no longer use, for hours, on somebody's
 * laptop: V8, which collects when it allocates; LevelDB, which maps what it reads; the C library, which keeps freed
 * pages below any that are in use; and Node.js itself, whose own code and tables stay mapped once it has started. A node
 * with 10,000 files rests at about half of what it took without this. It costs some 100 ms, which nobody is waiting
 * through: it happens only in a period in which the process used next to no CPU.
 *
 * Road not taken: a small young generation (`--max-semi-space-size`) has the same effect on V8 at rest, and costs
 * throughput under load; MALLOC_TRIM_THRESHOLD_ of the C library made no difference, and MALLOC_MMAP_THRESHOLD_ makes each
 * small buffer several times dearer. (How many arenas it has does make one, and is settled before: cli/arenas.ts.)
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
const settleMs = 500
/** As V8 has it: in a node at work functions go that did not run between so many collections. */
const codeAge = 5
/** Less than this is not worth a pause. */
const worthBytes = 4 * 2 ** 20
/** So much does not wait; and where so much came back, there may be more, of what only became free by it. */
const muchBytes = 24 * 2 ** 20
/** A collection, and making again what it threw away, takes 150 ms of processor: a tenth of a percent of a core. */
const pauseMs = 120_000
/** A look at everything that is held leaves more than this behind (10,000 files: 14 MiB): then it is half as long. */
const urgentBytes = 8 * 2 ** 20
/** Of the program's pages those come back that a resting node uses, some 10 MiB: as much again has to be more than that. */
const worthMappedBytes = 20 * 2 ** 20
/** Made by the build where there is a C compiler (and glibc, for the first): without them, only the other owners give back. */
const trimFile = join(import.meta.dirname, 'trim.node')
const programPagesFile = join(import.meta.dirname, 'program-pages.node')

export async function releaseIdleMemory(components: IdleMemoryComponents, signal: AbortSignal, init: IdleMemoryInit = defaults): Promise<void> {
  const { clock, log, store } = components
  const collect = collector()
  const trim = native(trimFile, log)
  const unmapProgram = native(programPagesFile, log)
  /** What was left after the last collection: growing from there by `worthBytes` is what makes another one due. */
  let leftHeapBytes = 0
  let leftBytes = 0
  let leftMappedBytes = 0
  let isMore = false
  let collectedAtMs = Number.NEGATIVE_INFINITY
  for (;;) {
    const before = process.cpuUsage()
    await clock.sleep(init.periodMs, signal)
    const { user, system } = process.cpuUsage(before)
    if ((user + system) / 1000 > init.restShare * init.periodMs) continue
    const { heapBytes, youngBytes } = heap()
    const { ownBytes, mappedBytes } = resident()
    if (mappedBytes >= leftMappedBytes + worthMappedBytes) {
      unmapProgram()
      leftMappedBytes = resident().mappedBytes
    }
    const grownBytes = Math.max(heapBytes - leftHeapBytes, ownBytes - youngBytes - leftBytes)
    const restedMs = clock.monotonicMs() - collectedAtMs
    const waitMs = isMore || grownBytes >= muchBytes ? 0 : grownBytes >= urgentBytes ? pauseMs / 2 : grownBytes >= worthBytes ? pauseMs : Number.POSITIVE_INFINITY
    if (restedMs < waitMs) continue
    try {
      await store.rest()
    } catch (error) {
      log.warn('the store did not give back what it had mapped', { reason: messageOf(error) })
    }
    // Pages that are nearly empty are emptied: a heap that was large for a moment is full of them. And code that did not
    // run since the last collection goes; it is made again from its source should it be called.
    setFlagsFromString('--compact-on-every-full-gc')
    setFlagsFromString('--bytecode-old-age=1')
    collect()
    setFlagsFromString('--no-compact-on-every-full-gc')
    setFlagsFromString(`--bytecode-old-age=${String(codeAge)}`)
    // V8 frees the buffers of what it collected on another thread, and LevelDB closes files on one of its own.
    await clock.sleep(settleMs, signal)
    trim()
    // Collecting and opening databases anew has just touched much of the program that rest does not.
    unmapProgram()
    leftMappedBytes = resident().mappedBytes
    collectedAtMs = clock.monotonicMs()
    const left = heap()
    leftHeapBytes = left.heapBytes
    leftBytes = resident().ownBytes - left.youngBytes
    isMore = ownBytes - youngBytes - leftBytes >= muchBytes
  }
}

/**
 * What V8 holds, and what it holds for young objects: this is given back by every collection and taken again by the first
 * hundred milliseconds of work, so to collect on account of it would be to collect for ever.
 */
function heap(): { heapBytes: number; youngBytes: number } {
  const { heapTotal, external } = process.memoryUsage()
  const youngBytes = getHeapSpaceStatistics().find((space) => space.space_name === 'new_space')?.space_size ?? 0
  return { heapBytes: heapTotal + external - youngBytes, youngBytes }
}

/** What is resident: memory of its own, and pages of files. Elsewhere than on Linux all counts as its own. */
function resident(): { ownBytes: number; mappedBytes: number } {
  const bytes = process.memoryUsage.rss()
  if (process.platform !== 'linux') return { ownBytes: bytes, mappedBytes: 0 }
  // In pages, whatever these measure: all, resident, and how many of those are a file's.
  const [, pages = 1, mapped = 0] = readFileSync('/proc/self/statm', 'utf8').split(' ').map(Number)
  const mappedBytes = (bytes / pages) * mapped
  return { ownBytes: bytes - mappedBytes, mappedBytes }
}

function collector(): () => void {
  setFlagsFromString('--expose-gc')
  return runInNewContext('gc') as () => void
}

/** Node.js runs a function of the file each time that it is asked to load it. */
function native(file: string, log: Log): () => void {
  if (process.platform !== 'linux' || !existsSync(file)) return () => undefined
  let works = true
  return () => {
    if (!works) return
    try {
      process.dlopen({ exports: {} }, file)
    } catch (error) {
      works = false
      log.debug('memory cannot be given back this way', { file, reason: messageOf(error) })
    }
  }
}
