import type { Clock, Connections, Log, NodeId, Random, Rpc } from '../../base/index.js'
import { codeOf, messageOf } from '../../base/index.js'
import type { SessionId } from '../../consensus/index.js'
import type { OpenDevice, OpenOptions, VolumeEngine, VolumeIdentity } from '../engine-types.js'
import { blockBytes, segmentsOf } from '../geometry.js'
import type { OpenVolume, VolumeInfo, VolumeLease, Volumes, VolumeSettings } from '../types.js'
import type { VolumeRecord } from './entry.js'
import { changedBytesMax, decodeChanged, encodeChanged } from './entry.js'
import type { NamedVolume, VolumeRegistry } from './registry.js'

export interface VolumeServiceComponents {
  readonly registry: VolumeRegistry
  readonly engine: VolumeEngine
  readonly rpc: Rpc
  readonly connections: Connections
  /** Calls back whenever this node has a new session with the voters. */
  readonly onSession: (listener: () => void) => () => void
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
}

export interface VolumeServiceInit {
  /** What `create` takes where nobody says. */
  readonly defaults: VolumeSettings
  /** How often this node looks whether volumes of which it keeps something still exist, and have grown. */
  readonly lookEveryMs?: number
  /** A volume that no name leads to any more is dropped here after this long, unless it is known to be removed. */
  readonly graceMs?: number
}

/** One list of registers a minute, and only at nodes that keep something of a volume: nobody notices. */
const lookEveryMsDefault = 60_000
/** Ten looks: an operator who sees a volume missing has time to stop the node. */
const graceMsDefault = 600_000
const changedMs = 5_000
/** Of a failed wish to mark a volume as closed, or as open under a new session. */
const againMs = 1_000
const roundMs = 20_000
const retireMs = 60_000

interface Held {
  readonly name: string
  readonly id: string
  session: SessionId
  opened: number
}

/** The volumes of the mesh by name: what people ask for, and the data path does. */
export class VolumeService implements Volumes {
  readonly #components: VolumeServiceComponents
  readonly #init: Required<VolumeServiceInit>
  /** Open here, by id. */
  readonly #held = new Map<string, Held>()
  /** Last seen, by id; may be behind. */
  readonly #known = new Map<string, NamedVolume>()
  readonly #lanes = new Map<string, Promise<unknown>>()
  readonly #missingSinceMs = new Map<string, number>()
  readonly #toClose = new Map<string, Held>()
  /** One at a time, whoever asks. */
  #listing: Promise<unknown> | undefined
  #reopen = false
  #wake: (() => void) | undefined

  constructor(components: VolumeServiceComponents, init: VolumeServiceInit) {
    this.#components = components
    this.#init = { lookEveryMs: lookEveryMsDefault, graceMs: graceMsDefault, ...init }
    components.rpc.register({
      name: 'volume-registry.changed', requestBytesMax: changedBytesMax, responseBytesMax: 1, inFlightMax: 4,
      handle: async (body, { signal }) => {
        const { name, id } = decodeChanged(body)
        await this.#lookAt(name, id, signal)
        return new Uint8Array(0)
      },
    })
  }

  /** What a holder that did not open the volume itself goes by; may be a minute old. Undefined for a volume that is no more. */
  async settingsOf(id: string, signal?: AbortSignal): Promise<VolumeIdentity | undefined> {
    const known = this.#known.get(id)
    if (known !== undefined) return known.record
    this.#listing ??= this.list(signal).finally(() => { this.#listing = undefined })
    await this.#listing
    return this.#known.get(id)?.record
  }

  async create(name: string, sizeBytes: number, settings: Partial<VolumeSettings> = {}, signal?: AbortSignal): Promise<VolumeInfo> {
    const record = await this.#components.registry.create(name, sizeBytes, { ...this.#init.defaults, ...settings }, signal)
    return this.#info(this.#note(name, record))
  }

