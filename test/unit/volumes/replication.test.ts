import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { CommonError, messageOf, seededRandom } from '../../../src/base/index.js'
import { blockBytes, segmentBytes } from '../../../src/volumes/index.js'
import type { ReplicaDisk } from '../../../src/volumes/index.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { SimulatedNetwork } from '../../simulation/net-twin.js'
import { Machine, volumeId } from '../../simulation/volumes/machine.js'
import { RegisterTwin } from '../../simulation/volumes/register-twin.js'
import { spoil } from '../../simulation/volumes/spoiled-memory.js'

const id = { volume: volumeId, segment: 0 }
const oneWayMs = 20

/** Two machines, both replicas; every message between them takes the same time. */
class Pair {
  readonly clock = new VirtualClock()
  readonly random = seededRandom(1)
  readonly network: SimulatedNetwork
  readonly registers = new RegisterTwin(this.clock, this.random, [oneWayMs / 2, oneWayMs / 2])
  readonly machines: Machine[] = []
  /** Nodes whose disk takes no more data. */
  readonly full = new Set<NodeId>()
  readonly syncs: NodeId[] = []
  /** Whose disk was told what is settled. */
  readonly told: NodeId[] = []
  /** Copies that were given up or begun anew. */
  readonly begun: NodeId[] = []
  #failing: { readonly node: NodeId; readonly over: Promise<void> } | undefined
  /** How often a holder read back from its disk what it had to send. */
  readBack = 0

  constructor(delayMs = oneWayMs) {
    this.network = new SimulatedNetwork({ clock: this.clock, random: this.random }, { delayMs: [delayMs, delayMs], noticeMs: 200, redialMs: 10 })
  }

  readonly watch = (node: NodeId, disk: ReplicaDisk): ReplicaDisk => new Proxy(disk, {
    get: (target, name): unknown => {
      if (name === 'append') {
        return async (...parts: Parameters<ReplicaDisk['append']>) => {
          if (this.full.has(node)) throw new CommonError('NO_SPACE', 'the disk is full')
          return target.append(...parts)
        }
      }
      if (name === 'install') {
        return async (...parts: Parameters<ReplicaDisk['install']>) => {
          if (this.full.has(node)) throw new CommonError('NO_SPACE', 'the disk is full')
          return target.install(...parts)
        }
      }
      if (name === 'setWhole') {
        return async (...parts: Parameters<ReplicaDisk['setWhole']>) => {
          if (!parts[1]) this.begun.push(node)
          return target.setWhole(...parts)
        }
      }
      if (name === 'sync') {
        return async () => {
          this.syncs.push(node)
          const failing = this.#failing
          if (failing?.node !== node) return target.sync()
          this.#failing = undefined
          await failing.over
          throw new CommonError('UNAVAILABLE', 'the sync failed')
        }
      }
      if (name === 'entries') this.readBack++
      if (name === 'settled') this.told.push(node)
      const found: unknown = Reflect.get(target, name)
      return typeof found === 'function' ? (found.bind(target) as unknown) : found
    },
  })

  /** The next sync of a node's disk fails, when the function that is returned is called. */
  failSync(node: NodeId): () => void {
    let fail = (): void => undefined
    this.#failing = { node, over: new Promise((resolve) => { fail = resolve }) }
    return fail
  }

  async begin(inSyncMin: number): Promise<[Machine, Machine]> {
    for (let number = 0; number < 2; number++) {
      this.machines.push(new Machine(this, {
        number, replicas: 2, sizeBytes: segmentBytes, engine: { keepEveryMs: 500, replicaDeadlineMs: 900, operationDeadlineMs: 6_000, inSyncMin },
        places: (wanted, not) => this.machines.filter((machine) => machine.up && !not.includes(machine.id)).map((machine) => machine.id).slice(0, wanted),
      }))
    }
    for (const machine of this.machines) await this.run(machine.start())
    await this.clock.advance(300)
    return this.machines as [Machine, Machine]
  }

  async run<T>(promise: Promise<T>): Promise<T> {
    return this.clock.outcome(promise, 60_000)
  }

  async took(work: () => Promise<unknown>): Promise<number> {
    const startedMs = this.clock.monotonicMs()
    await this.run(work())
    return this.clock.monotonicMs() - startedMs
  }

  async contentOf(machine: Machine, blocks: number): Promise<Buffer> {
    const runs = await this.run(machine.disk!.read(id, { start: 0, blocks }))
    return Buffer.concat(runs.map((run) => (run.content === 'data' ? run.bytes : Buffer.alloc(run.blocks * blockBytes))))
  }
}

