import { tcp } from '@libp2p/tcp'
import type { TCPOptions } from '@libp2p/tcp'
import type { MultiaddrConnection, SecurableStream, Transport, Upgrader } from '@libp2p/interface'
import { Server, Socket } from 'node:net'

type TransportFactory = ReturnType<typeof tcp>

interface Known {
  readonly socket: Socket
  /** The connection's source as it was made: another one in its place has read ahead, and holds bytes of its own. */
  readonly source: unknown
}

const sockets = new WeakMap<object, Known>()

/**
 * The TCP socket under a connection, for a layer that can do better with a socket than with iterables. Undefined for
 * connections over other transports, and where somebody has read ahead of the caller.
 */
export function socketOf(connection: SecurableStream): Socket | undefined {
  const known = sockets.get(connection)
  return known !== undefined && known.source === connection.source && !known.socket.destroyed ? known.socket : undefined
}

/**
 * libp2p's TCP transport, which remembers the socket of every connection that it makes. libp2p itself shows only
 * iterables of bytes, through which everything would pass four times (socket, stream, TLS, stream).
 *
 * How: of an inbound socket the server tells its listeners before the transport's own; of an outbound one the transport's
 * `_connect` tells, which gets the options of that very dial. (An async context would carry it too, but slows down every
 * promise of the process.) Where a later version has other
 * insides nothing is remembered, and connections are merely slower.
 */
export function tappedTcp(options: TCPOptions): TransportFactory {
  return (components) => {
    const transport = tcp(options)(components)
    tapDials(transport)
    tapListeners(transport)
    return transport
  }
}

function remember(connection: MultiaddrConnection, socket: Socket | undefined): void {
  if (socket !== undefined) sockets.set(connection, { socket, source: connection.source })
}

function tapDials(transport: Transport): void {
  const dialled = new WeakMap<object, Socket>()
  const connect: unknown = Reflect.get(transport, '_connect')
  if (typeof connect !== 'function') return
  Reflect.set(transport, '_connect', async (...args: unknown[]): Promise<unknown> => {
    const socket: unknown = await Reflect.apply(connect, transport, args)
    const options = args[1]
    if (typeof options === 'object' && options !== null && socket instanceof Socket) dialled.set(options, socket)
    return socket
  })
  const dial = transport.dial.bind(transport)
  transport.dial = async (address, options) => {
    const own = { ...options }
    own.upgrader = tapped(options.upgrader, () => dialled.get(own))
    return dial(address, own)
  }
}

function tapListeners(transport: Transport): void {
  const createListener = transport.createListener.bind(transport)
  transport.createListener = (options) => {
    let newest: Socket | undefined
    const listener = createListener({ ...options, upgrader: tapped(options.upgrader, () => newest) })
    const server: unknown = Reflect.get(listener, 'server')
    if (server instanceof Server) {
      server.prependListener('connection', (socket) => {
        newest = socket
      })
    }
    return listener
  }
}

function tapped(upgrader: Upgrader, socket: () => Socket | undefined): Upgrader {
  return new Proxy(upgrader, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name)
      if (typeof method !== 'function') return method
      if (name !== 'upgradeInbound' && name !== 'upgradeOutbound') return method.bind(target) as unknown
      return (connection: MultiaddrConnection, ...rest: unknown[]): unknown => {
        remember(connection, socket())
        return Reflect.apply(method, target, [connection, ...rest])
      }
    },
  })
}
