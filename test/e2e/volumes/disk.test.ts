import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { openStore } from '../../../src/store/index.js'
import { createReplicaDisk } from '../../../src/volumes/index.js'
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
        const disk = await createReplicaDisk({ log: await store.appendLog('volume-log'), meta: store.meta('volumes'), clock: systemClock, journal: silentLog })
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
