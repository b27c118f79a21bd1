import type { Clock, Rpc, RpcContext } from '../base/index.js'
import { prove } from './challenge.js'
import type { Conduct } from './conduct.js'
import type { Dropper } from './dropper.js'
import type { Inventory } from './inventory.js'
import { decode, decodeCid, decodeVitals } from './messages.js'
import type { RateLimit } from './rate.js'
import { Rate } from './rate.js'
import type { Target } from './target.js'
import type { ReplicationComponents } from './types.js'
import { ReplicationError } from './types.js'
import { askedMax } from './vouching.js'
import type { Vouching } from './vouching.js'
import { ChallengeRequest, ChallengeResponse, HaveRequest, HaveResponse, InventoryRequest, InventoryResponse, Vitals } from './wire/replication.js'

export interface MethodHandlers {
  readonly clock: Clock
  readonly conduct: Conduct
  readonly target: Target
  readonly dropper: Dropper
  readonly inventory: Inventory
  readonly blobs: ReplicationComponents['blobs']
  /** Takes the caller's vitals and answers with this node's. */
  readonly swapVitals: (theirs: Vitals, context: RpcContext) => Vitals
  readonly vouching: Vouching
  readonly self: RpcContext['from']
}

/** Two CIDs and 64 names of 52 characters, with room. */
const storeBytesMax = 8 * 1024
const smallBytesMax = 1024
const haveMax = 1024
/** A vitals message with the longest delta. */
export const vitalsBytesMax = 16 * 1024
/** Changes that a vitals message carries at most: half of its size, so that what else is in it always fits. */
export const vitalsDeltaMax = 1600
/** 40,000 fingerprints of 5 bytes, and some. */
const inventoryBytesMax = 256 * 1024

/**
 * Requests of one peer that are answered: several times what an honest one sends at its busiest. What is dear has the
 * narrower limits: an answer of `inventory` or `have` takes milliseconds, one of `challenge` reads the disk.
 */
export const rates = {
  // Two dozen at once over a fast line; small blobs take a few milliseconds each.
  store: { burst: 4096, perSecond: 1024 },
  confirmKeep: { burst: 4096, perSecond: 1024 },
  // One for each confirmation; what it reads has a limit of its own.
  proveKept: { burst: 4096, perSecond: 1024 },
  release: { burst: 4096, perSecond: 1024 },
  // One in some minutes.
  challenge: { burst: 64, perSecond: 4 },
  // At the end of a spread put, 1,024 blobs each.
  have: { burst: 128, perSecond: 8 },
  // All vouchers of a member every 5 s: 32 requests at most.
  vouched: { burst: 64, perSecond: 8 },
  // The longest inventory has 27 pages.
  inventory: { burst: 64, perSecond: 4 },
  // One for each new connection.
  vitals: { burst: 32, perSecond: 2 },
} as const satisfies Record<string, RateLimit>

/** The rows of this room; README.md of `protocols/replication` has them as a table. */
export function registerMethods(rpc: Rpc, handlers: MethodHandlers): void {
  const { target, dropper, inventory, blobs, vouching, self, clock, conduct } = handlers
  const row = (
    name: keyof typeof rates,
    limits: { requestBytesMax: number; responseBytesMax: number; inFlightMax: number },
    handle: (body: Uint8Array, context: RpcContext) => Promise<Uint8Array>,
  ): void => {
    const rate = new Rate({ clock }, rates[name])
    rpc.register({
      name: `replication.${name}`,
      ...limits,
      handle: async (body, context) => {
        if (!rate.allow(context.from)) {
          conduct.offended(context.from, 'flood')
          throw new ReplicationError('OVERLOADED', 'more requests than this node answers one peer in so short a time', { ...rates[name] })
        }
        try {
          return await handle(body, context)
        } catch (error) {
          if (error instanceof ReplicationError && error.code === 'BAD_INPUT') conduct.offended(context.from, 'garbage')
          throw error
        }
      },
    })
  }
  row('store', { requestBytesMax: storeBytesMax, responseBytesMax: smallBytesMax, inFlightMax: 64 }, (body, { from, signal }) => target.store(body, from, signal))
  row('confirmKeep', { requestBytesMax: smallBytesMax, responseBytesMax: smallBytesMax, inFlightMax: 16 }, (body, { from, signal }) => dropper.confirmKeep(body, from, signal))
  row('proveKept', { requestBytesMax: smallBytesMax, responseBytesMax: smallBytesMax, inFlightMax: 8 }, (body, { from, signal }) => dropper.proveKept(body, from, signal))
  row('release', { requestBytesMax: smallBytesMax, responseBytesMax: smallBytesMax, inFlightMax: 16 }, (body, { from, signal }) => dropper.release(body, from, signal))
  row('challenge', { requestBytesMax: smallBytesMax, responseBytesMax: smallBytesMax, inFlightMax: 2 }, async (body, { signal }) => {
    const request = decode(ChallengeRequest, body)
    const cid = decodeCid(request.cid)
    const { challenge } = request
    const isHere = (await blobs.held(cid)) !== undefined
    const proof = isHere && challenge !== undefined ? await prove(blobs, cid.toString(), challenge, 'spot', self, signal) : undefined
    // What rotted on the disk is no copy; who says so is no liar.
    const held = isHere && (challenge === undefined || proof !== undefined)
    return ChallengeResponse.encode({ held, proof: proof ?? new Uint8Array(0) })
  })
  row('have', { requestBytesMax: haveMax * 52, responseBytesMax: haveMax + 64, inFlightMax: 4 }, async (body) => {
    const { cids } = decode(HaveRequest, body, { cids: haveMax })
    const held = new Uint8Array(cids.length)
    let i = 0
    for (const cid of cids) held[i++] = (await blobs.held(decodeCid(cid))) === undefined ? 0 : 1
    return HaveResponse.encode({ held })
  })
  row('vouched', { requestBytesMax: askedMax * 52, responseBytesMax: askedMax * 53 + 64, inFlightMax: 2 }, (body) => vouching.answer(body))
  // One at a time per peer: a page of 40,000 takes milliseconds to make, and nobody needs two at once.
  row('inventory', { requestBytesMax: smallBytesMax, responseBytesMax: inventoryBytesMax, inFlightMax: 1 }, async (body) => {
    return InventoryResponse.encode(inventory.answer(decode(InventoryRequest, body)))
  })
  row('vitals', { requestBytesMax: vitalsBytesMax, responseBytesMax: vitalsBytesMax, inFlightMax: 2 }, async (body, context) => {
    return Vitals.encode(handlers.swapVitals(decodeVitals(body), context))
  })
}
