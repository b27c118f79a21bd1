import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { seededRandom, silentLog } from '../../../src/base/index.js'
import { blockBytes, segmentBytes } from '../../../src/volumes/index.js'
import type { ReplicaDisk } from '../../../src/volumes/index.js'
import { decodeSegment, encodeId, toWire } from '../../../src/volumes/engine/codec.js'
import { Replica } from '../../../src/volumes/engine/replica.js'
import { ask, verbs } from '../../../src/volumes/engine/verbs.js'
import { inherit } from '../../../src/volumes/segment.js'
import type { Segment } from '../../../src/volumes/segment.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { SimulatedNetwork } from '../../simulation/net-twin.js'
import { Machine, volumeId } from '../../simulation/volumes/machine.js'
import { RegisterTwin } from '../../simulation/volumes/register-twin.js'

const id = { volume: volumeId, segment: 0 }

/** Machines in a simulated network, with faults at the places where a test wants them. */
class World {
  readonly clock = new VirtualClock()
  readonly random = seededRandom(1)
  readonly network = new SimulatedNetwork({ clock: this.clock, random: this.random }, { delayMs: [1, 3], noticeMs: 200, redialMs: 10 })
  readonly registers = new RegisterTwin(this.clock, this.random, [1, 3])
  readonly machines: Machine[] = []
  /** No new copies go there. */
  readonly full = new Set<NodeId>()

  /** What a node's disk is to append waits for it. */
  readonly slow = new Map<NodeId, Promise<void>>()

  /** A node's disk fences when this is over. */
  readonly unfenced = new Map<NodeId, Promise<void>>()

  /** Called when a node's disk is asked what versions it has. */
  readonly asked = new Map<NodeId, () => void>()

  readonly watch = (node: NodeId, disk: ReplicaDisk): ReplicaDisk => new Proxy(disk, {
    get: (target, name): unknown => {
      if (name === 'append') return async (...parts: Parameters<ReplicaDisk['append']>) => this.slow.get(node)?.then(async () => target.append(...parts)) ?? target.append(...parts)
      if (name === 'fence') return async (...parts: Parameters<ReplicaDisk['fence']>) => this.unfenced.get(node)?.then(async () => target.fence(...parts)) ?? target.fence(...parts)
      if (name === 'versions') this.asked.get(node)?.()
      const found: unknown = Reflect.get(target, name)
      return typeof found === 'function' ? (found.bind(target) as unknown) : found
    },
  })

  async begin(count: number, replicas: number, replicaDeadlineMs = 900): Promise<Machine[]> {
    for (let number = 0; number < count; number++) {
      this.machines.push(new Machine(this, {
        number, replicas, sizeBytes: segmentBytes, engine: { keepEveryMs: 500, replicaDeadlineMs, inSyncMin: 1 },
        places: (wanted, not) => this.machines.filter((machine) => machine.up && !this.full.has(machine.id) && !not.includes(machine.id)).map((machine) => machine.id).slice(0, wanted),
      }))
    }
    for (const machine of this.machines) await this.run(machine.start())
    await this.clock.advance(100)
    return this.machines
  }

  cut(a: NodeId, b: NodeId): void {
    this.network.block(a, b)
    this.network.block(b, a)
  }

  async run<T>(promise: Promise<T>, limitMs = 60_000): Promise<T> {
    return this.clock.outcome(promise, limitMs)
  }
}

function filled(byte: number, blocks: number): Uint8Array {
  return new Uint8Array(blocks * blockBytes).fill(byte)
}

