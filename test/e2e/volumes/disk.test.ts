import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { codeOf, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { openStore } from '../../../src/store/index.js'
import { blockBytes, createReplicaDisk, isWholeRow } from '../../../src/volumes/index.js'
import type { ClosableReplicaDisk } from '../../../src/volumes/index.js'
import { blockOf, idOf, segmentsUsed } from './disk-world.js'

describe('the disk of a replica whose process is killed', () => {
  it('has everything that was acknowledged, and nothing else, time after time', async function () {
    this.timeout(90_000)
    const home = mkdtempSync(join(tmpdir(), 'mesh-disk-'))
    const acknowledged = Array.from({ length: segmentsUsed }, () => 0)
    try {
      for (let round = 1; round <= Number(process.env['ROUNDS'] ?? 3); round++) {
        const before = [...acknowledged]
        await writeUntilKilled(home, round, acknowledged, 300)
        assert.ok(acknowledged.some((sequence, segment) => sequence > (before[segment] ?? 0)))
        const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home })
        const disk = await createReplicaDisk({ log: await store.appendLog('volume-log', { isWhole: isWholeRow }), meta: store.meta('volumes'), clock: systemClock, journal: silentLog })
        for (const [segment, sequence] of acknowledged.entries()) {
          const end = await disk.streamEnd(idOf(segment), 1)
          assert.ok(end >= sequence, `segment ${String(segment)}: ${String(sequence)} acknowledged, ${String(end)} there`)
          const expected = new Map<number, number>()
          for (let n = 1; n <= end; n++) {
            const { start, blocks } = blockOf(segment, n)
            for (let block = start; block < start + blocks; block++) expected.set(block, n)
          }
          for (const data of await disk.read(idOf(segment), { start: 0, blocks: 320 })) {
            for (let i = 0; i < data.blocks; i++) {
              const version = expected.get(data.start + i)
              assert.equal(data.version?.sequence, version)
              if (version !== undefined) assert.ok(data.bytes.subarray(i * 4096, (i + 1) * 4096).every((byte) => byte === version % 251))
            }
          }
        }
        await disk.close()
        await store.close()
      }
    } finally {
      rmSync(home, { recursive: true, force: true })
    }
  })

  it('says so when damage has taken the end of a log that was synced', async function () {
    this.timeout(30_000)
    const home = mkdtempSync(join(tmpdir(), 'mesh-disk-'))
    const opened: { close: () => Promise<void> }[] = []
    const open = async (folder: string): Promise<ClosableReplicaDisk> => {
      const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home: folder })
      const disk = await createReplicaDisk({ log: await store.appendLog('volume-log', { isWhole: isWholeRow }), meta: store.meta('volumes'), clock: systemClock, journal: silentLog })
      opened.push(store, disk)
      return disk
    }
    try {
      const disk = await open(join(home, 'a'))
      const count = 40
      for (let sequence = 1; sequence <= count; sequence++) {
        await disk.append(idOf(0), [{ start: sequence, blocks: 1, token: 1, sequence, configuration: 1, content: 'data', bytes: new Uint8Array(blockBytes).fill(sequence) }])
      }
      await disk.setWhole(idOf(0), true)
      await disk.sync()
      await disk.witness()
      // As a loss of power leaves it, and with the last quarter of what was written last damaged.
      cpSync(join(home, 'a'), join(home, 'b'), { recursive: true, filter: (path) => !path.endsWith('LOCK') })
      const logs = readdirSync(join(home, 'b'), { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.rows')).map((path) => join(home, 'b', path)).filter((path) => readFileSync(path).includes(Buffer.alloc(blockBytes, count)))
      assert.equal(logs.length, 1)
      const path = logs[0] ?? ''
      const bytes = readFileSync(path)
      const end = bytes.lastIndexOf(Buffer.alloc(64, count))
      bytes.fill(0x55, Math.floor(end * 0.75), end)
      writeFileSync(path, bytes)
      const damaged = await open(join(home, 'b'))
      await assert.rejects(damaged.read(idOf(0), { start: count, blocks: 1 }), (error) => codeOf(error) === 'CORRUPT')
      assert.equal((await damaged.read(idOf(1), { start: 0, blocks: 1 }))[0]?.content, 'unknown', 'another segment is not concerned')
    } finally {
      for (const one of opened.reverse()) await one.close()
      rmSync(home, { recursive: true, force: true })
    }
  })
})

async function writeUntilKilled(home: string, seed: number, acknowledged: number[], writes: number): Promise<void> {
  const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'disk-child.ts'), home, String(seed)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let seen = 0
  for await (const line of createInterface({ input: child.stdout })) {
    const [segment, sequence] = line.split(' ').map(Number)
    if (segment === undefined || sequence === undefined) continue
    acknowledged[segment] = Math.max(acknowledged[segment] ?? 0, sequence)
    if (++seen === writes + seed * 37) child.kill('SIGKILL')
  }
  const [, signal] = (await exited) as [number | null, string | null]
  assert.equal(signal, 'SIGKILL', 'it was killed and did not end by itself')
}
