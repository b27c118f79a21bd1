import type { CallOptions, Clock, NodeId, Rpc, RpcMethod } from '../base/index.js'
import { verifiedAnnouncement } from './announcement.js'
import { difference, digestOf, fitting, wanted } from './digest.js'
import { syncBytesMax, syncRoundsMax } from './limits.js'
import type { SyncMessage } from './messages.js'
import { decodeSync, encodeSync } from './messages.js'
import { badCertificate } from './sentences.js'
import type { MembershipService } from './service.js'

/**
 * `membership.sync`: two members make their tables equal. The caller sends a digest of all it has; the answer holds what
 * the caller lacks and names what the other lacks; the caller sends that. One exchange costs two round trips if something
 * differs, one if nothing does; large differences go on in messages of at most 256 KiB.
 */
export interface ExchangeComponents {
  service: MembershipService
  rpc: Rpc
  clock: Clock
}

export const syncMethod = 'membership.sync'

/** Items after which other work gets a turn: thirty-two are some 15 ms of signatures. */
const itemsPerTurn = 32

export class Exchange {
  readonly #components: ExchangeComponents

  constructor(components: ExchangeComponents) {
    this.#components = components
  }

  row(): RpcMethod {
    return {
      name: syncMethod,
      requestBytesMax: syncBytesMax,
      responseBytesMax: syncBytesMax,
      // A probe may have to be answered while an exchange is going on; more is of no use to anybody.
      inFlightMax: 2,
      handle: async (body, { from, signal }) => {
        this.#components.service.heard(from)
        return this.#answer(decodeSync(body), signal)
      },
    }
  }

  /** Asks for nothing but an answer. */
  async probe(peer: NodeId, options: CallOptions): Promise<void> {
    await this.#components.rpc.request(peer, syncMethod, encodeSync({}), options)
    this.#components.service.heard(peer)
  }

  /** Throws what the rpc throws, and BAD_CERTIFICATE for an answer that is garbage. */
  async with(peer: NodeId, options: CallOptions & { signal: AbortSignal }): Promise<void> {
    const { service, rpc } = this.#components
    let offered = 0
    for (let round = 0; round < syncRoundsMax; round++) {
      const request = encodeSync({ digest: digestOf(service.roster), genesis: service.signedGenesis() })
      const answer = decodeSync(await rpc.request(peer, syncMethod, request, options))
      service.heard(peer)
      await this.#take(answer, options.signal)
      // What the other wants is sent once: what it then refuses (its clock may differ) would be wanted for ever.
      let items = offered === 0 ? wanted(service.roster, answer.wants) : []
      if (items === undefined) throw badCertificate('the answer asks for what no digest has')
      while (items.length > 0 && offered < syncRoundsMax) {
        offered++
        const { items: next, more } = fitting(items)
        await rpc.request(peer, syncMethod, encodeSync({ items: next }), options)
        items = more ? items.slice(next.length) : []
      }
      if (!answer.more) break
    }
    service.exchanged()
  }

  async #answer(message: SyncMessage, signal: AbortSignal): Promise<Uint8Array> {
    const { service } = this.#components
    await this.#take(message, signal)
    if (message.digest === undefined) return encodeSync({})
    const found = difference(service.roster, message.digest)
    if (found === undefined) throw badCertificate('a digest has a wrong length')
    const genesis = service.signedGenesis()
    return encodeSync({ ...found, genesis })
  }

  /** Revocations first, so that nothing is admitted on the word of somebody who is out. */
  async #take(message: SyncMessage, signal: AbortSignal): Promise<void> {
    const { service, clock } = this.#components
    if (message.genesis !== undefined) await service.takeGenesis(message.genesis)
    for (const [i, revocation] of message.revocations.entries()) {
      if (i > 0 && i % itemsPerTurn === 0) await clock.sleep(0, signal)
      await service.takeRevocation(revocation)
    }
    // All records at once, since one may be trusted on the word of another that stands behind it; their signatures are
    // checked in turns before, in which what is known or wrong costs nothing later.
    const { records, announcements } = message
    for (let i = 0; i < records.length; i += itemsPerTurn) {
      service.verifyRecords(records.slice(i, i + itemsPerTurn))
      if (i + itemsPerTurn < records.length) await clock.sleep(0, signal)
    }
    service.takeVerifiedRecords(records)
    for (const [i, announcement] of announcements.entries()) {
      if (i > 0 && i % itemsPerTurn === 0) await clock.sleep(0, signal)
      service.takeAnnouncement(verifiedAnnouncement(service.authorityId, announcement))
    }
  }
}
