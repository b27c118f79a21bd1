import { existsSync, lstatSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, isAbsolute } from 'node:path'
import { codeOf, CommonError, Emitter, messageOf } from '../base/index.js'
import type { Clock, KeyValue, Log, Random } from '../base/index.js'
import type { ExportVolume, VolumeExport } from '../client/index.js'
import type { HeldExport } from '../gateways/http/index.js'
import { NbdServer } from '../gateways/nbd/index.js'
import type { Latencies, NbdAddress } from '../gateways/nbd/index.js'
import type { BlockDevice, OpenVolume, VolumeService } from '../volumes/index.js'
import { splitHostPort } from './config/index.js'
import { NodeError } from './errors.js'

export interface VolumeExportsComponents {
  readonly volumes: Pick<VolumeService, 'open'>
  /** Where detached exports are remembered. */
  readonly store: KeyValue
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly latencies?: Latencies
}

export interface VolumeExportsInit {
  /** HOST:PORT for whoever names neither an address nor a socket. */
  readonly listen: string
  /** Addresses other than this machine's own are allowed: NBD has no password. */
  readonly remote: boolean
}

/** What a Unix socket's path may have: 107 bytes on Linux, 103 on macOS. */
const socketPathBytesMax = 103
/** A node has a handful of disks. */
const exportsMax = 256
/** Looking for a volume again, after a start, costs a round trip to the voters. */
const againMs = 1_000
/** Whether somebody listens at a socket that is there is known at once. */
const knockMs = 1_000

interface Endpoint {
  readonly key: string
  readonly server: NbdServer
  readonly tcp: string | null
  readonly unix: string | null
  readonly names: Set<string>
}

/** What is remembered of a detached export. */
interface Remembered {
  readonly volume: string
  readonly id: string
  readonly tcp: string | null
  readonly unix: string | null
  readonly readOnly: boolean
  readonly staleReads: boolean
}

/** One export. `closed` once; a client that connects gets the volume as it is open then. */
class Export {
  readonly exportId: string
  readonly wanted: Remembered
  readonly detached: boolean
  readonly events = new Emitter<{ change: undefined }>()
  readonly ended = new AbortController()
  endpoint: Endpoint | undefined
  volume: OpenVolume | undefined
  opening: Promise<OpenVolume> | undefined
  problem: string | undefined

  constructor(exportId: string, wanted: Remembered, detached: boolean) {
    this.exportId = exportId
    this.wanted = wanted
    this.detached = detached
  }

  get connections(): number {
    return this.endpoint?.server.connectionsOf(this.wanted.volume) ?? 0
  }

  state(): VolumeExport {
    const { volume, unix, readOnly, staleReads } = this.wanted
    const tcp = this.endpoint?.tcp ?? this.wanted.tcp
    return {
      exportId: this.exportId, volume, uri: uriOf(volume, tcp, unix), unix, tcp, readOnly, staleReads, detached: this.detached,
      connections: this.connections, ready: this.endpoint !== undefined,
    }
  }
}

/**
 * Volumes that clients of NBD reach at this node. Each address has a server of its own, so that a disk that was exported
 * at a private socket cannot be reached at another's port. An export is either held, and ends with whoever asked for it,
 * or detached: then it is remembered, with the port it got, and comes back when the node is started again.
 */
export class VolumeExports {
  readonly #components: VolumeExportsComponents
  readonly #init: VolumeExportsInit
  readonly #exports = new Map<string, Export>()
  readonly #endpoints = new Map<string, Promise<Endpoint>>()
  #stopped = false

  constructor(components: VolumeExportsComponents, init: VolumeExportsInit) {
    this.#components = components
    this.#init = init
  }

  get count(): number {
    return this.#exports.size
  }

