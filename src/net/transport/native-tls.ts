import { tls } from '@libp2p/tls'
import type { ConnectionEncrypter, Logger, MultiaddrConnection, PeerId, PrivateKey, SecurableStream, SecureConnectionOptions, SecuredConnection, StreamMuxerFactory } from '@libp2p/interface'
import type { Socket } from 'node:net'
import { TLSSocket, connect } from 'node:tls'
import type { TLSSocketOptions } from 'node:tls'
import { messageOf } from '../../base/index.js'
import { NetError } from '../types.js'
import { DuplexSocket } from './duplex-socket.js'
import { socketOf } from './sockets.js'

type TlsFactory = ReturnType<typeof tls>
type TlsComponents = Parameters<TlsFactory>[0]

/** Certificate of this node as the libp2p TLS specification wants it, and the check of the other side's. */
interface Certificates {
  generateCertificate(key: PrivateKey): Promise<{ cert: string; key: string }>
  verifyPeerCertificate(raw: Uint8Array, expected?: PeerId, log?: Logger): Promise<PeerId>
}

/** What ALPN says where no muxer is agreed on (libp2p's TLS specification). */
const plainProtocol = 'libp2p'

/**
 * libp2p's TLS 1.3 (https://github.com/libp2p/specs/blob/master/tls/tls.md), the same on the wire and with the library's
 * own certificates, but the cipher works on the socket itself: bytes go from the kernel through OpenSSL to us. The
 * library wraps iterables in a stream and TLS around that, because it does not know sockets: every 16 KiB then cross
 * into JavaScript and back twice more. Measured: see `npm run bench -- net`.
 *
 * Connections without a socket (a relayed one) take the library's way.
 */
export function nativeTls(): (components: TlsComponents) => ConnectionEncrypter {
  return (components) => new NativeTls(components)
}

class NativeTls implements ConnectionEncrypter {
  readonly protocol: string
  readonly #library: ConnectionEncrypter
  readonly #components: TlsComponents
  #identity: Promise<{ cert: string; key: string }> | undefined

  constructor(components: TlsComponents) {
    this.#components = components
    this.#library = tls()(components)
    this.protocol = this.#library.protocol
  }