const filled = (byte: number, blocks: number): Uint8Array => new Uint8Array(blocks * blockBytes).fill(byte)

describe('volumes: replication', () => {
  it('a write costs no message, and a flush one round trip beside both syncs', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(2)
    await world.run(a.device!.write(0, filled(1, 4)))
    await world.run(a.device!.flush())
    assert.ok((await world.took(async () => a.device!.write(0, filled(2, 4)))) < 1)
    assert.ok((await world.took(async () => a.device!.flush())) < 2 * oneWayMs + 1)
    // What gathers without a flush goes by itself.
    await world.run(a.device!.write(0, filled(3, 4)))
    await world.clock.advance(100)
    assert.deepEqual(await world.contentOf(b, 4), Buffer.from(filled(3, 4)))
  })

  it('who flushes each write finds the syncs under way, and who stops doing so costs one in vain', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(2)
    const write = async (byte: number): Promise<void> => world.run(a.device!.write(0, filled(byte, 1)))
    const flushTookMs = async (): Promise<number> => {
      await world.clock.advance(oneWayMs)
      return world.took(async () => a.device!.flush())
    }
    for (let i = 1; i <= 3; i++) {
      await write(i)
      assert.ok((await flushTookMs()) >= 2 * oneWayMs, 'nobody knows yet that it comes')
    }
    await write(4)
    assert.ok((await flushTookMs()) < oneWayMs + 1, 'the message left with the write')
    await write(5)
    await world.clock.advance(4 * oneWayMs)
    assert.deepEqual(await world.contentOf(b, 1), Buffer.from(filled(5, 1)))
    // The client turns to something else: from its next write on nothing is synced before it asks.
    await write(6)
    world.syncs.length = 0
    for (let i = 7; i < 12; i++) await write(i)
    await world.clock.advance(200)
    assert.deepEqual(world.syncs, [])
    await world.run(a.device!.flush())
    assert.deepEqual(await world.contentOf(b, 1), Buffer.from(filled(11, 1)))
  })

  it('a flush that finds the sync under way waits for its end, and fails as it does', async () => {
    const world = new Pair()
    const [a] = await world.begin(1)
    for (let i = 1; i <= 3; i++) {
      await world.run(a.device!.write(0, filled(i, 1)))
      await world.run(a.device!.flush())
    }
    const failure = world.failSync(a.id)
    await world.run(a.device!.write(0, filled(4, 1)))
    const flushed = a.device!.flush().then(() => 'done', (error: unknown) => messageOf(error))
    await world.clock.advance(200)
    assert.equal(await Promise.race([flushed, Promise.resolve('waits')]), 'waits')
    failure()
    assert.equal(await world.run(flushed), 'the sync failed')
    await world.run(a.device!.flush())
  })

  it('a writer waits for a replica that keeps up, so that nothing is read back to be sent; and not for one that does not', async () => {
    const writeAll = async (world: Pair): Promise<number> => {
      const [a, b] = await world.begin(2)
      await world.run(a.device!.write(0, filled(1, 1)))
      const tookMs = await world.took(async () => Promise.all(Array.from({ length: 4 }, async (_, lane) => {
        for (let i = lane; i < 40; i += 4) await a.device!.write(i * 256 * blockBytes, filled(i + 1, 256))
      })))
      await world.clock.advance(30_000)
      assert.deepEqual((await world.contentOf(b, 40 * 256)).subarray(-blockBytes), Buffer.from(filled(40, 1)))
      return tookMs
    }
    const near = new Pair(0.1)
    await writeAll(near)
    assert.equal(near.readBack, 0)
    // A window of 256 KiB in 300 ms: a burst is written at home at once, and what is far behind is read back.
    const far = new Pair(150)
    const tookMs = await writeAll(far)
    assert.ok(tookMs < 600, `took ${tookMs.toFixed(0)} ms`)
    assert.ok(far.readBack > 0)
  })

  it('many messages are under way at once', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(2)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    // Ten messages of 1 MiB: one at a time they would take ten round trips.
    const writes = Array.from({ length: 10 }, async (_, i) => a.device!.write(i * 256 * blockBytes, filled(i + 1, 256)))
    await world.run(Promise.all(writes))
    const tookMs = await world.took(async () => a.device!.flush())
    // The simulated stream has a window of 256 KiB: a round trip for each is what it cannot do without.
    assert.ok(tookMs < 10 * 4 * 2 * oneWayMs + 4 * oneWayMs, `took ${tookMs.toFixed(0)} ms`)
    assert.deepEqual((await world.contentOf(b, 2560)).subarray(-blockBytes), Buffer.from(filled(10, 1)))
  })

  it('goes on where it was when the stream breaks in the middle', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(1)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    for (let i = 0; i < 6; i++) {
      await world.run(a.device!.write(i * 64 * blockBytes, filled(i + 2, 64)))
      world.network.partition([[a.id], [b.id]])
      await world.clock.advance(300)
      world.network.heal()
      await world.clock.advance(100)
    }
    await world.run(a.device!.flush())
    const expected = Buffer.concat([2, 3, 4, 5, 6, 7].map((byte) => filled(byte, 64)))
    assert.deepEqual(await world.contentOf(b, 384), expected)
  })

  it('what a message that failed was made of stays as it was, however often it is sent again', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(1)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    const open = a.node.bulk.open.bind(a.node.bulk)
    const sent: { readonly part: Uint8Array; readonly asItWas: Buffer }[] = []
    a.node.bulk.open = async (...parts) => {
      const stream = await open(...parts)
      return { ...stream, received: stream.received, abort: (error) => { stream.abort(error) }, closeSend: async () => stream.closeSend(), send: async (bytes) => {
        for (const part of bytes instanceof Uint8Array ? [bytes] : bytes) if (part.length > blockBytes) sent.push({ part, asItWas: Buffer.from(part) })
        return stream.send(bytes)
      } }
    }
    // Its stream breaks, and the next one is the recorded one.
    world.network.partition([[a.id], [b.id]])
    await world.clock.advance(300)
    world.network.heal()
    await world.clock.advance(100)
    await world.run(a.device!.write(0, filled(2, 64)))
    for (let i = 0; i < 50 && sent.length === 0; i++) await world.clock.advance(oneWayMs / 4)
    const failed = [...sent]
    assert.ok(failed.length > 0, 'it is on its way')
    world.network.partition([[a.id], [b.id]])
    await world.clock.advance(300)
    // It may stand in a socket.
    for (const { part, asItWas } of failed) assert.ok(asItWas.equals(part), 'while it is not known to have arrived')
    world.network.heal()
    await world.run(a.device!.flush())
    assert.ok(sent.length > failed.length, 'it was sent again')
    await world.run(a.device!.write(0, filled(3, 64)))
    await world.run(a.device!.flush())
    for (const { part, asItWas } of failed) assert.ok(asItWas.equals(part))
    assert.deepEqual(await world.contentOf(b, 64), Buffer.from(filled(3, 64)))
  })

  it('a replica that comes is sent what was written while there was nobody to send to, as it was written', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(1)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    b.crash(false)
    await world.run(a.device!.write(0, filled(2, 1)))
    await world.run(a.device!.flush())
    assert.equal(a.engine!.figures().replicasRemoved, 1)
    await world.run(b.start())
    for (let i = 0; i < 40; i++) {
      const bytes = filled(i + 3, 1)
      await world.run(a.device!.write(i * blockBytes, bytes))
      spoil(bytes)
      await world.clock.advance(100)
    }
    assert.equal(a.engine!.figures().replicasJoined, 1)
    await world.run(a.device!.flush())
    assert.deepEqual(await world.contentOf(b, 40), Buffer.concat(Array.from({ length: 40 }, (_, i) => filled(i + 3, 1))))
  })

  it('a replica that lacks what is settled and gone is brought up by a copy, with no flush to wait for it', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(1)
    for (let i = 1; i <= 3; i++) {
      await world.run(a.device!.write(i * blockBytes, filled(i, 1)))
      await world.run(a.device!.flush())
    }
    // Its disk loses what it had synced, and says so when it is sent what comes next.
    const [stream] = (await world.run(b.disk!.versions(id, { start: 1, blocks: 1 }))).map(({ version }) => version)
    await world.run(b.disk!.discard(id, stream!.token, 0))
    await world.run(a.device!.write(4 * blockBytes, filled(4, 1)))
    await world.clock.advance(8_000)
    assert.equal(a.engine!.figures().replicasJoined, 1)
    assert.deepEqual((await world.contentOf(b, 5)).subarray(blockBytes), Buffer.concat([1, 2, 3, 4].map((byte) => filled(byte, 1))))
    await world.run(a.device!.flush())
    assert.equal(a.engine!.figures().replicasRemoved, 1)
  })

  it('a flush waits and fails below the least number of copies, and goes on when they are there again', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(2)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    b.crash(false)
    await world.run(a.device!.write(0, filled(2, 1)))
    await assert.rejects(world.run(a.device!.flush()), (error: { code?: string }) => error.code === 'IO')
    // Not a write is lost by it, and none is refused.
    await world.run(a.device!.write(blockBytes, filled(3, 1)))
    assert.deepEqual(Buffer.from(await world.run(a.device!.read(0, 2 * blockBytes))), Buffer.concat([filled(2, 1), filled(3, 1)]))
    await world.run(b.start())
    await world.clock.advance(8_000)
    await world.run(a.device!.flush())
    assert.deepEqual(await world.contentOf(b, 2), Buffer.concat([filled(2, 1), filled(3, 1)]))
  })

  it('a full disk of the holder is told as that, and forgotten when there is room', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(1)
    await world.run(a.device!.write(0, filled(1, 1)))
    world.full.add(a.id)
    await assert.rejects(world.run(a.device!.write(0, filled(2, 1))), (error: { code?: string }) => error.code === 'NO_SPACE')
    // By way of another node, too.
    await assert.rejects(world.run(b.device!.write(0, filled(2, 1))), (error: { code?: string }) => error.code === 'NO_SPACE')
    assert.deepEqual(await world.run(a.device!.read(0, blockBytes)), filled(1, 1))
    world.full.delete(a.id)
    await world.run(a.device!.write(0, filled(3, 1)))
    await world.run(a.device!.flush())
    assert.deepEqual(await world.contentOf(b, 1), Buffer.from(filled(3, 1)))
  })

  it('a replica whose disk is full is left out, and comes back when there is room', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(1)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    world.full.add(b.id)
    await world.run(a.device!.write(0, filled(2, 1)))
    await world.run(a.device!.flush())
    assert.equal(a.engine!.figures().replicasRemoved, 1)
    world.full.delete(b.id)
    await world.clock.advance(10_000)
    await world.run(a.device!.write(blockBytes, filled(3, 1)))
    await world.run(a.device!.flush())
    assert.deepEqual(await world.contentOf(b, 2), Buffer.concat([filled(2, 1), filled(3, 1)]))
  })

  it('a replica that has no room for what it lacks is asked now and then, and not without a pause', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(1)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    world.full.add(b.id)
    await world.run(a.device!.write(0, filled(2, 1)))
    await world.run(a.device!.flush())
    await world.clock.advance(60_000)
    assert.ok(world.begun.length > 1 && world.begun.length < 20, `begun ${String(world.begun.length)} times`)
    world.full.delete(b.id)
    await world.clock.advance(40_000)
    assert.equal(a.engine!.figures().replicasJoined, 1)
    assert.deepEqual(await world.contentOf(b, 1), Buffer.from(filled(2, 1)))
  })

  it('a replica hears soon what a flush has settled, though nobody writes after it', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(2)
    await world.run(a.device!.write(0, filled(1, 100)))
    await world.run(a.device!.flush())
    await world.run(a.device!.trim(0, 100 * blockBytes))
    await world.run(a.device!.flush())
    await world.clock.advance(2_000)
    // What is not settled is kept, with what it overwrote.
    assert.deepEqual(await world.run(b.disk!.unsettled(id)), [])
    const told = world.told.length
    await world.clock.advance(20_000)
    assert.equal(world.told.length, told, 'and hears it once')
  })

  it('a write that waited for a hand-off suspects nobody when the news came first', async () => {
    const world = new Pair()
    const [a, b] = await world.begin(1)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    await world.run(b.device!.write(0, filled(2, 1)))
    const before = world.clock.monotonicMs()
    const moved = a.engine!.handOver(id, { start: 0, blocks: 16 }, b.id)
    const written = b.device!.write(0, filled(3, 1))
    assert.equal(await world.run(moved), true)
    const movedMs = world.clock.monotonicMs() - before
    await world.run(written)
    // The answer comes back one way after the move, and the write goes on at home.
    assert.ok(world.clock.monotonicMs() - before < movedMs + oneWayMs + 10, `waited ${(world.clock.monotonicMs() - before - movedMs).toFixed(0)} ms after the move`)
    await world.run(b.device!.flush())
    assert.deepEqual(await world.run(a.device!.read(0, blockBytes)), filled(3, 1))
  })

  it('what the policy knows of a volume goes with it', async () => {
    const world = new Pair()
    const [a] = await world.begin(1)
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.engine!.dropLocal(volumeId))
    assert.deepEqual(a.forgotten, [volumeId])
  })
})
