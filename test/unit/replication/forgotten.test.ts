import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { Forgotten } from '../../../src/replication/forgotten.js'
import { idOf } from '../../simulation/net-twin.js'
import { MemoryKeyValue } from '../../simulation/replication/twins.js'

describe('replication: forgotten nodes', () => {
  const disk = new Map<string, Uint8Array>()
  const open = async (): Promise<{ forgotten: Forgotten; nodes: Set<NodeId> }> => {
    const nodes = new Set<NodeId>()
    const forgotten = new Forgotten({ meta: new MemoryKeyValue(disk), nodes })
    await forgotten.load()
    return { forgotten, nodes }
  }

  it('stay forgotten over a restart, and are remembered when they are seen', async () => {
    const first = await open()
    await first.forgotten.add(idOf(1))
    await first.forgotten.add(idOf(2))
    assert.deepEqual([...first.nodes], [idOf(1), idOf(2)])
    const second = await open()
    assert.deepEqual([...second.nodes].sort(), [idOf(1), idOf(2)].sort())
    await second.forgotten.remove(idOf(1))
    await second.forgotten.remove(idOf(3))
    assert.deepEqual([...second.nodes], [idOf(2)])
    assert.deepEqual([...(await open()).nodes], [idOf(2)])
  })
})
