import assert from 'node:assert/strict'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import { serveAppends } from '../../../src/volumes/engine/append-service.js'
import { Replica } from '../../../src/volumes/engine/replica.js'
import { ReplicaLinks } from '../../../src/volumes/engine/replica-links.js'
import { blockBytes, createReplicaDisk } from '../../../src/volumes/index.js'
import type { LogEntry } from '../../../src/volumes/replica-types.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf, SimulatedNetwork } from '../../simulation/net-twin.js'
import { MemoryDatabase, MemorySlice } from './disk-store.js'

const id = { volume: '000102030405060708090a0b0c0d0e0f', segment: 0 }

describe('the replica\'s end of a stream', () => {
  it('a sync without entries tells the end with all that came before it, however slow the disk', async () => {
    const clock = new VirtualClock()
    const network = new SimulatedNetwork({ clock, random: seededRandom(1), log: silentLog })
    const [holder, node] = [network.node(idOf(1)), network.node(idOf(2))]
    const database = new MemoryDatabase()
    database.pause = async () => clock.sleep(50)
    const disk = await clock.outcome(createReplicaDisk({ log: new MemorySlice(database, Buffer.from('log')), meta: new MemorySlice(database, Buffer.from('meta')), clock, journal: silentLog }))
    const replica = new Replica({ disk, rpc: node.rpc, clock, log: silentLog, isJoining: async () => Promise.resolve(false) })
    serveAppends(node.bulk, replica)
    await clock.outcome(replica.fence(id, [{ start: 0, blocks: 16, token: 1 }], 0, { create: true }))
    await clock.until(() => holder.isConnected(node.self), 10_000, 'they are connected')

    const link = new ReplicaLinks({ bulk: holder.bulk, clock, log: silentLog }).to(node.self)
    const entry = (sequence: number): LogEntry => ({ token: 1, sequence, configuration: 0, start: sequence, blocks: 1, content: 'data', bytes: new Uint8Array(blockBytes).fill(sequence) })
    const common = { id, token: 1, configuration: 0, settled: 0 }
    const answers = await clock.outcome(Promise.all([
      link.append({ ...common, entries: [entry(1), entry(2)], sync: false }),
      link.append({ ...common, entries: [entry(3)], sync: false }),
      link.append({ ...common, entries: [], sync: true }),
    ]))
    assert.deepEqual(answers.map(({ end, refusal }) => [end, refusal]), [[2, undefined], [3, undefined], [3, undefined]])
    link.close()
  })
})