  async list(signal?: AbortSignal): Promise<VolumeInfo[]> {
    const { volumes, damaged } = await this.#components.registry.list(signal)
    if (damaged.length > 0) this.#components.log.warn('records of volumes cannot be read', { names: damaged })
    for (const { name, record } of volumes) this.#note(name, record)
    return Promise.all(volumes.map(async (volume) => this.#info(volume)))
  }

  async stat(name: string, signal?: AbortSignal): Promise<VolumeInfo> {
    return this.#info(this.#note(name, await this.#components.registry.get(name, signal)))
  }

  /** Nodes whose sessions have it open, or had: the voters decide which of them are over only when it matters. */
  async openOn(name: string, signal?: AbortSignal): Promise<NodeId[]> {
    return (await this.#components.registry.get(name, signal)).openings.map(({ node }) => node)
  }

  async resize(name: string, sizeBytes: number, signal?: AbortSignal): Promise<VolumeInfo> {
    const { registry, engine } = this.#components
    const { record } = await registry.resize(name, sizeBytes, signal)
    engine.resized(record.id, record.sizeBytes)
    this.#tell(name, record.id)
    return this.#info(this.#note(name, record))
  }

  async remove(name: string, signal?: AbortSignal): Promise<void> {
    const { registry } = this.#components
    const record = await registry.remove(name, signal)
    // From here on it is gone, whatever else happens: what is left of it anywhere is found to be nobody's.
    this.#tell(name, record.id)
    await this.#drop(name, record.id)
  }

  /** NOT_FOUND. Marked in the mesh as open here before it resolves, so that nobody removes it. */
  async open(name: string, options: OpenOptions = {}, signal?: AbortSignal): Promise<OpenVolume> {
    return this.#inLane(name, async () => {
      const { registry, engine } = this.#components
      const { record, session } = await registry.open(name, undefined, signal)
      const volume = this.#note(name, record)
      const held = this.#held.get(record.id) ?? { name, id: record.id, session, opened: 0 }
      held.session = session
      held.opened++
      this.#held.set(record.id, held)
      this.#toClose.delete(record.id)
      let device: OpenDevice
      try {
        device = await engine.open(record, options)
      } catch (error) {
        this.#letGo(held)
        throw error
      }
      return openVolume(device, await this.#info(volume), async () => this.#inLane(name, async () => {
        try {
          await device.close()
        } finally {
          this.#letGo(held)
        }
      }))
    })
  }

  async leases(name: string, signal?: AbortSignal): Promise<VolumeLease[]> {
    const { registry, engine } = this.#components
    return engine.leases((await registry.get(name, signal)).id, signal)
  }

  /** Keeps the openings of this node under its present session, and drops what belongs to volumes that are gone. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, onSession, random, log } = this.#components
    const off = onSession(() => {
      this.#reopen = this.#held.size > 0
      this.#wake?.()
    })
    let lookAtMs = clock.monotonicMs() + random.float() * this.#init.lookEveryMs
    try {
      while (!signal.aborted) {
        await this.#upkeep(signal)
        if (clock.monotonicMs() >= lookAtMs) {
          // Not in step with the others: each look asks all voters.
          lookAtMs = clock.monotonicMs() + this.#init.lookEveryMs * (0.75 + random.float() / 2)
          await this.#look(signal).catch((error: unknown) => {
            if (!signal.aborted) log.debug('volumes were not looked after', { error: messageOf(error) })
          })
        }
        const pending = this.#reopen || this.#toClose.size > 0
        await this.#sleep(Math.max(againMs / 2, Math.min(lookAtMs - clock.monotonicMs(), pending ? againMs * (0.5 + random.float()) : Infinity)), signal)
      }
    } finally {
      off()
    }
    for (const held of this.#toClose.values()) await this.#close(held).catch(() => undefined)
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const controller = new AbortController()
    const stop = (): void => { controller.abort() }
    this.#wake = stop
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    await this.#components.clock.sleep(ms, controller.signal).catch(() => undefined)
    signal.removeEventListener('abort', stop)
    this.#wake = undefined
  }

  async #upkeep(signal: AbortSignal): Promise<void> {
    const { registry, engine, log } = this.#components
    if (this.#reopen) {
      this.#reopen = false
      for (const held of [...this.#held.values()]) {
        try {
          held.session = (await registry.open(held.name, held.id, signal)).session
        } catch (error) {
          if (codeOf(error) === 'NOT_FOUND') {
            log.warn('a volume that was open here has been removed meanwhile', { name: held.name })
            await engine.dropLocal(held.id)
          } else this.#reopen = true
        }
      }
    }
    for (const held of [...this.#toClose.values()]) await this.#close(held, signal).catch(() => undefined)
  }

  #letGo(held: Held): void {
    held.opened--
    if (held.opened > 0) return
    this.#held.delete(held.id)
    this.#toClose.set(held.id, held)
    this.#wake?.()
  }

  async #close(held: Held, signal?: AbortSignal): Promise<void> {
    const { registry, clock } = this.#components
    await this.#inLane(held.name, async () => {
      if (this.#toClose.get(held.id) !== held) return
      const controller = new AbortController()
      const cancel = clock.setTimer(signal === undefined ? againMs : roundMs, () => { controller.abort() })
      try {
        await registry.close(held.name, held.id, held.session, controller.signal)
      } catch (error) {
        // Somebody removed it while this node's session was over: then nothing is left to be closed.
        if (codeOf(error) !== 'NOT_FOUND') throw error
      } finally {
        cancel()
      }
      if (this.#toClose.get(held.id) === held) this.#toClose.delete(held.id)
    })
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { registry, engine, clock } = this.#components
    // Before the list is made: what comes here while it is being made would look like nobody's.
    const here = await engine.volumesHere()
    if (here.length === 0 && this.#held.size === 0) return
    const { volumes, damaged, complete } = await registry.list(signal)
    const alive = new Set<string>()
    for (const { name, record } of volumes) {
      alive.add(record.id)
      this.#note(name, record)
      if (this.#held.has(record.id)) engine.resized(record.id, record.sizeBytes)
    }
    for (const id of this.#known.keys()) if (!alive.has(id)) this.#known.delete(id)
    // A name that cannot be read may be that of anything here.
    if (damaged.length > 0 || !complete) return
    const now = clock.monotonicMs()
    for (const id of this.#missingSinceMs.keys()) if (alive.has(id)) this.#missingSinceMs.delete(id)
    for (const id of here) {
      if (alive.has(id)) continue
      const sinceMs = this.#missingSinceMs.get(id)
      if (sinceMs === undefined) this.#missingSinceMs.set(id, now)
      else if (now - sinceMs >= this.#init.graceMs) await this.#drop(undefined, id)
    }
  }

  /** Somebody says that a volume has changed: the register tells what it is now. */
  async #lookAt(name: string, id: string, signal: AbortSignal): Promise<void> {
    const { registry, engine } = this.#components
    if (await registry.isGone(name, id, signal)) {
      if ((await engine.volumesHere()).includes(id) || this.#held.has(id)) await this.#drop(name, id)
      return
    }
    if (!this.#held.has(id) && !this.#known.has(id)) return
    const record = await registry.get(name, signal)
    this.#note(name, record)
    if (record.id === id) engine.resized(id, record.sizeBytes)
  }

  async #drop(name: string | undefined, id: string): Promise<void> {
    const { engine, clock, log } = this.#components
    const controller = new AbortController()
    const cancel = clock.setTimer(retireMs, () => { controller.abort() })
    try {
      await engine.retire(id, controller.signal)
    } catch (error) {
      log.warn('segments of a removed volume could not be marked as gone in their registers', { name: name ?? '', id, error: messageOf(error) })
    } finally {
      cancel()
    }
    await engine.dropLocal(id)
    this.#known.delete(id)
    this.#missingSinceMs.delete(id)
    log.info('a removed volume was dropped here', { name: name ?? '', id })
  }

  /** Whoever cannot be reached finds out at its next look. */
  #tell(name: string, id: string): void {
    const { rpc, connections } = this.#components
    const body = encodeChanged({ name, id })
    for (const peer of connections.connected()) rpc.request(peer, 'volume-registry.changed', body, { deadlineMs: changedMs }).catch(() => undefined)
  }

  #note(name: string, record: VolumeRecord): NamedVolume {
    const volume = { name, record }
    this.#known.set(record.id, volume)
    return volume
  }

  async #info({ name, record }: NamedVolume): Promise<VolumeInfo> {
    const { id, sizeBytes, durability, replicas, policy } = record
    return {
      name, id, sizeBytes, durability, replicas, policy, blockSize: blockBytes, segments: segmentsOf(sizeBytes),
      usedBytes: await this.#components.engine.usedBytes(id),
    }
  }

  /** One opening or closing of a name at a time: the mark in the register follows the last of them. */
  async #inLane<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#lanes.get(name) ?? Promise.resolve()
    const turn = before.then(work, work)
    const settled = turn.catch(() => undefined)
    this.#lanes.set(name, settled)
    try {
      return await turn
    } finally {
      if (this.#lanes.get(name) === settled) this.#lanes.delete(name)
    }
  }
}

/** The device with what it is a device of; closes once. */
function openVolume(device: OpenDevice, info: VolumeInfo, close: () => Promise<void>): OpenVolume {
  let closing: Promise<void> | undefined
  return {
    info,
    get sizeBytes() { return device.sizeBytes },
    get failed() { return device.failed },
    readOnly: device.readOnly,
    blockBytes: device.blockBytes,
    read: device.read.bind(device),
    ...(device.readNow === undefined ? {} : { readNow: device.readNow.bind(device) }),
    write: device.write.bind(device),
    flush: device.flush.bind(device),
    trim: device.trim.bind(device),
    writeZeroes: device.writeZeroes.bind(device),
    extents: device.extents.bind(device),
    prefetch: device.prefetch.bind(device),
    close: async () => (closing ??= close()),
  }
}

