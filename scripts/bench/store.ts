/**
 * How fast the store is, beside what LevelDB itself does on this disk in the same run:
 *
 *   npx tsx scripts/bench/store.ts [--mib 512] [--files 10000] [--callers 64] [--rounds 3] [--folder DIR] [--json]
 *
 * Layouts are run in turns and the median is reported, since disks of rented machines vary. Bytes written are the
 * kernel's count for this process (`/proc/self/io`, Linux only). Nothing is synced on either side of the block puts; the
 * small files are durable when acknowledged.
 */
import { createHash, randomFillSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Level } from 'level'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { silentLog, systemClock, systemRandom } from '../../src/base/index.js'
import type { Store } from '../../src/store/index.js'
import { openStore } from '../../src/store/index.js'

const { values: flags } = parseArgs({
  options: {
    mib: { type: 'string', default: '512' },
    files: { type: 'string', default: '10000' },
    callers: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    folder: { type: 'string', default: tmpdir() },
    json: { type: 'boolean', default: false },
  },
})
const mib = Number(flags.mib)
const blockBytes = 1024 * 1024
const fileBytes = 10 * 1024
const writeBufferBytes = 64 * 1024 * 1024
const values = Array.from({ length: 8 }, () => randomFillSync(new Uint8Array(blockBytes)))

interface Line {
  name: string
  value: number
  unit: string
  peers?: Record<string, number>
  ratio?: number
}

interface Run {
  mibPerSecond: number
  writtenPerByte: number
}

const cidOf = (text: string): CID => CID.createV1(0x55, Digest.create(0x12, createHash('sha256').update(text).digest()))

function bytesWritten(): number {
  try {
    return Number(/^write_bytes: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? Number.NaN)
  } catch {
    return Number.NaN
  }
}

function residentBytes(): number {
  return process.memoryUsage.rss()
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(flags.folder, 'mesh-bench-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function timed(work: () => Promise<void>, settle: () => Promise<void>): Promise<Run> {
  const before = bytesWritten()
  const startMs = performance.now()
  await work()
  const seconds = (performance.now() - startMs) / 1000
  await settle()
  return { mibPerSecond: mib / seconds, writtenPerByte: (bytesWritten() - before) / (mib * blockBytes) }
}

/** LevelDB alone, opened as the store opens its log. Written out at the end, as the store does when it closes. */
async function raw(keyOf: (n: number) => Uint8Array): Promise<Run> {
  return inFolder(async (folder) => {
    const level = new Level<Uint8Array, Uint8Array>(folder, { keyEncoding: 'view', valueEncoding: 'view', compression: false, writeBufferSize: writeBufferBytes, maxFileSize: writeBufferBytes, cacheSize: blockBytes })
    await level.open()
    const run = await timed(
      async () => {
        for (let n = 0; n < mib; n++) await level.put(keyOf(n), values[n % values.length] ?? new Uint8Array(0))
      },
      async () => {
        await (level as typeof level & { compactRange: (from: Uint8Array, to: Uint8Array) => Promise<void> }).compactRange(new Uint8Array(12).fill(255), new Uint8Array(13).fill(255))
      },
    )
    await level.close()
    return run
  })
}

function sequentialKey(n: number): Uint8Array {
  const key = Buffer.alloc(44)
  key.writeBigUInt64BE(BigInt(n))
  return key
}

async function puts(): Promise<Run> {
  return inFolder(async (home) => {
    const store = await open(home)
    const cids = Array.from({ length: mib }, (_, n) => cidOf(`block ${String(n)}`))
    const run = await timed(
      async () => {
        const draft = await store.blocks.draft('bench')
        for (const [n, cid] of cids.entries()) await draft.put(cid, values[n % values.length] ?? new Uint8Array(0))
        await draft.commit([])
      },
      async () => store.close(),
    )
    return run
  })
}

async function open(home: string): Promise<Store> {
  return openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home })
}

interface Reads {
  mibPerSecond: number
  residentMiB: number
}

