import type { Connections, Facts, Gossip, MeshId, NodeId, Rpc } from '../base/index.js'
import { CodedError } from '../base/index.js'

export type MembershipCode =
  /** Not a token, or not one of ours: says what is wrong with it. */
  | 'BAD_INVITE'
  | 'INVITE_EXPIRED'
  | 'WRONG_MESH'
  | 'BAD_CERTIFICATE'
  | 'REVOKED'
  | 'NOT_ADMIN'
  | 'NOT_FOUND'
  /** The proof belongs to another handshake. */
  | 'BAD_PROOF'
  /** What the node says of itself is too long or has characters that no name has. */
  | 'BAD_DESCRIPTION'
  /** This home belongs to a mesh already. */
  | 'ALREADY_MEMBER'
  /** The node that holds the authority key cannot remove itself. */
  | 'OWN_NODE'
  /** The mesh has its first configuration, and it is another one. */
  | 'GENESIS_EXISTS'

export class MembershipError extends CodedError<MembershipCode> {
  constructor(code: MembershipCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/** What a node says of itself, gossiped on `/members` and handed on by anyone; signed by the node. */
export interface NodeDescription {
  readonly peerId: NodeId
  readonly name: string
  readonly region: string
  readonly segment: string
  readonly power: 'mains' | 'battery' | 'unknown'
  readonly addresses: readonly string[]
  readonly version: string
  /** Random per process start (hex): a restart is seen as one. */
  readonly startId: string
}

export type PeerState = 'up' | 'suspect' | 'gone'

/** Of a member that has not described itself yet, the words are empty and there are no addresses. */
export interface Member extends NodeDescription {
  readonly state: PeerState
  /** Unix ms of the last sign of life. */
  readonly lastSeenMs: number
  /**
   * Share of the last 30 days (or since it joined) in which it was reachable, 0…1: of the time in which this node was
   * running and could have known, the part in which the other was `up`.
   */
  readonly reliability: number
  readonly joinedMs: number
  readonly revoked: boolean
}

export interface Invite {
  readonly token: string
  readonly meshId: MeshId
  readonly expiresAtMs: number
}

/** Encoded certificate and the other side's check: what the admission handshake needs. */
export interface Admission {
  readonly meshId: MeshId
  /** This node's membership certificate, encoded. */
  certificate(): Uint8Array
  /** A signature by this node's key over the handshake's transcript. */
  prove(transcript: Uint8Array): Promise<Uint8Array>
  /** Throws `MembershipError` that says why `peer` is not let in. */
  check(peer: NodeId, certificate: Uint8Array, transcript: Uint8Array, proof: Uint8Array): Promise<void>
}

export interface MembershipEvents {
  /** A member was seen for the first time, changed its description or its state. */
  changed: Member
  /** Cut it off now. May be the key of an invite that was taken back: then it is nobody's name. */
  revoked: NodeId
}

/** What membership needs of the network. */
export interface MembershipNetwork {
  readonly connections: Connections
  readonly gossip: Gossip
  readonly rpc: Rpc
  /** Closes all connections to a peer and stops redialling it. */
  cut(peer: NodeId): Promise<void>
  /** Keeps a member connected from now on. */
  keep(peer: NodeId, addresses: () => readonly string[]): void
  /** Stops redialling a peer that is no longer among the neighbours of a large mesh, without cutting it. */
  release?(peer: NodeId): void
  onWake(listener: (sleptMs: number) => void): () => void
}

export interface Membership extends Admission {
  /** Whether this node holds the authority key, and so can invite and remove. */
  readonly isAdmin: boolean
  /**
   * A token good for any number of nodes until `expiresMs` (a duration) from now. `addresses` are multiaddrs to knock at,
   * with `/p2p/…`. Throws NOT_ADMIN; BAD_INVITE for a duration of nothing or more than a year, or a bad address.
   */
  invite(options: { expiresMs: number; addresses: readonly string[] }): Promise<Invite>
  /** Signs a revocation, and one of the invite it came by if that is still good; stores them, spreads them. Throws NOT_ADMIN, NOT_FOUND, OWN_NODE. For good; twice is once. */
  remove(peer: NodeId): Promise<void>
  isRevoked(peer: NodeId): boolean
  /** Whether `peer` would be let in on what this node knows now. */
  isMember(peer: NodeId): boolean
  /** What the authority signed for everybody from the first day (the voters' first configuration), if it has. */
  genesis(): Uint8Array | undefined
  /**
   * Signs `body` (at most 1 KiB) as the mesh's genesis; from then it is in every invite and spreads to every member. Only
   * once: the same again is nothing, another throws GENESIS_EXISTS. Throws NOT_ADMIN.
   */
  setGenesis(body: Uint8Array): Promise<void>
  /** Multiaddrs from the invite that this node joined with: whom to dial while no member is known. */
  bootstrap(): readonly string[]
  member(peer: NodeId): Member | undefined
  /** Whether there is anything that `member` would say: asked of each record that comes in. */
  isOrWasMember(peer: NodeId): boolean
  /** All known members, this node included. */
  members(): Member[]
  /** Addresses to dial a member at, freshest first. */
  addressesOf(peer: NodeId): readonly string[]
  describeSelf(description: Omit<NodeDescription, 'peerId' | 'startId'>): void
  on<Name extends keyof MembershipEvents>(name: Name, listener: (event: MembershipEvents[Name]) => void): () => void
  /** Gossip, heartbeats, failure detection, until the signal aborts. The network comes last: it needs `Admission` itself. */
  run(network: MembershipNetwork, signal: AbortSignal): Promise<void>
}