  async secureInbound<Stream extends SecurableStream = MultiaddrConnection>(connection: Stream, options?: SecureConnectionOptions): Promise<SecuredConnection<Stream>> {
    return (await this.#secure(connection, true, options)) ?? this.#library.secureInbound(connection, options)
  }

  async secureOutbound<Stream extends SecurableStream = MultiaddrConnection>(connection: Stream, options?: SecureConnectionOptions): Promise<SecuredConnection<Stream>> {
    return (await this.#secure(connection, false, options)) ?? this.#library.secureOutbound(connection, options)
  }

  async #secure<Stream extends SecurableStream>(connection: Stream, isServer: boolean, options: SecureConnectionOptions | undefined): Promise<SecuredConnection<Stream> | undefined> {
    if (socketOf(connection) === undefined) return undefined
    const certificates = await loaded()
    if (certificates === undefined) return undefined
    // One for all connections of this start: making a key takes longer than the rest of a handshake.
    this.#identity ??= certificates.generateCertificate(this.#components.privateKey)
    const identity = await this.#identity
    const socket = socketOf(connection)
    if (socket === undefined) return undefined
    await written(socket)
    // Node wraps a socket that is gone in a stream of which nothing is ever heard.
    if (socket.destroyed) throw new NetError('UNAVAILABLE', 'the other side hung up before the handshake')
    // What was left of the protocol negotiation in the socket's own buffer is taken over by TLS; but not by a timer.
    socket.setTimeout(0)
    let muxer: StreamMuxerFactory | undefined
    const muxers = options?.skipStreamMuxerNegotiation === true ? [] : [...this.#components.upgrader.getStreamMuxers().keys()]
    const settings: TLSSocketOptions = {
      ...identity,
      minVersion: 'TLSv1.3',
      maxVersion: 'TLSv1.3',
      // The certificate signs itself; whose it is stands in an extension, which is checked below.
      rejectUnauthorized: false,
      requestCert: true,
      ALPNProtocols: [...muxers, plainProtocol],
    }
    const choose = ({ protocols }: { protocols: string[] }): string | undefined => {
      const chosen = protocols.find((protocol) => muxers.includes(protocol))
      muxer = chosen === undefined ? undefined : this.#components.upgrader.getStreamMuxers().get(chosen)
      return chosen ?? (protocols.includes(plainProtocol) ? plainProtocol : undefined)
    }
    const secured = isServer ? new TLSSocket(socket, { ...settings, isServer, ALPNCallback: choose }) : connect({ ...settings, socket })
    try {
      await handshake(secured, options?.signal)
      const raw = secured.getPeerCertificate().raw as Buffer | undefined
      if (raw === undefined) throw new NetError('NOT_ADMITTED', 'the other side showed no certificate')
      const remotePeer = await certificates.verifyPeerCertificate(raw, options?.remotePeer)
      options?.signal?.throwIfAborted()
      if (!isServer && typeof secured.alpnProtocol === 'string' && secured.alpnProtocol !== plainProtocol) {
        muxer = this.#components.upgrader.getStreamMuxers().get(secured.alpnProtocol)
        if (muxer === undefined) throw new NetError('BAD_FRAME', 'the other side chose a muxer that this one did not offer')
      }
      const duplex = new DuplexSocket(secured)
      return { remotePeer, conn: { ...connection, source: duplex.source, sink: duplex.sink }, ...(muxer === undefined ? {} : { streamMuxer: muxer }) }
    } catch (error) {
      secured.destroy()
      throw error
    }
  }
}

/** Answers of the negotiation are out before TLS takes the socket over. */
async function written(socket: Socket): Promise<void> {
  for (let i = 0; i < turnsMax && socket.writableLength > 0; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}
/** A few bytes leave within a turn or two; whoever does not take them is not waited for. */
const turnsMax = 64

async function handshake(socket: TLSSocket, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted()
  await new Promise<void>((resolve, reject) => {
    const end = (error?: Error): void => {
      socket.removeListener('secure', onSecure)
      socket.removeListener('close', onClose)
      signal?.removeEventListener('abort', onAbort)
      if (error === undefined) resolve()
      else reject(error)
    }
    const onSecure = (): void => { end() }
    const onClose = (): void => { end(new NetError('UNAVAILABLE', 'the other side hung up during the handshake')) }
    const onAbort = (): void => { end(new NetError('UNAVAILABLE', 'the handshake took too long')) }
    socket.once('secure', onSecure)
    socket.once('close', onClose)
    // Stays: a socket without a listener for errors would end the process.
    socket.on('error', (error) => { end(new NetError('UNAVAILABLE', `the TLS handshake failed: ${messageOf(error)}`, {}, { cause: error })) })
    signal?.addEventListener('abort', onAbort)
  })
}

let found: Promise<Certificates | undefined> | undefined

/**
 * The library's own functions, which it does not export: better than a second hand at X.509. Found beside its entry; if
 * a later version keeps them elsewhere, its encrypter does everything (a test says when that happens).
 */
function loaded(): Promise<Certificates | undefined> {
  found ??= import(new URL('./utils.js', import.meta.resolve('@libp2p/tls')).href).then(
    (module: unknown) => (isCertificates(module) ? module : undefined),
    () => undefined,
  )
  return found
}

/** Whether the fast way is there at all. */
export async function hasNativeTls(): Promise<boolean> {
  return (await loaded()) !== undefined
}

function isCertificates(module: unknown): module is Certificates {
  return typeof module === 'object' && module !== null && 'generateCertificate' in module && typeof module.generateCertificate === 'function'
    && 'verifyPeerCertificate' in module && typeof module.verifyPeerCertificate === 'function'
}
