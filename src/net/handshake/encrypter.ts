import type { ConnectionEncrypter, MultiaddrConnection, SecurableStream, SecureConnectionOptions, SecuredConnection } from '@libp2p/interface'
import { asNodeId } from '../../base/index.js'
import type { NodeId } from '../../base/index.js'
import { NetError } from '../types.js'
import { AdmissionRefusedError } from './refusal.js'
import type { Refusal } from './refusal.js'
import { shakeHands } from './handshake.js'
import type { HandshakeComponents, HandshakeInit } from './handshake.js'
import type { HandshakeRole } from './transcript.js'

export interface AdmissionEncrypterInit extends HandshakeInit {
  /** `/mesh/tls/1`: not the inner one's, so that a stranger's node finds no common protocol and stops there. */
  protocol: string
  self: NodeId
  onRefused: (peer: NodeId, refusal: Refusal) => void
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
    return this.#admit(await this.#inner.secureInbound(connection, options), 'responder', options)
  }

  async secureOutbound<Stream extends SecurableStream = MultiaddrConnection>(connection: Stream, options?: SecureConnectionOptions): Promise<SecuredConnection<Stream>> {
    return this.#admit(await this.#inner.secureOutbound(connection, options), 'initiator', options)
  }

  async #admit<Stream extends SecurableStream>(secured: SecuredConnection<Stream>, role: HandshakeRole, options: SecureConnectionOptions | undefined): Promise<SecuredConnection<Stream>> {
    const remote = asNodeId(secured.remotePeer.toString())
    // Other key types have other names; no certificate of ours is about one.
    if (remote === undefined) throw new NetError('NOT_ADMITTED', 'the other side has no Ed25519 key')
    if (remote === this.#init.self) throw new NetError('BAD_ADDRESS', 'that is the address of this node itself')
    try {
      const parties = { role, self: this.#init.self, remote }
      const admitted = await shakeHands(secured.conn, parties, this.#components, this.#init, options?.signal)
      return { ...secured, conn: { ...secured.conn, ...admitted } }
    } catch (error) {
      if (error instanceof AdmissionRefusedError) this.#init.onRefused(remote, error.refusal)
      throw error
    }
  }
}
