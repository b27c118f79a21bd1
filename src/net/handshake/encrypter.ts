import type { ConnectionEncrypter, MultiaddrConnection, SecurableStream, SecureConnectionOptions, SecuredConnection } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import { asNodeId } from '../../base/index.js'
import type { Cancel, NodeId } from '../../base/index.js'
import { NetError } from '../types.js'
import { AdmissionRefusedError } from './refusal.js'
import type { Refusal } from './refusal.js'
import { shakeHands } from './handshake.js'
import type { HandshakeComponents, HandshakeInit } from './handshake.js'
import type { HandshakeRole } from './transcript.js'
import { delayed } from '../transport/delay.js'
import { socketOf } from '../transport/sockets.js'

export interface AdmissionEncrypterInit extends HandshakeInit {
  /** `/mesh/tls/1`: not the inner one's, so that a stranger's node finds no common protocol and stops there. */
  protocol: string
  self: NodeId
  onRefused: (peer: NodeId, refusal: Refusal) => void
  /** For tests: how much later than sent bytes to a peer leave. */
  delayMs?: ((peer: NodeId) => number) | undefined
}

/**
 * A connection encrypter that is another one plus admission. Admission happens here and nowhere else: whatever libp2p
 * builds on top of the connection that this returns (muxer, identify, gossip, DHT, our own protocols) has members on the
 * other end only.
 */
export class AdmissionEncrypter implements ConnectionEncrypter {
  readonly protocol: string
  readonly #inner: ConnectionEncrypter
  readonly #components: HandshakeComponents
  readonly #init: AdmissionEncrypterInit

  constructor(components: HandshakeComponents & { inner: ConnectionEncrypter }, init: AdmissionEncrypterInit) {
    this.protocol = init.protocol
    this.#inner = components.inner
    this.#components = components
    this.#init = init
  }

  async secureInbound<Stream extends SecurableStream = MultiaddrConnection>(connection: Stream, options?: SecureConnectionOptions): Promise<SecuredConnection<Stream>> {
    const hangUp = watchOf(connection)
    return this.#admit(await this.#inner.secureInbound(connection, options), 'responder', hangUp, options)
  }

  async secureOutbound<Stream extends SecurableStream = MultiaddrConnection>(connection: Stream, options?: SecureConnectionOptions): Promise<SecuredConnection<Stream>> {
    const hangUp = watchOf(connection)
    return this.#admit(await this.#inner.secureOutbound(connection, options), 'initiator', hangUp, options)
  }

  async #admit<Stream extends SecurableStream>(
    secured: SecuredConnection<Stream>,
    role: HandshakeRole,
    hangUp: HangUpWatch | undefined,
    options: SecureConnectionOptions | undefined,
  ): Promise<SecuredConnection<Stream>> {
    const remote = asNodeId(secured.remotePeer.toString())
    // Other key types have other names; no certificate of ours is about one.
    if (remote === undefined) throw new NetError('NOT_ADMITTED', 'the other side has no Ed25519 key')
    if (remote === this.#init.self) throw new NetError('BAD_ADDRESS', 'that is the address of this node itself')
    const controller = new AbortController()
    const onAbort = (): void => controller.abort(options?.signal?.reason)
    options?.signal?.addEventListener('abort', onAbort, { once: true })
    let cancel: Cancel = () => undefined
    hangUp?.start(() => {
      // What came before the end may still be on its way through the inner layer.
      cancel = this.#components.clock.setTimer(afterHangUpMs, () => controller.abort(new NetError('UNAVAILABLE', 'the other side hung up during the handshake')))
    })
    try {
      const parties = { role, self: this.#init.self, remote }
      const admitted = await shakeHands(secured.conn, parties, this.#components, this.#init, controller.signal)
      const conn = { ...secured.conn, ...admitted }
      const { delayMs } = this.#init
      return { ...secured, conn: delayMs === undefined ? conn : delayed(conn, this.#components.clock, () => delayMs(remote)) }
    } catch (error) {
      if (error instanceof AdmissionRefusedError) this.#init.onRefused(remote, error.refusal)
      throw error
    } finally {
      hangUp?.stop()
      cancel()
      options?.signal?.removeEventListener('abort', onAbort)
    }
  }
}

/** A busy machine may take this long to work through what had arrived before the end. */
const afterHangUpMs = 1_000

/** A layer that works on the socket itself sees its end, and would not be given one whose source somebody has changed. */
function watchOf(connection: SecurableStream): HangUpWatch | undefined {
  return socketOf(connection) === undefined ? new HangUpWatch(connection) : undefined
}

/**
 * Sees the end of the raw connection. The TLS layer of this libp2p does not pass it on while nobody has closed its other
 * direction, so that a handshake with somebody who hung up would last until its deadline.
 */
class HangUpWatch {
  #hungUp = false
  #listener: (() => void) | undefined

  constructor(connection: SecurableStream) {
    // What a transport calls its source need not be a whole generator.
    const inner: AsyncIterator<Uint8Array | Uint8ArrayList> = connection.source[Symbol.asyncIterator]()
    const ended = (): void => {
      this.#hungUp = true
      this.#listener?.()
    }
    let watching = true
    this.stop = () => {
      this.#listener = undefined
      watching = false
    }
    connection.source = {
      next: () => {
        const result = inner.next()
        if (watching) {
          result.then(({ done }) => {
            if (done === true) ended()
          }, ended)
        }
        return result
      },
      return: async (value: unknown) => (await inner.return?.(value)) ?? { done: true, value },
      throw: async (error: unknown) => {
        if (inner.throw === undefined) throw error
        return inner.throw(error)
      },
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  start(listener: () => void): void {
    this.#listener = listener
    if (this.#hungUp) listener()
  }

  readonly stop: () => void
}