  get connections(): number {
    return [...this.#exports.values()].reduce((sum, one) => sum + one.connections, 0)
  }

  of(volume: string): VolumeExport[] {
    return [...this.#exports.values()].filter(({ wanted }) => wanted.volume === volume).map((one) => one.state())
  }

  /** Sentences about exports that should be there and are not. */
  problems(): string[] {
    return [...this.#exports.values()].flatMap(({ problem, wanted }) => (problem === undefined ? [] : [`the volume ${wanted.volume} is not exported yet: ${problem}`]))
  }

  /** Throws NOT_FOUND, BAD_ADDRESS, EXISTS, PORT_IN_USE. */
  async detached(name: string, wish: ExportVolume, signal?: AbortSignal): Promise<VolumeExport> {
    const one = await this.#add(name, wish, true, signal)
    const { tcp, unix } = one.state()
    try {
      await this.#remember(one, { ...one.wanted, tcp, unix })
    } catch (error) {
      await this.#end(one, new CommonError('INTERNAL', 'the export could not be remembered', {}, { cause: error }))
      throw error
    }
    return one.state()
  }

  async held(name: string, wish: ExportVolume, signal?: AbortSignal): Promise<HeldExport> {
    const one = await this.#add(name, wish, false, signal)
    return {
      state: () => one.state(),
      onChange: (listener) => one.events.on('change', listener),
      ended: one.ended.signal,
      close: async () => this.#end(one, new CommonError('ABORTED', 'the export was ended')),
    }
  }

  /** NOT_FOUND if there is no such export of the volume here. */
  async remove(name: string, exportId: string | undefined): Promise<{ ended: number }> {
    const found = [...this.#exports.values()].filter((one) => one.wanted.volume === name && (exportId === undefined || one.exportId.startsWith(exportId)))
    if (found.length === 0) throw new CommonError('NOT_FOUND', `the volume "${name}" is not exported at this node${exportId === undefined ? '' : ` under ${exportId}`}`, { name })
    for (const one of found) {
      await this.#forget(one)
      await this.#end(one, new CommonError('ABORTED', 'the export was ended by `volume unexport`'))
    }
    return { ended: found.length }
  }

  /** Brings detached exports back, each as soon as its volume can be had. */
  async run(signal: AbortSignal): Promise<void> {
    const { store, clock, random, log } = this.#components
    for await (const [key, value] of store.entries()) {
      const exportId = Buffer.from(key).toString()
      const wanted = remembered(value)
      if (wanted === undefined) log.warn('a remembered export cannot be read and is left out', { exportId })
      else this.#exports.set(exportId, new Export(exportId, wanted, true))
    }
    while (!signal.aborted) {
      const waiting = [...this.#exports.values()].filter((one) => one.endpoint === undefined && one.detached)
      for (const one of waiting) await this.#revive(one, signal)
      if (![...this.#exports.values()].some((one) => one.problem !== undefined)) break
      await clock.sleep(againMs * (0.5 + random.float()), signal)
    }
  }

  /** Lets requests under way finish, disconnects every client, flushes and closes every volume. What is remembered stays so. */
  async stop(): Promise<void> {
    this.#stopped = true
    await Promise.all([...this.#exports.values()].map(async (one) => this.#end(one, new CommonError('UNAVAILABLE', 'the node is stopping'))))
  }

  async #revive(one: Export, signal: AbortSignal): Promise<void> {
    const { log } = this.#components
    try {
      await this.#begin(one, signal)
      one.problem = undefined
      log.info('a volume is exported again', { volume: one.wanted.volume, uri: one.state().uri })
    } catch (error) {
      if (signal.aborted) return
      if (codeOf(error) === 'NOT_FOUND') {
        log.warn('a volume that was exported here is no more', { volume: one.wanted.volume })
        await this.#forget(one)
        this.#exports.delete(one.exportId)
        one.problem = undefined
      } else one.problem = messageOf(error)
    }
  }

  async #add(name: string, wish: ExportVolume, detached: boolean, signal?: AbortSignal): Promise<Export> {
    if (this.#exports.size >= exportsMax) throw new CommonError('OVERLOADED', `${String(exportsMax)} volumes are exported here already`)
    const { unix, tcp } = this.#addressOf(wish)
    const exportId = Buffer.from(this.#components.random.bytes(6)).toString('hex')
    const one = new Export(exportId, { volume: name, id: '', unix, tcp, readOnly: wish.readOnly === true, staleReads: wish.staleReads === true }, detached)
    if (unix !== null || !/:0$/.test(tcp ?? '')) {
      const same = [...this.#exports.values()].find(({ wanted }) => wanted.volume === name && wanted.unix === unix && wanted.tcp === tcp)
      if (same !== undefined) throw exportedAlready(name, same.state())
    }
    this.#exports.set(exportId, one)
    try {
      await this.#begin(one, signal)
      return one
    } catch (error) {
      this.#exports.delete(exportId)
      throw error
    }
  }

  #addressOf({ unix, tcp }: ExportVolume): { unix: string | null; tcp: string | null } {
    if (unix !== undefined && tcp !== undefined) throw new NodeError('BAD_ADDRESS', 'an export is at a Unix socket or at a TCP address, not at both')
    if (unix !== undefined) {
      if (!isAbsolute(unix) || unix.includes('\0')) throw new NodeError('BAD_ADDRESS', `the path of the socket must be absolute, not "${unix}"`, { unix })
      if (Buffer.byteLength(unix) > socketPathBytesMax) {
        throw new NodeError('BAD_ADDRESS', `the path of a socket has at most ${String(socketPathBytesMax)} bytes; this one has ${String(Buffer.byteLength(unix))}`, { unix })
      }
      return { unix, tcp: null }
    }
    const address = tcp ?? this.#init.listen
    const split = splitHostPort(address)
    if (split === undefined) throw new NodeError('BAD_ADDRESS', `"${address}" is not HOST:PORT`, { tcp: address })
    if (!this.#init.remote && !isLoopback(split.host)) {
      throw new NodeError('BAD_ADDRESS', `NBD has no password, so volumes are exported to this machine only; ${split.host} is not it (volumes.nbd_remote = true allows it)`, { tcp: address })
    }
    return { unix: null, tcp: address }
  }

  /** Opens the volume, then the way to it: a client that connects finds it. */
  async #begin(one: Export, signal?: AbortSignal): Promise<void> {
    const { volume: name, id } = one.wanted
    const volume = await this.#volumeOf(one, signal)
    if (id !== '' && volume.info.id !== id) {
      await this.#closeVolume(one)
      throw new CommonError('NOT_FOUND', `the volume "${name}" is another one than was exported`)
    }
    try {
      const endpoint = await this.#endpoint(one.wanted)
      endpoint.names.add(name)
      one.endpoint = endpoint
      endpoint.server.add(name, async () => this.#deviceOf(one))
    } catch (error) {
      await this.#closeVolume(one)
      throw error
    }
    if (this.#stopped || one.ended.signal.aborted) {
      await this.#end(one, new CommonError('UNAVAILABLE', 'the node is stopping'))
      throw new CommonError('UNAVAILABLE', 'the node is stopping')
    }
    one.events.emit('change', undefined)
  }

  /**
   * What a new connection gets. A volume that may have lost acknowledged writes fails everything on it; a client that
   * comes when all those who were told so have gone gets it opened anew.
   */
  async #deviceOf(one: Export): Promise<BlockDevice> {
    if (one.volume?.failed !== undefined && one.opening === undefined && one.connections === 0) {
      await this.#closeVolume(one)
    }
    return this.#volumeOf(one)
  }

  async #volumeOf(one: Export, signal?: AbortSignal): Promise<OpenVolume> {
    if (one.volume !== undefined) return one.volume
    const { volume: name, readOnly, staleReads } = one.wanted
    one.opening ??= this.#components.volumes.open(name, { readOnly, staleReads }, signal).finally(() => {
      one.opening = undefined
    })
    return (one.volume = await one.opening)
  }

  async #closeVolume(one: Export): Promise<void> {
    const { volume } = one
    one.volume = undefined
    await volume?.close().catch((error: unknown) => {
      this.#components.log.warn('a volume could not be closed in order', { volume: one.wanted.volume, error: messageOf(error) })
    })
  }

  async #end(one: Export, why: CommonError): Promise<void> {
    this.#exports.delete(one.exportId)
    const { endpoint } = one
    one.endpoint = undefined
    if (endpoint !== undefined) {
      await endpoint.server.remove(one.wanted.volume)
      endpoint.names.delete(one.wanted.volume)
      if (endpoint.names.size === 0) {
        this.#endpoints.delete(endpoint.key)
        await endpoint.server.stop()
      }
    }
    await one.opening?.catch(() => undefined)
    await this.#closeVolume(one)
    if (!one.ended.signal.aborted) one.ended.abort(why)
  }

  async #endpoint({ unix, tcp, volume }: Remembered): Promise<Endpoint> {
    const key = unix ?? `${tcp ?? ''}${/:0$/.test(tcp ?? '') ? `#${Buffer.from(this.#components.random.bytes(6)).toString('hex')}` : ''}`
    const found = await this.#endpoints.get(key)?.catch(() => undefined)
    if (found !== undefined) {
      if (found.names.has(volume)) throw exportedAlready(volume, { uri: uriOf(volume, found.tcp, found.unix) })
      return found
    }
    const made = this.#listen(key, { unix, tcp })
    this.#endpoints.set(key, made)
    try {
      return await made
    } catch (error) {
      if (this.#endpoints.get(key) === made) this.#endpoints.delete(key)
      throw error
    }
  }

  async #listen(key: string, { unix, tcp }: { unix: string | null; tcp: string | null }): Promise<Endpoint> {
    const { clock, log, latencies } = this.#components
    const server = new NbdServer({ clock, log: log.child('nbd'), ...(latencies === undefined ? {} : { latencies }) })
    const split = splitHostPort(tcp ?? '') ?? { host: '', port: 0 }
    const address: NbdAddress = unix === null ? split : { path: unix }
    if (unix !== null) await this.#clearSocket(unix)
    try {
      const { port } = await server.listen(address)
      return { key, server, unix, tcp: unix === null ? `${split.host.includes(':') ? `[${split.host}]` : split.host}:${String(port)}` : null, names: new Set() }
    } catch (error) {
      throw new NodeError('PORT_IN_USE', `${messageOf(error)}${unix === null ? '; choose another with --tcp (port 0 takes any free one)' : ''}`, {}, { cause: error })
    }
  }

  /** A node that was killed leaves its sockets behind; one at which somebody listens is not ours to take. */
  async #clearSocket(path: string): Promise<void> {
    try {
      if (!lstatSync(path).isSocket()) throw new NodeError('BAD_ADDRESS', `there is something at ${path} that is no socket`, { unix: path })
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      // Said here: the system calls it a permission that is denied.
      if (!existsSync(dirname(path))) throw new NodeError('BAD_ADDRESS', `there is no folder ${dirname(path)} for the socket`, { unix: path })
      return
    }
    const alive = await new Promise<boolean>((resolve) => {
      const socket = connect(path)
      const end = (answer: boolean): void => {
        cancel()
        socket.destroy()
        resolve(answer)
      }
      const cancel = this.#components.clock.setTimer(knockMs, () => { end(true) })
      socket.once('connect', () => { end(true) })
      socket.once('error', () => { end(false) })
    })
    if (alive) throw new NodeError('PORT_IN_USE', `another program listens at ${path}`, { unix: path })
    unlinkSync(path)
  }

  async #remember(one: Export, what: Remembered): Promise<void> {
    const { store } = this.#components
    const value = JSON.stringify({ ...what, id: one.volume?.info.id ?? '' })
    await store.write([store.put(Buffer.from(one.exportId), Buffer.from(value))], { durable: true })
  }

