import { setMaxListeners } from 'node:events'
import { forEachLimit, messageOf } from '../../base/index.js'
import type { NodeId } from '../../base/index.js'
import type { OpenDevice, OpenOptions, VolumeEngine, VolumeFigures, VolumeIdentity } from '../engine-types.js'
import { blockBytes, segmentBlocks } from '../geometry.js'
import type { BlockRange } from '../geometry.js'
import type { SegmentId } from '../replica-types.js'
import { isRetired, release, retire } from '../segment.js'
import type { Segment } from '../segment.js'
import { DeviceError } from '../types.js'
import type { VolumeLease } from '../types.js'
import { SegmentAccess } from './access.js'
import { serveAppends } from './append-service.js'
import { decodeSegment } from './codec.js'
import { EngineContext } from './context.js'
import { VolumeDevice } from './device.js'
import { endOfOver, hasEnded } from './fate.js'
import { handOver } from './hand-off.js'
import { IdleSegments } from './idle-segments.js'
import { joinsMax, ReplicaKeeper } from './keeper.js'
import { keyOf, Registers, scopeOf } from './registers.js'
import type { RegisterChange } from './registers.js'
import { Replica } from './replica.js'
import { Parts } from './parts.js'
import type { SegmentPart } from './segment-part.js'
import { serveAccess } from './service.js'
import { engineDefaults } from './types.js'
import type { EngineComponents, EngineInit } from './types.js'

/** Segments that a volume of 1 PiB has. */
const segmentsMax = 2 ** 24
/** Segments whose holds are given back at once when the engine stops. */
const releasesAtOnce = 16
/** A stop that takes longer leaves its holds to be taken from the dead. */
const releaseDeadlineMs = 5_000

/** A holder looks after its segments every few seconds, and makes two copies of 64 MiB at once. */
const leaveDeadlineMs = 120_000
const leaveLookMs = 500

interface OpenVolumeState {
  /** Names this opening to holders. Writes are numbered under it, from 1: another opening under the same name would be taken for its retries. */
  readonly client: string
  readonly devices: Set<VolumeDevice>
  readonly segments: Map<number, SegmentAccess>
}

/** The data path of all volumes at one node: see `index.ts`. */
export class Engine implements VolumeEngine {
  readonly #context: EngineContext
  readonly #parts: Parts
  readonly #volumes = new Map<string, OpenVolumeState>()
  readonly #keeper: ReplicaKeeper
  readonly #idle: IdleSegments
  readonly #controller = new AbortController()