describe('volumes: engine, rare courses', () => {
  it('a node that was left out of the replicas and did not hear of it keeps nothing of a range that it is handed', async () => {
    const world = new World()
    const [a, b] = (await world.begin(3, 2)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 400)))
    await world.run(a.device!.flush())
    assert.equal(await world.run(Promise.resolve(b.disk!.isWhole(id))), true)
    world.cut(a.id, b.id)
    world.full.add(b.id)
    await world.run(a.device!.write(0, filled(2, 200)))
    await world.run(a.device!.flush())
    // What goes along with a hand-off: so many blocks were written later.
    await world.run(a.device!.write(200 * blockBytes, filled(3, 200)))
    await world.run(a.device!.flush())
    world.network.heal()
    await world.clock.advance(1_000)
    assert.equal(await world.run(a.engine!.handOver(id, { start: 0, blocks: 400 }, b.id)), true)
    await world.run(b.device!.write(399 * blockBytes, filled(4, 1)))
    assert.equal(b.engine!.figures().writesLocal, 1)
    assert.deepEqual(await world.run(b.device!.read(0, 4)), Uint8Array.of(2, 2, 2, 2))
  })

  it('a hand-off of unknown outcome gives back what was given up, and nothing beside it', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 2, 4_000)) as [Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 20)))
    await world.run(a.device!.flush())
    // The voters do not hear the proposal, and this node does not know that.
    world.clock.setTimer(8, () => world.registers.deaf.add(a.id))
    const handed = world.run(a.engine!.handOver(id, { start: 10, blocks: 2 }, b.id))
    assert.equal(await handed, false)
    assert.equal(a.engine!.figures().handOffsFailed, 1)
    world.registers.deaf.clear()
    await world.clock.advance(2_000)
    // On its way to the other replica under the old token, while a write that touches what was given up takes a new one.
    let open = (): void => undefined
    world.slow.set(b.id, new Promise((resolve) => { open = resolve }))
    await world.run(a.device!.write(8 * blockBytes, filled(2, 2)))
    await world.clock.advance(50)
    const spanning = a.device!.write(8 * blockBytes, filled(3, 3))
    await world.clock.advance(300)
    world.slow.delete(b.id)
    open()
    await world.run(spanning)
    await world.run(a.device!.write(10 * blockBytes, filled(4, 1)))
    await world.run(a.device!.flush())
    const { replicasRemoved } = a.engine!.figures()
    assert.equal(replicasRemoved, 0)
    for (const machine of [a, b]) {
      const runs = await world.run(machine.disk!.read(id, { start: 7, blocks: 5 }))
      assert.deepEqual(Buffer.concat(runs.map((run) => run.bytes)).filter((_byte, i) => i % blockBytes === 0), Buffer.from([1, 3, 3, 4, 1]))
    }
  })

  it('a node that was handed a range and never heard of it is told by whoever asks it', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 2)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 8)))
    await world.run(a.device!.flush())
    // It happens, and its proposer is not told.
    world.registers.answersLostRatio = 1
    assert.equal(await world.run(a.engine!.handOver(id, { start: 2, blocks: 2 }, b.id)), false)
    world.registers.answersLostRatio = 0
    assert.deepEqual(await world.run(c.device!.read(2 * blockBytes, 4)), Uint8Array.of(1, 1, 1, 1))
    await world.run(a.device!.write(2 * blockBytes, filled(2, 1)))
    await world.run(a.device!.flush())
    assert.equal(a.engine!.figures().writesProxied, 1)
    assert.deepEqual(await world.run(b.device!.read(2 * blockBytes, 4)), Uint8Array.of(2, 2, 2, 2))
  })

  it('a flush waits for a write that was taken under a token that its writer has not heard of', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 1)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 8)))
    assert.equal(await world.run(a.engine!.handOver(id, { start: 0, blocks: segmentBytes / blockBytes }, b.id)), true)
    assert.deepEqual(await world.run(c.device!.read(0, 1)), Uint8Array.of(1))
    b.crash(false)
    await world.run(b.start())
    await world.clock.advance(100)
    await world.run(b.device!.read(0, 1))
    world.slow.set(a.id, new Promise(() => undefined))
    await world.run(c.device!.write(0, filled(2, 2)))
    assert.equal(c.engine!.figures().writesProxied, 1)
    await assert.rejects(world.run(c.device!.flush()), { code: 'IO' })
  })

  it('streams of holders that died, or handed over, are settled to their ends on all disks', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 3)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 8)))
    await world.run(a.device!.flush())
    // The last that a flush covers is told to replicas with what is written next; here nothing is.
    assert.equal(await world.run(a.engine!.handOver(id, { start: 0, blocks: segmentBytes / blockBytes }, b.id)), true)
    await world.run(b.device!.write(0, filled(2, 4)))
    await world.clock.advance(50)
    b.crash(false)
    assert.deepEqual(await world.run(c.device!.read(0, 8 * blockBytes)), Uint8Array.from(Buffer.concat([filled(2, 4), filled(1, 4)])))
    await world.run(c.device!.write(0, filled(3, 1)))
    await world.run(c.device!.flush())
    await world.run(b.start())
    await world.run(b.device!.read(0, 1))
    await world.clock.advance(3_000)
    const segment = decodeSegment(world.registers.registers.get(`segment:${volumeId}/0`)!.value!.payload)
    assert.deepEqual(segment.replicas.length, 3)
    const held = new Set(segment.ranges.entries.map((entry) => entry.value.token))
    for (const machine of [a, b, c]) {
      const left = await world.run(machine.disk!.unsettled(id))
      assert.deepEqual(left.filter(({ token }) => !held.has(token)), [])
    }
  })

  it('a segment that nobody uses is given its copies again when its holder stays away, and not at once', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 2)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 8)))
    await world.run(a.device!.flush())
    const segment = (): Segment => decodeSegment(world.registers.registers.get(`segment:${volumeId}/0`)!.value!.payload)
    assert.deepEqual(segment().replicas, [a.id, b.id].sort())
    const { version } = segment()
    a.crash(false)
    await world.clock.advance(300_000)
    assert.equal(segment().version, version)
    await world.clock.until(() => segment().replicas.length === 2 && segment().replicas.includes(c.id), 600_000)
    assert.equal(b.engine!.figures().recoveries, 1)
    b.crash(false)
    assert.deepEqual(await world.run(c.device!.read(0, 8 * blockBytes)), filled(1, 8))
  })

  it('a write of several entries whose answer was lost is not done again by the next holder', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 2)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 8)))
    await world.run(a.device!.flush())
    await world.run(b.device!.read(0, 1))
    world.network.block(a.id, b.id)
    // Two edges and what is between them.
    const zeroes = b.device!.writeZeroes(blockBytes / 2, 3 * blockBytes)
    await world.clock.advance(100)
    world.cut(a.id, b.id)
    assert.equal(await world.run(a.engine!.handOver(id, { start: 0, blocks: 8 }, c.id)), true)
    await world.run(c.device!.write(0, filled(9, 8)))
    await world.run(zeroes)
    assert.deepEqual(await world.run(c.device!.read(0, 4 * blockBytes)), filled(9, 4))
  })

  it('requests that wait for a segment to be taken up have it together, and number their writes in one stream', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 2)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 4)))
    await world.run(a.device!.flush())
    a.crash(false)
    await world.run(a.start())
    await world.clock.advance(20)
    const value = toWire(decodeSegment(world.registers.registers.get(`segment:${volumeId}/0`)!.value!.payload))
    await world.run(ask(world.network.node(b.id).rpc, a.id, verbs.news, { segment: encodeId(id), value }, { deadlineMs: 1_000 }))
    // Longer than it takes until what nobody uses is let go of.
    let fence = (): void => undefined
    world.unfenced.set(a.id, new Promise((resolve) => { fence = resolve }))
    const first = b.device!.write(0, filled(2, 1))
    await world.clock.advance(1_500)
    const second = c.device!.write(blockBytes, filled(3, 1))
    await world.clock.advance(100)
    let append = (): void => undefined
    world.slow.set(a.id, new Promise((resolve) => { append = resolve }))
    world.unfenced.delete(a.id)
    fence()
    await world.clock.advance(100)
    world.slow.delete(a.id)
    append()
    await world.run(first)
    await world.run(second)
    await world.run(b.device!.flush())
    await world.run(c.device!.flush())
    for (const machine of [a, b]) {
      const runs = await world.run(machine.disk!.read(id, { start: 0, blocks: 3 }))
      assert.deepEqual(Buffer.concat(runs.map((run) => run.bytes)).filter((_byte, i) => i % blockBytes === 0), Buffer.from([2, 3, 1]))
    }
  })

  it('a replica that was brought up to the end of a dead stream is still one', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 3)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 8)))
    await world.run(a.device!.flush())
    world.slow.set(c.id, new Promise(() => undefined))
    await world.run(a.device!.write(0, filled(2, 4)))
    await world.clock.advance(50)
    a.crash(true)
    world.slow.delete(c.id)
    assert.deepEqual(await world.run(b.device!.read(0, 4 * blockBytes)), filled(2, 4))
    assert.equal(b.engine!.figures().recoveries, 1)
    const removed = b.engine!.figures().replicasRemoved
    assert.deepEqual(await world.run(Promise.resolve(c.disk!.isWhole(id))), true)
    await world.run(b.device!.write(0, filled(3, 2)))
    await world.run(b.device!.flush())
    assert.equal(b.engine!.figures().replicasRemoved, removed)
  })

  it('a recovery goes on with the replica that is behind when the one ahead of it dies in the copying', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 3)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 8)))
    await world.run(a.device!.flush())
    world.slow.set(c.id, new Promise(() => undefined))
    await world.run(a.device!.write(0, filled(2, 4)))
    await world.clock.advance(50)
    a.crash(true)
    world.slow.delete(c.id)
    world.asked.set(b.id, () => {
      world.asked.clear()
      b.crash(true)
    })
    assert.deepEqual(await world.run(c.device!.read(0, 8 * blockBytes)), filled(1, 8))
    assert.equal(c.engine!.figures().recoveries, 1)
    assert.equal(b.up, false)
  })
})

