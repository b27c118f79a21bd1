import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { eventually, someBytes, World } from '../harness.js'
import type { TestNode } from '../harness.js'
import { installed, tellMissing } from './clients.js'
import { NbdClient } from './nbd-client.js'

const anyPort = { env: { MESH_NODE_VOLUMES_NBD_LISTEN: '127.0.0.1:0' } }
const blockBytes = 4096
const blocks = 512

/** A block that says which write it is of. */
function block(index: number, round: number): Buffer {
  const bytes = someBytes(blockBytes, index * 100_003 + round + 1)
  bytes.writeUInt32LE(index, 0)
  bytes.writeUInt32LE(round, 4)
  return bytes
}

describe('the node that writes a volume is killed', function () {
  this.timeout(120_000)
  let world: World
  let nodes: TestNode[]

  before(async () => {
    world = new World()
    const a = await world.start('a', anyPort)
    nodes = [a, await world.join('b', a, anyPort), await world.join('c', a, anyPort)]
    await eventually(async () => (await a.status()).voters.length === 3, 'three voters', 40_000)
  })
  after(async () => {
    await world.close()
    tellMissing()
  })

  it('under fio with flushes: the next holder has all that a flush has acknowledged, and of later writes none in part', async () => {
    const [a, b, c] = nodes as [TestNode, TestNode, TestNode]
    await a.json('volume', 'create', 'vm', '--size', '64MiB')
    const { uri } = await a.json<{ uri: string }>('volume', 'export', 'vm', '--detach')
    const client = await NbdClient.connect(uri)
    // Load beside it, in other blocks of the same segment.
    const load = (await installed('fio'))
      ? spawn('fio', ['--name=load', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bs=4k', '--iodepth=8', '--offset=32m', '--size=16m', '--time_based', '--runtime=60', '--fsync=16'], { cwd: world.folder, stdio: 'ignore' })
      : undefined
    /** By block: the last write that a flush covers, and the last that was begun. */
    const flushed = new Map<number, number>()
    const begun = new Map<number, number>()
    let flushes = 0
    const writing = (async () => {
      for (let round = 1; ; round++) {
        const indices = Array.from({ length: 16 }, (_, i) => (round * 37 + i * 29) % blocks)
        for (const index of indices) begun.set(index, round)
        await Promise.all(indices.map(async (index) => client.write(index * blockBytes, block(index, round))))
        await client.flush()
        for (const index of indices) flushed.set(index, round)
        flushes++
      }
    })()
    const ended = writing.catch(() => undefined)
    await eventually(() => flushes >= 100, 'a hundred flushes', 40_000)
    // The last writes reach nobody else: a flush of them must not be acknowledged, or it would be lost now.
    for (const node of [b, c]) node.signal('SIGSTOP')
    const [before, frozenMs] = [flushes, performance.now()]
    await eventually(() => performance.now() - frozenMs > 700, 'some more writes')
    const meanwhile = flushes - before
    await a.kill()
    for (const node of [b, c]) node.signal('SIGCONT')
    await ended
    assert.ok(meanwhile <= 1, `${String(meanwhile)} flushes were acknowledged by a node that reaches no other`)
    load?.kill('SIGKILL')
    const killedMs = performance.now()
    const there = await b.json<{ uri: string }>('volume', 'export', 'vm', '--detach')
    const next = await NbdClient.connect(there.uri)
    const first = await next.read(0, blockBytes)
    console.log(`      (${String(flushes)} flushes; the next holder served its first read ${((performance.now() - killedMs) / 1000).toFixed(1)} s after the kill)`)
    assert.ok(first.length === blockBytes)
    for (let index = 0; index < blocks; index++) {
      const bytes = await next.read(index * blockBytes, blockBytes)
      const [least, most] = [flushed.get(index) ?? 0, begun.get(index) ?? 0]
      const round = bytes.readUInt32LE(4)
      assert.ok(round >= least && round <= most, `block ${String(index)} is of write ${String(round)}, not of ${String(least)} to ${String(most)}`)
      const expected = round === 0 ? Buffer.alloc(blockBytes) : block(index, round)
      assert.equal(Buffer.compare(bytes, expected), 0, `block ${String(index)} is whole`)
    }
    // And it is a disk as before: written, flushed, read, with two nodes left.
    await next.write(0, block(0, 1_000_000))
    await next.flush()
    assert.equal((await next.read(0, blockBytes)).readUInt32LE(4), 1_000_000)
    next.close()
  })

  it('comes back, and reads through its own export what the next holder wrote', async () => {
    const [a, b] = nodes as [TestNode, TestNode]
    await a.start()
    const holders = async (): Promise<Set<string>> => new Set((await b.json<{ holder: string }[]>('volume', 'leases', 'vm')).map(({ holder }) => holder))
    assert.deepEqual([...(await holders())], [(await b.status()).peerId])
    await b.json('volume', 'unexport', 'vm')
    // The export that the killed node remembered is there again, and reads what the next holder wrote.
    await eventually(async () => (await a.json<{ exports: { ready: boolean }[] }>('volume', 'stat', 'vm')).exports[0]?.ready === true, 'the export to be back')
    const [exported] = (await a.json<{ exports: { uri: string }[] }>('volume', 'stat', 'vm')).exports
    const client = await NbdClient.connect(exported?.uri ?? '')
    assert.equal((await client.read(0, blockBytes)).readUInt32LE(4), 1_000_000)
    client.close()
  })

  it('is cut off while its volume is removed: it says nothing of that volume any more, and the next of its name has nothing of it', async () => {
    const [a, b] = nodes as [TestNode, TestNode]
    await a.json('volume', 'create', 'gone', '--size', '64MiB')
    const { uri } = await a.json<{ uri: string }>('volume', 'export', 'gone', '--detach')
    const client = await NbdClient.connect(uri)
    await client.write(0, someBytes(1024 * 1024, 1))
    await client.flush()
    await client.write(0, block(0, 1))
    assert.notEqual((await b.run('volume', 'rm', 'gone')).code, 0, 'it is in use')
    a.signal('SIGSTOP')
    await eventually(async () => (await b.run('volume', 'rm', 'gone')).code === 0, 'the volume to be removed', 60_000)
    a.signal('SIGCONT')
    await assert.rejects(client.flush())
    await assert.rejects(client.write(0, block(0, 2)))
    await assert.rejects(client.read(0, blockBytes))
    client.close()
    assert.ok(!(await a.json<{ name: string }[]>('volume', 'ls')).some(({ name }) => name === 'gone'))
    // Another of that name has nothing of it.
    await a.json('volume', 'create', 'gone', '--size', '64MiB')
    const next = await NbdClient.connect((await a.json<{ uri: string }>('volume', 'export', 'gone', '--detach')).uri)
    assert.deepEqual(await next.read(0, blockBytes), Buffer.alloc(blockBytes))
    next.close()
  })
})