  async #forget(one: Export): Promise<void> {
    const { store } = this.#components
    if (one.detached) await store.write([store.del(Buffer.from(one.exportId))], { durable: true })
  }
}

function exportedAlready(volume: string, { uri }: { uri: string }): NodeError {
  return new NodeError('EXISTS', `the volume "${volume}" is exported there already: ${uri}`, { volume, uri })
}

/** As the NBD project writes URIs: the export's name is the path, a socket's own path stands in the query. */
function uriOf(volume: string, tcp: string | null, unix: string | null): string {
  return unix === null ? `nbd://${tcp ?? ''}/${volume}` : `nbd+unix:///${volume}?socket=${encodeURIComponent(unix).replaceAll('%2F', '/')}`
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

/** Undefined for what no version of ours wrote. */
function remembered(value: Uint8Array): Remembered | undefined {
  try {
    const raw = JSON.parse(Buffer.from(value).toString()) as Partial<Record<keyof Remembered, unknown>> | null
    if (raw === null || typeof raw.volume !== 'string' || typeof raw.id !== 'string') return undefined
    const text = (field: unknown): string | null => (typeof field === 'string' ? field : null)
    const [tcp, unix] = [text(raw.tcp), text(raw.unix)]
    if ((tcp === null) === (unix === null)) return undefined
    return { volume: raw.volume, id: raw.id, tcp, unix, readOnly: raw.readOnly === true, staleReads: raw.staleReads === true }
  } catch {
    return undefined
  }
}