describe('volumes: a replica that is told by somebody who was overtaken', () => {
  it('takes no end of a dead stream from a taker after the next one fenced it', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 3)) as [Machine, Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 8)))
    await world.run(a.device!.flush())
    world.slow.set(c.id, new Promise(() => undefined))
    await world.run(a.device!.write(0, filled(2, 4)))
    await world.clock.advance(50)
    const before = decodeSegment(world.registers.registers.get(`segment:${volumeId}/0`)!.value!.payload)
    const [dead] = before.ranges.entries
    a.crash(true)
    // The first taker saw that this replica has more, and stood still then. The second does not hear of it, and is served.
    const taken = inherit(before, dead!.value.session, dead!.value.token, { node: b.id, incarnation: '00112233445566778899aabbccddeeff', epoch: 1 })
    assert.equal(taken.type, 'changed')
    world.cut(b.id, c.id)
    world.slow.delete(c.id)
    assert.deepEqual(await world.run(c.device!.read(0, 8 * blockBytes)), filled(1, 8))
    c.crash(false)
    await world.run(c.start())
    assert.deepEqual(await world.run(c.device!.read(0, 8 * blockBytes)), filled(1, 8))
    world.network.heal()
    await world.clock.advance(500)
    const answer = await world.run(ask(b.node.rpc, c.id, verbs.copy, {
      segment: encodeId(id), from: b.id, value: toWire(taken.segment), ranges: [{ start: 0, blocks: 16_384 }], cuts: [{ token: dead!.value.token, sequence: 2 }], join: false,
    }, { deadlineMs: 20_000 }))
    assert.equal(answer.done, false)
    assert.deepEqual(await world.run(c.device!.read(0, 8 * blockBytes)), filled(1, 8))
  })

  it('gives up no copy that counts by now, by word of a holder that knows only that it was joining', async () => {
    const world = new World()
    const [a, b, c] = (await world.begin(3, 2)) as [Machine, Machine, Machine]
    world.full.add(b.id).add(c.id)
    await world.run(a.device!.write(0, filled(1, 8)))
    await world.run(a.device!.flush())
    let joining: Segment | undefined
    world.registers.onChosen = (_scope, value) => {
      const segment = decodeSegment(value.payload)
      if (segment.joining.includes(b.id)) joining = segment
    }
    world.full.delete(b.id)
    await world.clock.until(() => decodeSegment(world.registers.registers.get(`segment:${volumeId}/0`)!.value!.payload).replicas.includes(b.id), 10_000)
    await world.clock.advance(500)
    const late = { segment: encodeId(id), from: a.id, value: toWire(joining!), ranges: [], cuts: [], join: true }
    assert.notEqual((await world.run(ask(c.node.rpc, b.id, verbs.copy, late, { deadlineMs: 20_000 }))).refusal, undefined)
    assert.equal(await world.run(Promise.resolve(b.disk!.isWhole(id))), true)
    // Nor when it has forgotten all of that.
    b.crash(false)
    await world.run(b.start())
    await world.clock.advance(100)
    assert.notEqual((await world.run(ask(c.node.rpc, b.id, verbs.copy, late, { deadlineMs: 20_000 }))).refusal, undefined)
    assert.equal(await world.run(Promise.resolve(b.disk!.isWhole(id))), true)
    // Nor by word of a later joining that the register knows nothing of.
    const other = { ...late, value: toWire({ ...joining!, configuration: joining!.configuration + 3 }) }
    assert.notEqual((await world.run(ask(c.node.rpc, b.id, verbs.copy, other, { deadlineMs: 20_000 }))).refusal, undefined)
    assert.equal(await world.run(Promise.resolve(b.disk!.isWhole(id))), true)
  })

  it('goes on with a joining whatever is said of an earlier configuration', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 1)) as [Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    const segment = decodeSegment(world.registers.registers.get(`segment:${volumeId}/0`)!.value!.payload)
    const disk = b.disk!
    let givenUp = 0
    const watched = new Proxy(disk, { get: (target, name): unknown => {
      const found: unknown = Reflect.get(target, name)
      if (typeof found !== 'function') return found
      return (...parts: unknown[]): unknown => {
        if (name === 'setWhole' && parts[1] === false) givenUp++
        return (found as (...parts: unknown[]) => unknown).apply(target, parts)
      }
    } })
    const replica = new Replica({
      disk: watched, clock: world.clock, log: silentLog, isJoining: async () => true,
      rpc: { register: () => undefined, request: async () => verbs.fetch.answer.encode({ runs: [], ends: [], origins: [] }) },
    })
    const options = { ranges: [], cuts: [], join: true, waitMs: 1_000 }
    const now = { ...segment, configuration: segment.configuration + 3 }
    assert.equal((await world.run(replica.copy(id, a.id, now, options))).done, true)
    assert.equal(givenUp, 1)
    // Whoever asked may be about to make it count.
    assert.equal((await world.run(replica.copy(id, a.id, { ...segment, configuration: segment.configuration + 1 }, options))).refused, 'FENCED')
    assert.equal((await world.run(replica.copy(id, a.id, now, options))).done, true)
    assert.equal(await world.run(replica.leave(id, segment.configuration + 2)), false)
    assert.equal(givenUp, 1)
    assert.equal(await world.run(Promise.resolve(disk.isWhole(id))), true)
  })

  it('begins no joining anew that an earlier process may have ended, and a later one it does', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 1)) as [Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    const segment = decodeSegment(world.registers.registers.get(`segment:${volumeId}/0`)!.value!.payload)
    await world.run(b.disk!.setWhole(id, true))
    const replica = new Replica({
      disk: b.disk!, clock: world.clock, log: silentLog, isJoining: async () => true,
      rpc: { register: () => undefined, request: async () => verbs.fetch.answer.encode({ runs: [], ends: [], origins: [] }) },
    })
    const options = { ranges: [], cuts: [], join: true, waitMs: 1_000 }
    const first = { ...segment, configuration: segment.configuration + 1 }
    for (let i = 0; i < 2; i++) {
      assert.equal((await world.run(replica.copy(id, a.id, first, options))).refused, 'FENCED')
      assert.equal(await world.run(Promise.resolve(b.disk!.isWhole(id))), true)
    }
    assert.equal((await world.run(replica.copy(id, a.id, { ...segment, configuration: segment.configuration + 3 }, options))).done, true)
  })

  it('copies from no replica that has less of a stream than it claims itself', async () => {
    const world = new World()
    const [a, b] = (await world.begin(2, 1)) as [Machine, Machine]
    await world.run(a.device!.write(0, filled(1, 1)))
    await world.run(a.device!.flush())
    const segment = decodeSegment(world.registers.registers.get(`segment:${volumeId}/0`)!.value!.payload)
    const { token } = segment.ranges.entries[0]!.value
    let end = 5
    const replica = new Replica({
      disk: b.disk!, clock: world.clock, log: silentLog, isJoining: async () => true,
      // The first replica goes away after it told how far it has the stream; the second has less of it.
      rpc: { register: () => undefined, request: async (_peer, _name, body) => {
        const asked = verbs.fetch.request.decode(body)
        if (end === 5 && asked.tokens.length === 0) throw new Error('gone')
        return verbs.fetch.answer.encode({ runs: [], ends: asked.tokens.length === 0 ? [] : [{ token, sequence: end }], origins: [] })
      } },
    })
    const options = { ranges: [], cuts: [], join: true, waitMs: 1_000 }
    const first = { ...segment, configuration: segment.configuration + 1 }
    assert.equal((await world.run(replica.copy(id, a.id, first, options))).done, false)
    end = 1
    const second = { ...segment, configuration: segment.configuration + 2 }
    assert.equal((await world.run(replica.copy(id, a.id, second, options))).done, false)
    end = 6
    assert.equal((await world.run(replica.copy(id, a.id, second, options))).done, true)
    assert.equal(await world.run(Promise.resolve(b.disk!.streamEnd(id, token))), 6)
  })
})
