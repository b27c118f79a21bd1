/**
 * How fast the disk of a volume's replica is, beside what LevelDB itself does on this disk in the same run:
 *
 *   npx tsx scripts/bench/volume-disk.ts [--seconds 3] [--mib 256] [--folder DIR] [--json]
 *
 * Nothing is synced but where it says so; bytes written are the kernel's count for this process (Linux only).
 */
import { randomFillSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Level } from 'level'
import { silentLog, systemClock, systemRandom } from '../../src/base/index.js'
import { openStore } from '../../src/store/index.js'
import type { ClosableReplicaDisk } from '../../src/volumes/index.js'
import { blockBytes, createReplicaDisk, isWholeRow, segmentBlocks } from '../../src/volumes/index.js'

const { values: flags } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    mib: { type: 'string', default: '256' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
})
const seconds = Number(flags.seconds)
const mib = Number(flags.mib)
const volume = '00112233445566778899aabbccddeeff'
/** 1 GiB of volume is written to at random. */
const segments = 16
const small = Array.from({ length: 16 }, () => randomFillSync(new Uint8Array(blockBytes)))
const large = Array.from({ length: 4 }, () => randomFillSync(new Uint8Array(1024 * 1024)))

interface Line {
  name: string
  value: number
  unit: string
  peers?: Record<string, number>
  ratio?: number
}

interface Timing {
  perSecond: number
  p50Ms: number
  p99Ms: number
}

function bytesWritten(): number {
  try {
    return Number(/^write_bytes: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? Number.NaN)
  } catch {
    return Number.NaN
  }
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(flags.folder, 'mesh-bench-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** `one` over and over for some seconds, so many at once. */
async function timed(depth: number, one: (n: number) => Promise<unknown>): Promise<Timing> {
  const times: number[] = []
  const startMs = performance.now()
  const endMs = startMs + seconds * 1000
  let n = 0
  await Promise.all(Array.from({ length: depth }, async () => {
    for (let atMs = performance.now(); atMs < endMs; ) {
      await one(n++)
      const nowMs = performance.now()
      times.push(nowMs - atMs)
      atMs = nowMs
    }
  }))
  times.sort((a, b) => a - b)
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN
  return { perSecond: times.length / ((performance.now() - startMs) / 1000), p50Ms: at(0.5), p99Ms: at(0.99) }
}

type RawLevel = Level<Uint8Array, Uint8Array>

async function withLevel<T>(work: (level: RawLevel) => Promise<T>): Promise<T> {
  return inFolder(async (folder) => {
    const level: RawLevel = new Level<Uint8Array, Uint8Array>(folder, { keyEncoding: 'view', valueEncoding: 'view', compression: false, writeBufferSize: 16 * 1024 * 1024, maxFileSize: 16 * 1024 * 1024, cacheSize: 1024 * 1024 })
    await level.open()
    try {
      return await work(level)
    } finally {
      await level.close()
    }
  })
}

function key(n: number): Uint8Array {
  const bytes = Buffer.alloc(28)
  bytes.writeBigUInt64BE(BigInt(n))
  return bytes
}

async function withDisk<T>(work: (disk: ClosableReplicaDisk) => Promise<T>): Promise<T> {
  return inFolder(async (home) => {
    const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home })
    const disk = await createReplicaDisk({ log: await store.appendLog('volume-log', { isWhole: isWholeRow }), meta: store.meta('volumes'), clock: systemClock, journal: silentLog })
    try {
      return await work(disk)
    } finally {
      await disk.close()
      await store.close()
    }
  })
}

