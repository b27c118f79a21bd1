// `node --import=tsx scripts/voter-size.ts [SCOPES…]`: how much memory a whole node takes whose voter has so many scopes, all of
// them held. A real node takes one lease; while it is stopped, its register is copied under other names; then the node starts
// with them. Asks for the program built (`npm start -- --version`).
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { silentLog, systemClock, systemRandom } from '../src/base/index.js'
import type { WriteOperation } from '../src/base/index.js'
import { openStore } from '../src/store/index.js'
import { eventually, World } from '../test/e2e/harness.js'
import type { TestNode } from '../test/e2e/harness.js'

const counts = process.argv.slice(2).map(Number)
/** Written at once: some megabytes. */
const batchMax = 10_000
/** After a start, until what loading left behind is gone. */
const restMs = 10_000
/** To load a million registers on a busy machine. */
const readyMsMax = 300_000

const residentOf = ({ pid }: TestNode): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, 'utf8'))?.[1] ?? 0) / 1024

async function fill(home: string, from: number, to: number): Promise<number> {
  const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home })
  try {
    const registers = store.meta('lease-registers')
    const one = await registers.get(Buffer.from('r:size/0'))
    if (one === undefined) throw new Error('the register of size/0 is not there')
    let batch: WriteOperation[] = []
    for (let i = from; i < to; i++) {
      batch.push(registers.put(Buffer.from(`r:size/${String(i)}`), one))
      if (batch.length < batchMax && i + 1 < to) continue
      await registers.write(batch, { durable: i + 1 === to })
      batch = []
    }
    return one.length
  } finally {
    await store.close()
  }
}

const world = new World()
try {
  const node = await world.start('a')
  await node.client().acquireLease('size/0', { agent: 'x', ttlMs: 3_600_000 })
  await new Promise((resolve) => { setTimeout(resolve, restMs) })
  const emptyMiB = residentOf(node)
  console.log(`1 scope: ${emptyMiB.toFixed(0)} MiB resident`)
  let filled = 1
  for (const count of counts.length === 0 ? [100_000, 1_000_000] : counts) {
    // Not stopped: a clean stop gives back what is held.
    await node.kill()
    const valueBytes = await fill(join(world.folder, 'a'), filled, count)
    filled = count
    const startedMs = performance.now()
    await node.start()
    // Registers are loaded after the node answers.
    await eventually(async () => (await node.client().acquireLease(`new/${String(count)}`, { agent: 'x' })).state === 'active', 'a lease', readyMsMax)
    const readyMs = performance.now() - startedMs
    const { token } = await node.client().acquireLease(`size/${String(count - 1)}`, { agent: 'x' })
    const loadedMiB = residentOf(node)
    await new Promise((resolve) => { setTimeout(resolve, restMs) })
    const restedMiB = residentOf(node)
    console.log(
      `${String(count)} scopes of ${String(valueBytes)} bytes each on disk: a lease granted ${readyMs.toFixed(0)} ms after the start, ${loadedMiB.toFixed(0)} MiB resident, ${restedMiB.toFixed(0)} MiB after ${String(restMs / 1000)} s ` +
        `(${((restedMiB - emptyMiB) * 1024 * 1024 / count).toFixed(0)} bytes a scope above the empty node); the last of them, taken anew, has token ${String(token)}`,
    )
  }
} finally {
  await world.close()
}
process.exit(0)
