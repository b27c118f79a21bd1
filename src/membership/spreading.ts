import { setMaxListeners } from 'node:events'
import { Limiter, backoffMs, codeOf, messageOf } from '../base/index.js'
import type { Clock, GossipTopic, GossipVerdict, Log, NodeId, Random } from '../base/index.js'
import { Exchange } from './exchange.js'
import { gossipBytesMax } from './limits.js'
import { sleptBetween } from './liveness.js'
import type { GossipMessage } from './messages.js'
import { decodeGossip, encodeAnnouncementMessage, encodeBeat, encodeRevocationMessage } from './messages.js'
import { neighboursOf } from './neighbours.js'
import type { MembershipService } from './service.js'
import type { MembershipInit } from './settings.js'
import { livenessIn, scaled } from './settings.js'
import type { MembershipNetwork } from './types.js'
import { MembershipError } from './types.js'

/**
 * Carries the table about: gossip (fast, to all, unreliable), an exchange on every new connection and now and then with
 * somebody at random (repairs what gossip lost, so that nothing depends on one delivery), beats and probes, and whom to
 * stay connected to. All of it ends with the signal.
 */
export interface SpreadingComponents {
  service: MembershipService
  network: MembershipNetwork
  clock: Clock
  random: Random
  log: Log
}

/** Exchanges at once: they are of some use to each other (what the first brought, the next need not). */
const exchangesMax = 4
const probesMax = 16
/** An exchange over a slow link: 512 KiB at 1 Mbit/s, and the other side's signatures. */
const exchangeDeadlineMs = 20_000
/** Tries of the exchange on a new connection; the periodic one takes over. */
const exchangeTriesMax = 4
/** A beat that speaks of an unknown announcement asks for an exchange, at most so often. */
const catchUpMs = 5000
/** gossipsub drops what is sent before its first heartbeat on a fresh subscription (1 s): say it again after. */
const sayAgainMs = 3000
const tickMsMax = 5000

export class Spreading {
  readonly #components: SpreadingComponents
  readonly #init: MembershipInit
  readonly #exchange: Exchange
  readonly #exchanges = new Limiter({ concurrency: exchangesMax })
  readonly #probes = new Limiter({ concurrency: probesMax })
  readonly #exchanging = new Set<NodeId>()
  readonly #probing = new Set<NodeId>()
  readonly #kept = new Set<NodeId>()
  /** The last beat of each author: an old one played again is no sign of life. */
  readonly #beats = new Map<NodeId, { startId: string; count: number }>()
  readonly #children = new Set<Promise<void>>()
  #beatCount = 0
  #catchUpAtMs = 0
  #areNeighboursDue = true

  constructor(components: SpreadingComponents, init: MembershipInit) {
    const { service, network, clock } = components
    this.#components = components
    this.#init = init
    this.#exchange = new Exchange({ service, rpc: network.rpc, clock })
  }