/** Appends that go round the segments; each segment's numbers without a gap. */
function appender(disk: ClosableReplicaDisk, blocks: number, place: (n: number) => { segment: number; start: number }): (n: number) => Promise<unknown> {
  const next = new Map<number, number>()
  return async (n) => {
    const { segment, start } = place(n)
    const sequence = (next.get(segment) ?? 0) + 1
    next.set(segment, sequence)
    const bytes = (blocks === 1 ? small[n % small.length] : large[n % large.length]) ?? new Uint8Array(0)
    const refusal = await disk.append({ volume, segment }, [{ start, blocks, token: 1, sequence, configuration: 1, content: 'data', bytes }])
    if (refusal !== undefined) throw new Error(`refused: ${refusal.type}`)
    // As an engine does after a flush.
    if (sequence % 256 === 0) await disk.settled({ volume, segment }, 1, sequence - 64)
  }
}

const anywhere = (): { segment: number; start: number } => ({ segment: systemRandom.below(segments), start: systemRandom.below(segmentBlocks) })

const lines: Line[] = []
for (const depth of [1, 16]) {
  const level = await withLevel(async (database) => timed(depth, async (n) => database.put(key(n), small[n % small.length] ?? new Uint8Array(0))))
  let writtenPerByte = Number.NaN
  const disk = await withDisk(async (ours) => {
    const before = bytesWritten()
    const timing = await timed(depth, appender(ours, 1, anywhere))
    await ours.checkpoint()
    writtenPerByte = (bytesWritten() - before) / (timing.perSecond * seconds * blockBytes)
    return timing
  })
  lines.push({ name: `4 KiB at random, ${String(depth)} at once`, value: disk.perSecond, unit: '/s', peers: { 'LevelDB puts': level.perSecond }, ratio: disk.perSecond / level.perSecond })
  lines.push({ name: `the same, p50`, value: disk.p50Ms, unit: 'ms', peers: { 'LevelDB puts': level.p50Ms } })
  lines.push({ name: `the same, p99`, value: disk.p99Ms, unit: 'ms', peers: { 'LevelDB puts': level.p99Ms } })
  lines.push({ name: `the same, bytes written per byte`, value: writtenPerByte, unit: '' })
}
const rawMib = await withLevel(async (database) => {
  const startMs = performance.now()
  for (let n = 0; n < mib; n++) await database.put(key(n), large[n % large.length] ?? new Uint8Array(0))
  return mib / ((performance.now() - startMs) / 1000)
})
const { sequential, reads, cold } = await withDisk(async (disk) => {
  const blocks = 256
  const write = appender(disk, blocks, (n) => ({ segment: Math.floor((n * blocks) / segmentBlocks), start: (n * blocks) % segmentBlocks }))
  const startMs = performance.now()
  for (let n = 0; n < mib; n++) await write(n)
  const speed = mib / ((performance.now() - startMs) / 1000)
  const read = async (): Promise<unknown> => disk.read({ volume, segment: systemRandom.below(Math.max(1, Math.floor(mib / 64))) }, { start: systemRandom.below(segmentBlocks), blocks: 1 })
  return { sequential: speed, reads: await timed(1, read), cold: await timed(16, read) }
})
lines.push({ name: `1 MiB in order, ${String(mib)} MiB`, value: sequential, unit: 'MiB/s', peers: { 'LevelDB puts': rawMib }, ratio: sequential / rawMib })
lines.push({ name: '4 KiB read at random, 1 at once', value: reads.perSecond, unit: '/s' }, { name: '4 KiB read at random, 16 at once', value: cold.perSecond, unit: '/s' })
const flushes = await withDisk(async (disk) => {
  const write = appender(disk, 1, anywhere)
  return timed(1, async (n) => {
    await write(n)
    await disk.sync()
  })
})
lines.push({ name: 'write and sync in turn', value: flushes.perSecond, unit: '/s' })

if (flags.json) console.log(JSON.stringify(lines))
else {
  for (const { name, value, unit, peers, ratio } of lines) {
    const beside = Object.entries(peers ?? {}).map(([peer, figure]) => `${peer} ${figure.toPrecision(4)}`).join(', ')
    console.log(`${name.padEnd(42)} ${value.toPrecision(4).padStart(9)} ${unit.padEnd(6)} ${beside}${ratio === undefined ? '' : ` (${ratio.toFixed(2)}×)`}`)
  }
}
