import { createHash } from 'node:crypto'
import type { Clock, NodeId, Random, Rpc } from '../../base/index.js'
import { CommonError, withDeadline } from '../../base/index.js'
import type { Parcel } from '../frames.js'
import { ConsensusError } from '../types.js'

/** One piece: well under what one rpc message carries, so that others' messages get through between two of them. */
const pieceBytes = 1024 * 1024
/** A snapshot of 10⁶ registers of usual size. Larger ones would not fit a voter's memory several times over. */
const parcelBytesMax = 256 * 1024 * 1024
/**
 * Fetched at the same time: of one peer what one parcel may be, of all together two. More is refused before memory is taken
 * for it, whatever is announced.
 */
const fetchedBytesMax = 2 * parcelBytesMax
/** Kept for fetching, all together. Beyond it the oldest go: whoever wanted one asks again. */
const keptBytesMax = 512 * 1024 * 1024
/** Fetching is begun at once, and takes seconds at most where voters can be changed in time at all. */
const keptMs = 60_000
const pieceDeadlineMs = 10_000
const idBytes = 16

interface Kept {
  readonly bytes: Uint8Array
  readonly peer: NodeId
  readonly forget: () => void
}

/**
 * Frames that are larger than one rpc message: the sender keeps them and sends a name, the receiver fetches them piece by
 * piece and checks the hash of the whole. Pulled and not pushed, so that a receiver bounds what it takes in.
 *
 * Method `lease.parcel`, request:
 *
 *   offset  bytes
 *   0       16     parcel id
 *   16      4      offset of the first byte wanted, big-endian
 *
 * Answer: the bytes from there on, 1 MiB at most; never empty.
 */
export class Parcels {
  readonly #rpc: Rpc
  readonly #clock: Clock
  readonly #random: Random
  readonly #kept = new Map<string, Kept>()
  #keptBytes = 0
  /** Announced by each peer, of what is being fetched. */
  readonly #fetching = new Map<NodeId, number>()

  constructor(components: { rpc: Rpc; clock: Clock; random: Random }) {
    this.#rpc = components.rpc
    this.#clock = components.clock
    this.#random = components.random
    this.#rpc.register({
      name: 'lease.parcel', requestBytesMax: idBytes + 4, responseBytesMax: pieceBytes, inFlightMax: 4,
      handle: async (body, { from }) => Promise.resolve(this.#piece(body, from)),
    })
  }

  /** Keeps it for this peer alone. */
  offer(peer: NodeId, bytes: Uint8Array): Parcel {
    if (bytes.length > parcelBytesMax) throw new ConsensusError('BAD_MESSAGE', 'a snapshot is too large to be sent', { bytes: bytes.length, bytesMax: parcelBytesMax })
    const id = Buffer.from(this.#random.bytes(idBytes)).toString('hex')
    this.#kept.set(id, { bytes, peer, forget: this.#clock.setTimer(keptMs, () => { this.#forget(id) }) })
    this.#keptBytes += bytes.length
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= keptBytesMax) break
      this.#forget(oldest)
    }
    return { id, bytes: bytes.length, hash: createHash('sha256').update(bytes).digest('hex') }
  }

  /** Throws BAD_MESSAGE if it is not what it was said to be, OVERLOADED, DEADLINE, else what the rpc throws. */
  async fetch(peer: NodeId, parcel: Parcel, signal: AbortSignal): Promise<Uint8Array> {
    if (parcel.bytes > parcelBytesMax) throw new ConsensusError('BAD_MESSAGE', 'a parcel is too large', { bytes: parcel.bytes, bytesMax: parcelBytesMax })
    const before = this.#fetching.get(peer) ?? 0
    let all = 0
    for (const bytes of this.#fetching.values()) all += bytes
    if (before + parcel.bytes > parcelBytesMax || all + parcel.bytes > fetchedBytesMax) throw new CommonError('OVERLOADED', 'too many bytes of parcels are being fetched', { fetchedBytesMax })
    this.#fetching.set(peer, before + parcel.bytes)
    try {
      // Its sender keeps it no longer.
      return await withDeadline(this.#clock, keptMs, signal, async (ends) => this.#fetch(peer, parcel, ends))
    } finally {
      const left = (this.#fetching.get(peer) ?? 0) - parcel.bytes
      if (left > 0) this.#fetching.set(peer, left)
      else this.#fetching.delete(peer)
    }
  }

  async #fetch(peer: NodeId, parcel: Parcel, signal: AbortSignal): Promise<Uint8Array> {
    // Memory for all of it when the first piece is there: to announce costs nothing.
    let whole = new Uint8Array(0)
    for (let at = 0; at < parcel.bytes;) {
      const request = Buffer.alloc(idBytes + 4)
      request.write(parcel.id, 'hex')
      request.writeUInt32BE(at, idBytes)
      const piece = await this.#rpc.request(peer, 'lease.parcel', request, { deadlineMs: pieceDeadlineMs, signal })
      if (piece.length === 0 || piece.length > parcel.bytes - at) throw new ConsensusError('BAD_MESSAGE', 'a piece of a parcel is empty or too long', { at, bytes: piece.length })
      if (at === 0) whole = new Uint8Array(parcel.bytes)
      whole.set(piece, at)
      at += piece.length
    }
    if (createHash('sha256').update(whole).digest('hex') !== parcel.hash) throw new ConsensusError('BAD_MESSAGE', 'a parcel is not what it was said to be')
    return whole
  }

  stop(): void {
    for (const id of [...this.#kept.keys()]) this.#forget(id)
  }

  #piece(body: Uint8Array, from: NodeId): Uint8Array {
    if (body.length !== idBytes + 4) throw new ConsensusError('BAD_MESSAGE', 'a parcel is asked for by id and offset')
    const kept = this.#kept.get(Buffer.from(body.subarray(0, idBytes)).toString('hex'))
    const at = new DataView(body.buffer, body.byteOffset, body.byteLength).getUint32(idBytes)
    if (kept?.peer !== from || at >= kept.bytes.length) throw new ConsensusError('BAD_MESSAGE', 'there is no such parcel')
    return kept.bytes.subarray(at, at + pieceBytes)
  }

  #forget(id: string): void {
    const kept = this.#kept.get(id)
    if (kept === undefined) return
    kept.forget()
    this.#keptBytes -= kept.bytes.length
    this.#kept.delete(id)
  }
}
