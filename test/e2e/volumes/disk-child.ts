/** Writes to the disk of a replica until it is killed, and says what was acknowledged: see disk.test.ts. */
import { seededRandom, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { openStore } from '../../../src/store/index.js'
import { blockBytes, createReplicaDisk, isWholeRow } from '../../../src/volumes/index.js'
import { blockOf, idOf, segmentsUsed } from './disk-world.js'

const [home = '', seed = '1'] = process.argv.slice(2)
const random = seededRandom(Number(seed))
const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home })
const disk = await createReplicaDisk(
  { log: await store.appendLog('volume-log', { isWhole: isWholeRow }), meta: store.meta('volumes'), clock: systemClock, journal: silentLog },
  { checkpointBytes: 200_000, unitBytesMax: 100_000, quietCheckpointBytes: 50_000, pauseMs: 5, bytesPerSecond: 1e9 },
)
void disk.run(new AbortController().signal)
const next: number[] = []
for (let segment = 0; segment < segmentsUsed; segment++) next.push((await disk.streamEnd(idOf(segment), 1)) + 1)
process.stdout.write('open\n')

async function one(): Promise<void> {
  for (;;) {
    const segment = random.below(segmentsUsed)
    const sequence = next[segment] ?? 1
    next[segment] = sequence + 1
    const { start, blocks } = blockOf(segment, sequence)
    const bytes = new Uint8Array(blocks * blockBytes).fill(sequence % 251)
    const refusal = await disk.append(idOf(segment), [{ start, blocks, token: 1, sequence, configuration: 1, content: 'data', bytes }])
    if (refusal !== undefined) throw new Error(refusal.type)
    process.stdout.write(`${String(segment)} ${String(sequence)}\n`)
    if (sequence % 16 === 0) await disk.settled(idOf(segment), 1, sequence - 8)
  }
}
await Promise.all(Array.from({ length: 8 }, one))