  constructor(components: EngineComponents, init: Partial<EngineInit> = {}) {
    const registers = new Registers({ consensus: components.consensus }, { changed: (change) => { this.#changed(change) } })
    const replica = new Replica({
      ...components,
      isJoining: async (id, configuration, signal) => {
        const now = await registers.refresh(id, signal)
        return now?.configuration === configuration && now.joining.includes(components.connections.self)
      },
    })
    this.#context = new EngineContext(components, { ...engineDefaults, ...init }, { registers, replica })
    this.#context.signal = this.#controller.signal
    // Every request in flight listens to it; they are bounded elsewhere.
    setMaxListeners(0, this.#controller.signal)
    replica.start(this.#controller.signal)
    this.#context.links.start(this.#controller.signal)
    serveAppends(components.bulk, replica)
    this.#keeper = new ReplicaKeeper(this.#context)
    this.#parts = new Parts(this.#context)
    serveAccess(this.#context, { parts: this.#parts })
    this.#idle = new IdleSegments(this.#context, { parts: this.#parts })
    const ended = (): void => { for (const part of this.#parts.all()) part.holder.endAll() }
    components.consensus.on('evicted', ended)
    components.consensus.on('ready', ended)
  }

  async open(volume: VolumeIdentity, options: OpenOptions): Promise<OpenDevice> {
    const { components, init } = this.#context
    this.#context.learnSettings(volume.id, { durability: volume.durability, replicas: volume.replicas, policy: volume.policy })
    let state = this.#volumes.get(volume.id)
    if (state === undefined) this.#volumes.set(volume.id, (state = { client: Buffer.from(components.random.bytes(16)).toString('hex'), devices: new Set(), segments: new Map() }))
    const { devices, segments } = state
    const device = new VolumeDevice(
      {
        clock: components.clock,
        segment: (number) => this.#accessOf(volume.id, number),
        dirty: () => [...segments.values()].filter((segment) => !segment.clean),
        closed: (closed) => {
          devices.delete(closed)
          // A failure concerns those who had it open; what comes after begins anew.
          if (devices.size > 0) return
          this.#volumes.delete(volume.id)
          for (const access of segments.values()) access.part.close()
        },
      },
      { sizeBytes: volume.sizeBytes, writethrough: volume.durability === 'writethrough', operationDeadlineMs: init.operationDeadlineMs, writesInFlightMax: init.writesInFlightMax },
      options,
    )
    devices.add(device)
    return device
  }

  resized(id: string, sizeBytes: number): void {
    for (const device of this.#volumes.get(id)?.devices ?? []) device.grow(sizeBytes)
  }

  async leases(id: string, signal?: AbortSignal): Promise<VolumeLease[]> {
    const leases: VolumeLease[] = []
    for (const { segment: number, value } of await this.#registersOf(id, signal)) {
      for (const { start, blocks, value: holding } of value.ranges.entries) {
        const { node } = holding.session
        leases.push({ start: number * segmentBlocks + start, blocks, holder: node, region: this.#context.components.regionOf(node) ?? '', token: holding.token })
      }
    }
    return leases.sort((a, b) => a.start - b.start)
  }

  async usedBytes(id: string): Promise<number> {
    const { disk } = this.#context.components
    let blocks = 0
    for await (const segment of disk.segments(id)) {
      for (const run of await disk.versions(segment, { start: 0, blocks: segmentBlocks })) if (run.content === 'data' || run.content === 'zeroes') blocks += run.blocks
    }
    return blocks * blockBytes
  }

  async retire(id: string, signal: AbortSignal): Promise<void> {
    const { registers } = this.#context
    for (const { segment, value: before } of await this.#registersOf(id, signal)) {
      const { segment: now } = await registers.change({ volume: id, segment }, (value) => (value === undefined ? undefined : retire(value)), { signal })
      // By now nobody has a part in it: whoever had is to stop.
      if (now !== undefined) this.#context.tellAll({ volume: id, segment }, now, before)
    }
  }

  async dropLocal(id: string): Promise<void> {
    const { disk } = this.#context.components
    for (const device of this.#volumes.get(id)?.devices ?? []) device.fail(new DeviceError('IO', 'the volume was removed'))
    for (const part of this.#parts.all()) if (part.holder.id.volume === id) part.holder.endAll()
    this.#context.forgetSettings(id)
    this.#context.components.policy.forget(id)
    for await (const segment of disk.segments(id)) {
      this.#context.registers.forget(segment)
      await disk.drop(segment)
    }
  }

  async volumesHere(): Promise<string[]> {
    const found = new Set<string>()
    for await (const segment of this.#context.components.disk.segments()) found.add(segment.volume)
    return [...found]
  }

  /** Hands what this node holds of the range over. False: it was not held here, or it failed. */
  async handOver(id: SegmentId, range: BlockRange, to: NodeId): Promise<boolean> {
    return this.#parts.using(id, (part) => handOver(this.#context, part.holder, range, to))
  }

  async drain(signal: AbortSignal): Promise<{ remaining: number }> {
    const { components, registers } = this.#context
    let remaining = 0
    for await (const id of components.disk.segments()) {
      if (signal.aborted) break
      const segment = await registers.refresh(id, signal)
      if (segment === undefined || isRetired(segment)) continue
      if (!(await this.#parts.using(id, (part) => this.#drainOne(part, segment, signal)))) remaining++
    }
    return { remaining }
  }

  /** False: the copy here must stay. */
  async #drainOne(part: SegmentPart, segment: Segment, signal: AbortSignal): Promise<boolean> {
    const { components, registers, self } = this.#context
    const { id } = part.holder
    let isLeft = !segment.replicas.includes(self)
    const untilMs = components.clock.monotonicMs() + leaveDeadlineMs
    for (let look = 0; !isLeft && !signal.aborted; look++) {
      // Only who holds something of the segment may change its copies: this node, if nobody alive does, or whoever does, who
      // sees that this node leaves.
      const place = await part.takeover.locate({ start: 0, blocks: 1 }, signal, false)
      if (part.holder.holds.length > 0) {
        isLeft = await this.#keeper.replace(part, self)
        break
      }
      if (place.type === 'there') await part.takeover.suspect(place.session, place.token, signal)
      isLeft = registers.view(id)?.replicas.includes(self) === false
      if (isLeft || components.clock.monotonicMs() >= untilMs) break
      await components.clock.sleep(leaveLookMs, signal)
    }
    await this.#giveBack(part, signal)
    return isLeft
  }

  figures(): VolumeFigures {
    const { writesLocal, writesProxied, writesReplayed, flushes, claims, recoveries, handOffs, handOffsFailed, replicasRemoved, replicasJoined, devicesFailed } = this.#context.counters
    return { writesLocal, writesProxied, writesReplayed, flushes, claims, recoveries, handOffs, handOffsFailed, replicasRemoved, replicasJoined, devicesFailed }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { components, init } = this.#context
    try {
      for (;;) {
        const isOver = await components.clock.sleep(init.keepEveryMs, signal).then(() => false, () => true)
        if (isOver) break
        await this.#keep()
        await this.#idle.step(signal)
      }
    } finally {
      await this.#stop()
      this.#controller.abort()
    }
  }

  /** One look at all that this node has to do with. */
  async #keep(): Promise<void> {
    const { components } = this.#context
    await forEachLimit(this.#parts.all(), joinsMax, async (part) => {
      for (const hold of part.holder.holds) hold.stream.tell()
      try {
        await this.#keeper.tend(part)
      } catch (error) {
        components.log.debug('a replica set could not be looked after', { segment: keyOf(part.holder.id), error: messageOf(error) })
      }
    })
    this.#parts.sweep()
  }

  /** What is held is flushed and given back, so that the next writer need not wait until this node counts as dead. */
  async #stop(): Promise<void> {
    const { components } = this.#context
    const controller = new AbortController()
    const cancel = components.clock.setTimer(releaseDeadlineMs, () => { controller.abort() })
    await forEachLimit(this.#parts.all(), releasesAtOnce, async (part) => {
      await this.#giveBack(part, controller.signal).catch((error: unknown) => { components.log.debug('a range was not given back', { segment: keyOf(part.holder.id), error: messageOf(error) }) })
    })
    cancel()
    await components.disk.sync()
  }

  async #giveBack(part: SegmentPart, deadline: AbortSignal): Promise<void> {
    const { registers } = this.#context
    const { holder } = part
    for (const hold of holder.holds) {
      const locked = holder.lock.lock({ start: 0, blocks: segmentBlocks })
      const unlock = typeof locked === 'function' ? locked : await locked
      try {
        if ((await holder.flush(hold.token, deadline)) !== 'done') continue
        for (const entry of registers.view(holder.id)?.ranges.entries ?? []) if (entry.value.token === hold.token) holder.relinquish(entry, hold.token)
        const { segment } = await registers.change(holder.id, (value) => (value === undefined ? undefined : release(value, { start: 0, blocks: segmentBlocks }, hold.session, hold.token)), { signal: deadline })
        if (segment !== undefined) this.#context.tellAll(holder.id, segment)
      } finally {
        unlock()
      }
    }
  }

  #accessOf(volume: string, number: number): SegmentAccess {
    const state = this.#volumes.get(volume)
    if (state === undefined) throw new DeviceError('STOPPING', 'the volume is closed')
    let access = state.segments.get(number)
    if (access === undefined) {
      access = new SegmentAccess(this.#context, this.#parts.open({ volume, segment: number }), {
        client: state.client,
        failed: (error) => {
          this.#context.counters.devicesFailed++
          for (const device of state.devices) device.fail(error)
        },
      })
      state.segments.set(number, access)
    }
    return access
  }

  #changed({ id, before, now }: RegisterChange): void {
    const { self, replica, components } = this.#context
    this.#parts.get(keyOf(id))?.holder.changed(now)
    const was = before === undefined || before.replicas.includes(self) || before.joining.includes(self)
    const isReplica = now.replicas.includes(self)
    if (isReplica) replica.joined(id, now.configuration)
    if ((isReplica || this.#parts.get(keyOf(id)) !== undefined) && (before === undefined || hasEnded(before, now))) {
      this.#settleOver(id).catch((error: unknown) => { components.log.debug('streams that are over could not be settled', { segment: keyOf(id), error: messageOf(error) }) })
    }
    if (was && !isReplica && !now.joining.includes(self)) {
      this.#left(id).catch((error: unknown) => { components.log.warn('a segment that is not kept here any more could not be marked so', { segment: keyOf(id), error: messageOf(error) }) })
    }
  }

  /**
   * What no holder writes on will be cut no more, beyond what the register says, and nobody will ask for it: its disk may
   * let go of what it overwrote. Whoever wrote it may have died before it could say so, and never says so of its last flush.
   */
  async #settleOver(id: SegmentId): Promise<void> {
    const { registers, components: { disk } } = this.#context
    for (const { token, sequence } of await disk.unsettled(id)) {
      const now = registers.view(id)
      if (now === undefined) return
      const end = endOfOver(now, token)
      if (end !== undefined) await disk.settled(id, token, Math.min(end, sequence))
    }
  }

  /** By word of others this node is no replica any more. Late word would undo a joining: so the register is asked. */
  async #left(id: SegmentId): Promise<void> {
    const { registers, replica, self, signal } = this.#context
    const now = await registers.refresh(id, signal)
    if (now === undefined || (!now.replicas.includes(self) && !now.joining.includes(self))) await replica.leave(id, now?.configuration ?? Number.MAX_SAFE_INTEGER)
  }

  async #registersOf(id: string, signal?: AbortSignal): Promise<{ segment: number; value: ReturnType<typeof decodeSegment> }[]> {
    const prefix = scopeOf({ volume: id, segment: 0 }).slice(0, -1)
    const found = await this.#context.components.consensus.list(prefix, segmentsMax, signal === undefined ? {} : { signal })
    return found.flatMap(({ scope, value }) => {
      const number = Number(scope.slice(prefix.length))
      return value.payload.length === 0 || !Number.isSafeInteger(number) ? [] : [{ segment: number, value: decodeSegment(value.payload) }]
    }).sort((a, b) => a.segment - b.segment)
  }
}
