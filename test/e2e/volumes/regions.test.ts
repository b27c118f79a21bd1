import assert from 'node:assert/strict'
import { eventually, World } from '../harness.js'
import type { TestNode } from '../harness.js'
import type { NbdClient } from './nbd-client.js'
import { blockBytes, connected, contentOf, median, roundTripMs, threeRegions, timed } from './three-regions.js'
import type { HeatLine, Lease } from './three-regions.js'

/** The operating system: 4 MiB in writes of 64 KiB. */
const system = { blocks: 1024, step: 16 }
/** A document that Sydney saves again and again, in the same segment. */
const document = { start: 8000, blocks: 16 }
const saves = 40
const slowWritesMax = 5
/** Half a round trip: nothing that went to another region is faster, and nothing that did not is slower for long. */
const slowMs = roundTripMs / 2

describe('three regions, 200 ms apart', function () {
  this.timeout(120_000)
  let world: World
  let york: TestNode
  let sydney: TestNode

  before(async () => {
    world = new World()
    ;({ york, sydney } = await threeRegions(world))
  })
  after(async () => {
    await world.close()
  })

  it('a document that Sydney writes moves there, after at most five slow writes; the rest of the disk stays in New York', async () => {
    await york.json('volume', 'create', 'vm', '--size', '256MiB')
    const [there, here] = [await connected(york, 'vm'), await connected(sydney, 'vm')]
    for (let start = 0; start < system.blocks; start += system.step) await there.write(start * blockBytes, contentOf(start, system.step, 0))
    await there.flush()

    // New York goes on running its system meanwhile.
    const stop = new AbortController()
    const systemMs: number[] = []
    const running = runSystem(there, systemMs, stop.signal)
    const documentMs: number[] = []
    for (let round = 1; round <= saves; round++) {
      documentMs.push(await timed(async () => here.write(document.start * blockBytes, contentOf(document.start, document.blocks, round))))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    stop.abort()
    const rounds = await running
    console.log(`      Sydney's writes, ms: ${documentMs.map((ms) => ms.toFixed(0)).join(' ')}`)
    console.log(`      New York's meanwhile: median ${median(systemMs).toFixed(1)} ms, the slowest ${Math.max(...systemMs).toFixed(0)} ms`)

    assert.ok((documentMs[0] ?? 0) > slowMs, 'the first one had to go to New York')
    // How many it were is told by the holder: a stopwatch cannot tell a far write from a busy machine.
    const told = /moves to sydney: (\d+) slow writes? from there/.exec(york.log)?.[1]
    assert.ok(Number(told) <= slowWritesMax, `it moved after ${told ?? 'no'} slow writes`)
    const afterMs = median(documentMs.slice(slowWritesMax))
    assert.ok(afterMs < slowMs / 2, `after ${String(slowWritesMax)} writes they take ${afterMs.toFixed(1)} ms`)
    assert.ok(median(systemMs) < slowMs / 2, 'New York is not slowed down')

    const leases = await sydney.json<Lease[]>('volume', 'leases', 'vm')
    const holders = (start: number, blocks: number): string[] => [...new Set(leases.filter((lease) => lease.start < start + blocks && start < lease.start + lease.blocks).map(({ region }) => region))]
    assert.deepEqual(holders(document.start, document.blocks), ['sydney'])
    assert.deepEqual(holders(0, system.blocks), ['new-york'])

    await here.flush()
    await there.flush()
    const last = contentOf(document.start, document.blocks, saves)
    for (const [name, client] of [['New York', there], ['Sydney', here]] as const) {
      assert.equal(Buffer.compare(await client.read(document.start * blockBytes, last.length), last), 0, `${name} reads the document as it was saved last`)
      // All at once: one after the other each of them would wait for the way to New York.
      await Promise.all(Array.from({ length: system.blocks / system.step }, async (_, i) => {
        const start = i * system.step
        const expected = contentOf(start, system.step, rounds.get(start) ?? 0)
        assert.equal(Buffer.compare(await client.read(start * blockBytes, expected.length), expected), 0, `${name} reads the system at ${String(start)}`)
      }))
    }
    there.close()
    here.close()
  })

  it('everybody sees who writes what from where, and the log says why it moved', async () => {
    const isRight = (lines: HeatLine[]): boolean => {
      const saved = lines.find(({ start, blocks }) => start <= document.start && start + blocks > document.start)
      const booted = lines.find(({ start }) => start === 0)
      return (saved?.regions['sydney']?.writes ?? 0) >= saves && booted?.regions['new-york'] !== undefined && booted.regions['sydney'] === undefined
    }
    for (const node of [york, sydney]) {
      let seen: HeatLine[] = []
      await eventually(async () => isRight((seen = await node.json<HeatLine[]>('volume', 'heat', 'vm'))), `${node.name} to know the heat`).catch((error: unknown) => {
        throw new Error(JSON.stringify(seen), { cause: error })
      })
    }
    assert.match(york.log, /a range moves.*moves to sydney: \d+ slow writes? from there/)
    assert.match(york.log, /SLOW ON PURPOSE/)
    const decided = (await york.json<HeatLine[]>('volume', 'heat', 'vm')).find(({ start }) => start === document.start)?.decision
    assert.equal(decided?.to, 'sydney', decided?.explanation)
    const history = await york.json<{ reason: string; scope: string }[]>('lease', 'history')
    assert.ok(history.some(({ scope, reason }) => scope.startsWith('segment:') && /^blocks 8000 to 8015: moves to sydney/.test(reason)))
  })
})

/** Writes all over the system until it is told to stop; how often each part was written. */
async function runSystem(client: NbdClient, tookMs: number[], signal: AbortSignal): Promise<Map<number, number>> {
  const rounds = new Map<number, number>()
  for (let i = 0; !signal.aborted; i++) {
    const start = ((i * 7) % (system.blocks / system.step)) * system.step
    const round = (rounds.get(start) ?? 0) + 1
    tookMs.push(await timed(async () => client.write(start * blockBytes, contentOf(start, system.step, round))))
    rounds.set(start, round)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return rounds
}