  async run(signal: AbortSignal): Promise<void> {
    const { service, network } = this.#components
    // One listener for each thing under way, and each of those is bounded: not the leak that Node warns of at ten.
    setMaxListeners(0, signal)
    network.rpc.register(this.#exchange.row())
    const topic = network.gossip.topic('members', { messageBytesMax: gossipBytesMax })
    const unsubscribe = [
      topic.subscribe(async (message, from) => this.#hear(message, from)),
      network.connections.on('connected', (peer) => {
        this.#met(peer, topic, signal)
      }),
      network.onWake(() => {
        this.#woke(topic, signal)
      }),
      service.on('revoked', (peer) => {
        this.#spawn(this.#expel(peer, topic))
      }),
      service.on('changed', () => {
        this.#areNeighboursDue = true
      }),
    ]
    try {
      this.#keepBootstrap()
      this.#keepNeighbours()
      for (const peer of network.connections.connected()) this.#met(peer, topic, signal)
      this.#spawn(this.#ticking(topic, signal))
      this.#spawn(this.#announcing(topic, signal))
      this.#spawn(this.#beating(topic, signal))
      this.#spawn(this.#syncing(signal))
      // Children only ever end early by the signal; each wait may have brought new ones.
      while (this.#children.size > 0) await Promise.all([...this.#children])
    } finally {
      for (const off of unsubscribe) off()
    }
  }

  // Hearing ---------------------------------------------------------------------------------------------------------

  async #hear(bytes: Uint8Array, from: NodeId): Promise<GossipVerdict> {
    const { service } = this.#components
    if (from === service.self) return 'accept'
    // An honest forwarder may not know yet that the author is out, so this is no reason to think ill of it.
    if (service.isRevoked(from)) return 'ignore'
    try {
      return await this.#take(decodeGossip(service.authorityId, bytes), from)
    } catch (error) {
      if (error instanceof MembershipError) {
        this.#components.log.debug('a message about members was rejected', { from, reason: error.message })
        return 'reject'
      }
      // Our own trouble (the disk): the sender is not to blame, and an exchange will bring it again.
      this.#components.log.error('a message about members could not be taken in', { from, reason: messageOf(error) })
      return 'ignore'
    }
  }

  async #take(message: GossipMessage, from: NodeId): Promise<GossipVerdict> {
    const { service } = this.#components
    switch (message.kind) {
      case 'announcement': {
        const { announcement, certificate } = message
        if (announcement.description.peerId !== from || certificate.own.peer !== from) return 'reject'
        if (certificate.meshId !== service.meshId) return 'reject'
        const records = [certificate.own, ...certificate.endorsers]
        service.verifyRecords(records)
        service.takeVerifiedRecords(records)
        // Whom we cannot trust others may: their clocks, and whom they met, differ.
        if (!service.isMember(from)) return 'ignore'
        return service.takeAnnouncement(announcement) ? 'accept' : 'ignore'
      }
      case 'beat':
        return this.#takeBeat(message, from)
      case 'revocation':
        return (await service.takeRevocation(message.revocation)) ? 'accept' : 'ignore'
      case 'unknown':
        // Handed on: newer nodes behind us may know what to do with it.
        return service.isMember(from) ? 'accept' : 'ignore'
    }
  }

  #takeBeat(beat: GossipMessage & { kind: 'beat' }, from: NodeId): GossipVerdict {
    const { service } = this.#components
    const known = service.roster.entry(from)
    if (known === undefined || !service.isMember(from)) {
      this.#catchUp()
      return 'ignore'
    }
    const last = this.#beats.get(from)
    if (last?.startId === beat.startId && last.count >= beat.count) return 'ignore'
    const announced = known.announcement
    if (announced === undefined || announced.madeMs < beat.announcedMs) this.#catchUp()
    // A beat of an earlier start than the one announced is from before a restart.
    else if (announced.description.startId !== beat.startId) return 'ignore'
    this.#beats.set(from, { startId: beat.startId, count: beat.count })
    service.heard(from)
    return 'accept'
  }

  /** Somebody is spoken of whom we do not know: ask a neighbour, soon and not often. */
  #catchUp(): void {
    const nowMs = this.#components.clock.monotonicMs()
    if (this.#catchUpAtMs === 0) this.#catchUpAtMs = nowMs + catchUpMs
  }

  // Meeting ---------------------------------------------------------------------------------------------------------

