// The right to write follows the writer: three nodes in three regions, 200 ms apart (the delay is made in the nodes), a
// volume whose blocks are New York's, and a writer in Sydney. What a write takes there over time, what a hand-off takes in
// round trips, and what a write takes afterwards beside one that never had to move.
//   npm run bench -- migration [--json] [--hand-offs 8] [--writes 300]
import { connected, blockBytes, contentOf, median, roundTripMs, threeRegions, timed } from '../../test/e2e/volumes/three-regions.js'
import { World } from '../../test/e2e/harness.js'

const json = process.argv.includes('--json')
const option = (name: string, otherwise: number): number => {
  const at = process.argv.indexOf(`--${name}`)
  return at < 0 ? otherwise : Number(process.argv[at + 1])
}
const handOffs = option('hand-offs', 8)
const writes = option('writes', 300)
/** Blocks of one document: 64 KiB. */
const documentBlocks = 16
/** Of the hand-offs with much to carry: 1 MiB, not flushed. */
const dirtyBlocks = 256
const slowMs = roundTripMs / 2

/** `goal`: at most so much; of the value, or of how many times the peer's it is. */
function report(name: string, value: number, unit: string, { peers = {}, goal }: { peers?: Record<string, number>; goal?: number } = {}): void {
  const [peer] = Object.entries(peers)
  const ratio = peer === undefined ? undefined : value / peer[1]
  if (json) {
    console.log(JSON.stringify({ name, value, unit, peers, ratio: ratio ?? null, goal: goal ?? null }))
    return
  }
  const beside = peer === undefined ? '' : `   beside: ${peer[0]} ${peer[1].toFixed(2)}   (${(ratio ?? 0).toFixed(2)}x)`
  console.log(`${name.padEnd(58)} ${value.toFixed(2).padStart(9)} ${unit}${beside}${goal === undefined ? '' : `   goal: at most ${goal.toFixed(1)}${ratio === undefined ? '' : 'x'}`}`)
}

/**
 * From the first write to the first fast one, in round trips: what a writer waits in all for blocks to come to it, the
 * slow writes that it takes to be believed included.
 */
interface Arrival {
  readonly slowWrites: number
  readonly waitedMs: number
  /** What the write that waited for the hand-off took beyond what a remote write takes anyway. */
  readonly handOffMs: number
}

const world = new World()
try {
  const { york, sydney } = await threeRegions(world)
  await york.json('volume', 'create', 'vm', '--size', '256MiB')
  const [there, here] = [await connected(york, 'vm'), await connected(sydney, 'vm')]
  await there.write(0, contentOf(0, 1, 0))
  await there.flush()

  const follow = async (start: number, blocks: number): Promise<Arrival> => {
    const took: number[] = []
    while (took.length < 30 && !(took.length > 0 && (took.at(-1) ?? 0) < slowMs)) {
      took.push(await timed(async () => here.write(start * blockBytes, contentOf(start, blocks, took.length))))
    }
    const slow = took.filter((ms) => ms >= slowMs)
    if (!json) console.log(`  writes of ${String(blocks * 4)} KiB from Sydney, ms: ${took.map((ms) => ms.toFixed(0)).join(' ')}`)
    return { slowWrites: slow.length, waitedMs: slow.reduce((sum, ms) => sum + ms, 0), handOffMs: Math.max(...slow) - Math.min(...slow) }
  }

  const small: Arrival[] = []
  for (let i = 0; i < handOffs; i++) small.push(await follow(1000 + i * 100, documentBlocks))
  const large: Arrival[] = []
  // What Sydney wrote by way of New York is New York's to flush or to carry.
  for (let i = 0; i < Math.min(7, handOffs); i++) large.push(await follow(8192 + i * 1024, dirtyBlocks))
  report('slow writes before 64 KiB are local, median', median(small.map(({ slowWrites }) => slowWrites)), 'writes', { goal: 5 })
  report('waited for 64 KiB to become local, all slow writes', median(small.map(({ waitedMs }) => waitedMs)) / roundTripMs, 'round trips')
  report('a hand-off, as a writer sees it, 64 KiB', median(small.map(({ handOffMs }) => handOffMs)) / roundTripMs, 'round trips')
  // Its bytes' way is in it: a mebibyte takes some tens of milliseconds through both nodes, a tenth of a round trip or two.
  report('the same with 1 MiB to carry, its transfer included', median(large.map(({ handOffMs }) => handOffMs)) / roundTripMs, 'round trips', { goal: 2.5 })
  // What it takes by itself; the rest is syncs and a machine with three nodes that others use, too.
  report('the quickest of these', Math.min(...large.map(({ handOffMs }) => handOffMs)) / roundTripMs, 'round trips', { goal: 2.5 })

  // Steady state: the same writes at both ends, in turns, so that a busy moment of the machine meets both.
  const [far, near]: [number[], number[]] = [[], []]
  for (let i = 0; i < writes; i++) {
    const turns = [
      async () => near.push(await timed(async () => there.write(0, contentOf(0, 1, i)))),
      async () => far.push(await timed(async () => here.write(1000 * blockBytes, contentOf(1000, 1, i)))),
    ]
    // Each is first as often as the other: the second finds the machine busy with what the first set off.
    for (const turn of i % 2 === 0 ? turns : turns.reverse()) await turn()
  }
  report('a 4 KiB write in Sydney, blocks moved there, median', median(far), 'ms', { peers: { 'in New York, never moved': median(near) }, goal: 1.2 })
  there.close()
  here.close()
} finally {
  await world.close()
}