async function reads(): Promise<Reads> {
  return inFolder(async (home) => {
    const writer = await open(home)
    const draft = await writer.blocks.draft('bench')
    for (let n = 0; n < mib; n++) await draft.put(cidOf(`block ${String(n)}`), values[n % values.length] ?? new Uint8Array(0))
    await draft.commit([])
    await writer.close()
    const store = await open(home)
    let residentMiB = 0
    const startMs = performance.now()
    for (let n = 0; n < mib; n++) {
      await store.blocks.get(cidOf(`block ${String(n)}`))
      residentMiB = Math.max(residentMiB, residentBytes() / blockBytes)
    }
    const seconds = (performance.now() - startMs) / 1000
    await store.close()
    return { mibPerSecond: mib / seconds, residentMiB }
  })
}

/** Files of one small block: put, committed with a record of 200 bytes, durable. */
async function smallFiles(callers: number): Promise<number> {
  return inFolder(async (home) => {
    const store = await open(home)
    const files = Number(flags.files)
    const slice = store.meta('catalog')
    const bytes = (values[0] ?? new Uint8Array(fileBytes)).subarray(0, fileBytes)
    const cids = Array.from({ length: files }, (_, n) => cidOf(`file ${String(n)}`))
    let next = 0
    const startMs = performance.now()
    await Promise.all(
      Array.from({ length: callers }, async () => {
        for (let n = next++; n < files; n = next++) {
          const cid = cids[n]
          if (cid === undefined) return
          const draft = await store.blocks.draft(String(n))
          await draft.put(cid, bytes)
          await draft.commit([slice.put(cid.bytes, bytes.subarray(0, 200))])
        }
      }),
    )
    const perSecond = files / ((performance.now() - startMs) / 1000)
    await store.close()
    return perSecond
  })
}

function median(all: readonly number[]): number {
  return [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? Number.NaN
}

const runs: Record<'sequential' | 'hash' | 'store', Run[]> = { sequential: [], hash: [], store: [] }
const small: number[] = []
for (let round = 0; round < Number(flags.rounds); round++) {
  runs.sequential.push(await raw(sequentialKey))
  runs.store.push(await puts())
  runs.hash.push(await raw((n) => createHash('sha256').update(String(n)).digest()))
  small.push(await smallFiles(Number(flags.callers)))
}
const read = await reads()
const speed = (name: keyof typeof runs): number => median(runs[name].map((run) => run.mibPerSecond))
const written = (name: keyof typeof runs): number => median(runs[name].map((run) => run.writtenPerByte))

const lines: Line[] = [
  {
    name: `block puts of 1 MiB, ${String(mib)} MiB`,
    value: speed('store'),
    unit: 'MiB/s',
    peers: { 'LevelDB, growing keys': speed('sequential'), 'LevelDB, hash keys': speed('hash') },
    ratio: speed('store') / speed('sequential'),
  },
  {
    name: `bytes written per byte stored, ${String(mib)} MiB`,
    value: written('store'),
    unit: 'bytes/byte',
    peers: { 'LevelDB, growing keys': written('sequential'), 'LevelDB, hash keys': written('hash') },
    ratio: written('store') / written('sequential'),
  },
  { name: `durable puts of 10 KiB, ${flags.callers} callers`, value: median(small), unit: 'files/s' },
  { name: 'block gets of 1 MiB, from the page cache', value: read.mibPerSecond, unit: 'MiB/s' },
  { name: 'resident while reading, at most', value: read.residentMiB, unit: 'MiB' },
]
for (const line of lines) {
  if (flags.json) console.log(JSON.stringify(line))
  else {
    const peers = Object.entries(line.peers ?? {}).map(([name, value]) => `${name} ${value.toFixed(2)}`)
    console.log(`${line.name}: ${line.value.toFixed(2)} ${line.unit}${peers.length > 0 ? ` (${peers.join(', ')})` : ''}${line.ratio === undefined ? '' : `, ratio ${line.ratio.toFixed(2)}`}`)
  }
}