  #met(peer: NodeId, topic: GossipTopic, signal: AbortSignal): void {
    const { service, network } = this.#components
    // Its handshake was over just before its removal came, and its connection is up just after.
    if (service.isRevoked(peer)) {
      this.#spawn(this.#expel(peer, topic))
      return
    }
    service.heard(peer)
    // Both ends want the exchange and one is enough: the lesser name begins, the other waits a little for that.
    const delayMs = network.connections.self < peer ? 0 : 2000
    this.#spawn(this.#exchangeWith(peer, delayMs, signal))
    if (network.connections.connected().length === 1) this.#spawn(this.#sayAgain(topic, signal))
  }

  async #exchangeWith(peer: NodeId, delayMs: number, signal: AbortSignal): Promise<void> {
    const { clock, random, network, log } = this.#components
    if (this.#exchanging.has(peer)) return
    this.#exchanging.add(peer)
    try {
      if (delayMs > 0) await clock.sleep(delayMs, signal)
      for (let attempt = 0; attempt < exchangeTriesMax && network.connections.isConnected(peer); attempt++) {
        if (attempt > 0) await clock.sleep(backoffMs(attempt, { minMs: 500, maxMs: 10_000 }, random), signal)
        try {
          await this.#exchanges.run(async () => this.#exchange.with(peer, { deadlineMs: exchangeDeadlineMs, signal }), signal)
          return
        } catch (error) {
          if (signal.aborted) return
          log.debug('an exchange about members failed', { peer, code: codeOf(error) ?? 'UNKNOWN', reason: messageOf(error) })
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      this.#exchanging.delete(peer)
    }
  }

  #woke(topic: GossipTopic, signal: AbortSignal): void {
    const { service, network } = this.#components
    service.woke()
    for (const peer of network.connections.connected()) this.#spawn(this.#exchangeWith(peer, 0, signal))
    this.#spawn(this.#sayAgain(topic, signal))
  }

  async #expel(peer: NodeId, topic: GossipTopic): Promise<void> {
    const { service, network, log } = this.#components
    const revocation = service.roster.revocation(peer)
    if (revocation !== undefined) await this.#publish(topic, encodeRevocationMessage(revocation))
    this.#kept.delete(peer)
    this.#beats.delete(peer)
    // With it go those who are members by its word alone, until somebody else speaks for them.
    const strangers = network.connections.connected().filter((other) => other !== peer && !service.isMember(other))
    for (const gone of peer === service.self ? [] : [peer, ...strangers]) {
      if (gone !== peer) log.info('a node is cut off: only a removed member spoke for it', { peer: gone, removed: peer })
      this.#kept.delete(gone)
      try {
        await network.cut(gone)
      } catch (error) {
        log.warn('cutting off a removed node failed', { peer: gone, reason: messageOf(error) })
      }
    }
  }

  // Telling ---------------------------------------------------------------------------------------------------------

  async #announcing(topic: GossipTopic, signal: AbortSignal): Promise<void> {
    const { service } = this.#components
    await this.#repeat(signal, () => this.#init.announceMs * scaled(service.roster.size), async () => {
      service.renewAnnouncement()
      await this.#announce(topic)
    })
  }

  async #sayAgain(topic: GossipTopic, signal: AbortSignal): Promise<void> {
    try {
      await this.#components.clock.sleep(sayAgainMs, signal)
      await this.#announce(topic)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async #announce(topic: GossipTopic): Promise<void> {
    const { service } = this.#components
    const announcement = service.ownAnnouncement()
    if (announcement !== undefined && !service.isRevoked(service.self)) {
      await this.#publish(topic, encodeAnnouncementMessage(announcement, service.certificate()))
    }
  }

  async #beating(topic: GossipTopic, signal: AbortSignal): Promise<void> {
    const { service } = this.#components
    let announcedMs = 0
    await this.#repeat(signal, () => this.#init.heartbeatMs * scaled(service.roster.size), async () => {
      const own = service.ownAnnouncement()
      if (own === undefined || service.isRevoked(service.self)) return
      // A description that changed since the last beat goes out whole, and at once.
      if (own.madeMs !== announcedMs) await this.#announce(topic)
      else await this.#publish(topic, encodeBeat(service.startId, own.madeMs, ++this.#beatCount))
      announcedMs = own.madeMs
    })
  }

  async #publish(topic: GossipTopic, message: Uint8Array): Promise<void> {
    try {
      await topic.publish(message)
    } catch (error) {
      // It will be said again, or be found by an exchange.
      this.#components.log.debug('a message about members could not be sent', { reason: messageOf(error) })
    }
  }

  // Time ------------------------------------------------------------------------------------------------------------

  async #ticking(topic: GossipTopic, signal: AbortSignal): Promise<void> {
    const { service, clock, log } = this.#components
    const tickMs = Math.min(tickMsMax, this.#init.heartbeatMs / 2)
    let last = { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }
    for (;;) {
      try {
        await clock.sleep(tickMs, signal)
      } catch {
        return
      }
      const now = { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }
      if (sleptBetween(last, now, tickMs)) this.#woke(topic, signal)
      last = now
      service.tick()
      this.#probeTheSilent(signal)
      if (this.#areNeighboursDue) this.#keepNeighbours()
      if (this.#catchUpAtMs !== 0 && now.monotonicMs >= this.#catchUpAtMs) {
        this.#catchUpAtMs = 0
        this.#exchangeWithAnyone(signal)
      }
      try {
        await service.flush(false)
      } catch (error) {
        log.error('the members table could not be written', { code: codeOf(error) ?? 'UNKNOWN', reason: messageOf(error) })
      }
    }
  }

  /** A connection that has said nothing for half the time to suspicion may be a dead one: ask. */
  #probeTheSilent(signal: AbortSignal): void {
    const { service, network } = this.#components
    const { suspectMs } = livenessIn(this.#init, service.roster.size)
    const nowMs = service.wallMs()
    for (const peer of network.connections.connected()) {
      const presence = service.presence.entry(peer)
      if (presence === undefined || nowMs - presence.lastSeenMs < suspectMs / 2) continue
      if (!this.#probing.has(peer)) this.#spawn(this.#probe(peer, Math.min(5000, suspectMs / 2), signal))
    }
  }

  async #probe(peer: NodeId, deadlineMs: number, signal: AbortSignal): Promise<void> {
    this.#probing.add(peer)
    try {
      await this.#probes.run(async () => this.#exchange.probe(peer, { deadlineMs, signal }), signal)
    } catch (error) {
      this.#components.log.debug('a connected member does not answer', { peer, code: codeOf(error) ?? 'UNKNOWN' })
    } finally {
      this.#probing.delete(peer)
    }
  }

  async #syncing(signal: AbortSignal): Promise<void> {
    const { service } = this.#components
    await this.#repeat(signal, () => this.#init.syncMs * scaled(service.roster.size), async () => {
      this.#exchangeWithAnyone(signal)
    }, { isLateFirst: true })
  }

  #exchangeWithAnyone(signal: AbortSignal): void {
    const { network, random } = this.#components
    const connected = network.connections.connected()
    const peer = connected[random.below(connected.length)]
    if (peer !== undefined) this.#spawn(this.#exchangeWith(peer, 0, signal))
  }

  // Neighbours ------------------------------------------------------------------------------------------------------

  #keepNeighbours(): void {
    const { service, network } = this.#components
    this.#areNeighboursDue = false
    const others = service.members().filter((one) => !one.revoked && one.peerId !== service.self)
    // In a large mesh those that are gone for good would take up places; in a small one nothing is lost by trying.
    const isLarge = others.length > this.#init.everybodyMax
    const eligible = others.filter((one) => !isLarge || one.state !== 'gone').map(({ peerId }) => peerId)
    const chosen = new Set(neighboursOf(service.self, eligible, this.#init))
    for (const peer of chosen) this.#keep(peer)
    for (const peer of this.#kept) {
      if (chosen.has(peer)) continue
      this.#kept.delete(peer)
      network.release?.(peer)
    }
  }

  /** Whom the invite names may not be in the table yet: that is how a newcomer gets in. */
  #keepBootstrap(): void {
    const { service } = this.#components
    for (const address of service.bootstrap()) {
      const peer = /\/p2p\/(12D3Koo\w{45})$/.exec(address)?.[1] as NodeId | undefined
      if (peer === undefined || service.roster.entry(peer) !== undefined) continue
      if (peer !== service.self && !service.isRevoked(peer)) this.#components.network.keep(peer, () => service.addressesOf(peer))
    }
  }

  #keep(peer: NodeId): void {
    const { service, network } = this.#components
    if (this.#kept.has(peer)) return
    this.#kept.add(peer)
    network.keep(peer, () => service.addressesOf(peer))
  }

  // Children --------------------------------------------------------------------------------------------------------

  /** Each wait is spread over ±20 %, so that nodes started together do not speak together for ever. */
  async #repeat(signal: AbortSignal, everyMs: () => number, work: () => Promise<void>, options: { isLateFirst?: boolean } = {}): Promise<void> {
    const { clock, random } = this.#components
    try {
      if (options.isLateFirst === true) await clock.sleep(everyMs() * random.float(), signal)
      for (;;) {
        await work()
        await clock.sleep(everyMs() * (0.8 + 0.4 * random.float()), signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  #spawn(work: Promise<void>): void {
    const child: Promise<void> = work.finally(() => {
      this.#children.delete(child)
    })
    this.#children.add(child)
    // `run` awaits what is there when it looks; a failure in between must not go unhandled.
    child.catch((error: unknown) => {
      this.#components.log.error('work on the members table failed', { reason: messageOf(error) })
    })
  }
}
