import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { unlink } from 'node:fs/promises'
import { CommonError, codeOf, messageOf, silentLog } from '../../base/index.js'
import type { Clock, Log } from '../../base/index.js'
import type { BlockDevice } from '../../volumes/index.js'
import { ByteReader } from './byte-reader.js'
import { Latencies } from './latencies.js'
import { negotiate } from './negotiation.js'
import type { Exports } from './negotiation.js'
import { Replies } from './replies.js'
import { Transmission } from './transmission.js'
import type { TransmissionInit } from './transmission.js'

export interface NbdServerComponents {
  clock: Clock
  log?: Log
  /** Shared by servers that are counted together. */
  latencies?: Latencies
}

export interface NbdServerInit extends Partial<TransmissionInit> {
  /** Connections at once, over all listeners; more are closed at once. Clients open up to 16 each. */
  connectionsMax?: number
  /** A client that has not chosen an export by then is sent away. */
  negotiationMs?: number
  /** How long requests under way may take to end when the server stops. */
  stopMs?: number
}

/** Where a listener listens: a TCP address (port 0: any), or the path of a Unix socket. */
export type NbdAddress = { host: string; port: number } | { path: string }

/** What a new connection to an export uses. Rejects while there is nothing: the client is told that there is no such export. */
export type DeviceSource = () => Promise<BlockDevice>

const defaults = { inFlightMax: 128, inFlightBytesMax: 64 * 1024 * 1024, connectionsMax: 256, negotiationMs: 10_000, stopMs: 10_000 }

/** An NBD server with any number of exports and listeners; every export can be reached through every listener. */
export class NbdServer implements Exports {
  readonly #clock: Clock
  readonly #log: Log
  readonly #latencies: Latencies
  readonly #init: typeof defaults
  readonly #devices = new Map<string, DeviceSource>()
  readonly #listeners = new Map<string, Server>()
  readonly #connections = new Map<Socket, { name: string | undefined; stop: () => void }>()
  #stopping = false

  constructor(components: NbdServerComponents, init: NbdServerInit = {}) {
    this.#clock = components.clock
    this.#log = components.log ?? silentLog
    this.#latencies = components.latencies ?? new Latencies()
    this.#init = { ...defaults, ...init }
  }

  names(): string[] {
    return [...this.#devices.keys()]
  }

  async find(name: string): Promise<{ name: string; device: BlockDevice } | undefined> {
    // The empty name is the default export: it means something only while there is no choice.
    const known = name === '' && this.#devices.size === 1 ? [...this.#devices.keys()][0] : name
    const source = known === undefined ? undefined : this.#devices.get(known)
    if (source === undefined || known === undefined) return undefined
    try {
      return { name: known, device: await source() }
    } catch (error) {
      this.#log.warn('an export cannot be used now', { export: known, reason: messageOf(error) })
      return undefined
    }
  }

  /** Connections that use the export now. */
  connectionsOf(name: string): number {
    return [...this.#connections.values()].filter((connection) => connection.name === name).length
  }

  /** `device`: itself, or how each new connection gets at it. */
  add(name: string, device: BlockDevice | DeviceSource): void {
    this.#devices.set(name, typeof device === 'function' ? device : async () => device)
  }

  /** New connections do not find it; those that use it are closed when what runs has been answered. */
  async remove(name: string): Promise<void> {
    this.#devices.delete(name)
    await this.#closeConnections((used) => used === name)
  }

  /**
   * Starts a listener. Resolves to the address it really has, as an NBD URI without the export's name. Rejects with
   * UNAVAILABLE if the address is taken.
   */
  async listen(address: NbdAddress): Promise<{ uri: string; port: number | undefined }> {
    const server = createServer({ noDelay: true, pauseOnConnect: false }, (socket) => {
      this.#accept(socket).catch((error: unknown) => {
        this.#log.error('a connection ended badly', { reason: messageOf(error) })
        socket.destroy()
      })
    })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        const text = 'path' in address ? address.path : `${address.host}:${address.port}`
        const why = codeOf(error) === 'EADDRINUSE' ? 'something else listens there' : error.message
        reject(new CommonError('UNAVAILABLE', `NBD cannot listen on ${text}: ${why}`, { address: text }, { cause: error }))
      })
      if ('path' in address) {
        // The disk is its owner's: from its first moment on, others on this machine cannot open the socket.
        const umask = process.umask(0o177)
        try {
          server.listen(address.path, resolve)
        } finally {
          process.umask(umask)
        }
      } else server.listen(address.port, address.host, resolve)
    })
    if ('path' in address) {
      const uri = `nbd+unix:///?socket=${address.path}`
      this.#listeners.set(uri, server)
      return { uri, port: undefined }
    }
    const { port } = server.address() as AddressInfo
    const uri = `nbd://${address.host.includes(':') ? `[${address.host}]` : address.host}:${port}`
    this.#listeners.set(uri, server)
    return { uri, port }
  }

  /** Stops listening, lets what runs end, closes every connection. */
  async stop(): Promise<void> {
    this.#stopping = true
    const closed = [...this.#listeners].map(async ([uri, server]) => {
      await new Promise<void>((resolve) => server.close(() => { resolve() }))
      const path = /^nbd\+unix:\/\/\/\?socket=(.*)$/.exec(uri)?.[1]
      if (path !== undefined) await unlink(path).catch(() => undefined)
    })
    this.#listeners.clear()
    await this.#closeConnections(() => true)
    await Promise.all(closed)
  }

  async #closeConnections(which: (name: string | undefined) => boolean): Promise<void> {
    await Promise.all(
      [...this.#connections].filter(([, connection]) => which(connection.name)).map(async ([socket, connection]) => {
        connection.stop()
        await new Promise<void>((resolve) => {
          const cancel = this.#clock.setTimer(this.#init.stopMs, () => { socket.destroy() }, { keepAlive: true })
          socket.once('close', () => {
            cancel()
            resolve()
          })
          if (socket.destroyed) resolve()
        })
      }),
    )
  }

  async #accept(socket: Socket): Promise<void> {
    socket.on('error', () => undefined)
    if (this.#stopping || this.#connections.size >= this.#init.connectionsMax) {
      socket.destroy()
      return
    }
    const connection = { name: undefined as string | undefined, stop: (): void => { socket.destroy() } }
    this.#connections.set(socket, connection)
    socket.once('close', () => { this.#connections.delete(socket) })
    const reader = new ByteReader(socket)
    const cancel = this.#clock.setTimer(this.#init.negotiationMs, () => { socket.destroy() })
    const negotiated = await negotiate(reader, (bytes) => { socket.write(bytes) }, this)
    cancel()
    if (negotiated === undefined) {
      socket.end()
      return
    }
    connection.name = negotiated.name
    const replies = new Replies(socket)
    const transmission = new Transmission({ reader, replies, log: this.#log, clock: this.#clock, latencies: this.#latencies }, negotiated, this.#init)
    const running = transmission.run()
    connection.stop = () => { transmission.stop() }
    await running
    replies.flush()
    socket.end(() => { socket.destroy() })
  }
}
