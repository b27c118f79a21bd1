import type { GossipsubOpts, gossipsub } from '@chainsafe/libp2p-gossipsub'
import { StrictSign, TopicValidatorResult } from '@libp2p/interface'
import { CommonError, asNodeId, messageOf } from '../base/index.js'
import type { Gossip, GossipTopic, GossipVerdict, Log, MeshId, NodeId } from '../base/index.js'
import { GossipTally } from './gossip-tally.js'
import type { GossipCounts } from './gossip-tally.js'
import { NetError } from './types.js'

export interface GossipInit {
  meshId: MeshId
  /** No topic may allow more. */
  messageBytesMax: number
}

/** What `gossipsub()` makes. */
export type GossipService = ReturnType<ReturnType<typeof gossipsub>>

const topicNames = ['quota', 'heat', 'catalog', 'members'] as const

type Handler = Parameters<GossipTopic['subscribe']>[0]

/** A peer that a hundred rejected messages came from in a minute is worth nothing any more. */
const invalidMessageWeight = -1

export function gossipSettings(meshId: MeshId, messageBytesMax: number): Partial<GossipsubOpts> {
  const invalidOnly = {
    topicWeight: 1,
    // Only what was rejected counts: in a mesh of acquaintances nobody has to earn a place by delivering much.
    timeInMeshWeight: 0,
    timeInMeshQuantum: 1000,
    timeInMeshCap: 0,
    firstMessageDeliveriesWeight: 0,
    firstMessageDeliveriesDecay: 0.5,
    firstMessageDeliveriesCap: 1,
    meshMessageDeliveriesWeight: 0,
    meshMessageDeliveriesDecay: 0.5,
    meshMessageDeliveriesCap: 1,
    meshMessageDeliveriesThreshold: 1,
    meshMessageDeliveriesWindow: 10,
    meshMessageDeliveriesActivation: 1000,
    meshFailurePenaltyWeight: 0,
    meshFailurePenaltyDecay: 0.5,
    invalidMessageDeliveriesWeight: invalidMessageWeight,
    invalidMessageDeliveriesDecay: 0.9,
  }
  return {
    globalSignaturePolicy: StrictSign,
    emitSelf: false,
    // A message right after subscribing would reach nobody before the first heartbeat.
    floodPublish: true,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    allowedTopics: topicNames.map((name) => topicName(meshId, name)),
    maxInboundDataLength: messageBytesMax + 64 * 1024,
    maxOutboundBufferSize: 4 * messageBytesMax,
    // Relayed members are members.
    runOnLimitedConnection: true,
    decodeRpcLimits: { maxSubscriptions: 64, maxMessages: 1000, maxIhaveMessageIDs: 5000, maxIwantMessageIDs: 5000, maxIdontwantMessageIDs: 5000, maxControlMessages: 5000, maxPeerInfos: 16 },
    scoreParams: {
      topics: Object.fromEntries(topicNames.map((name) => [topicName(meshId, name), invalidOnly])),
      // Everybody here was invited; a household behind one address is no attack.
      IPColocationFactorWeight: 0,
      IPColocationFactorThreshold: 1000,
    },
  }
}

function topicName(meshId: MeshId, name: string): string {
  return `/mesh/${meshId}/${name}`
}

/** `Gossip` over gossipsub with signed messages: `from` is whose signature it bears, whoever passed it on. */
export class SubGossip implements Gossip {
  readonly #service: GossipService
  readonly #log: Log
  readonly #init: GossipInit
  readonly #topics = new Map<string, GossipTopic>()
  readonly #wanted = new Set<string>()
  readonly #tally: GossipTally
  #running = false

  constructor(components: { service: GossipService; log: Log }, init: GossipInit) {
    this.#tally = new GossipTally({ names: new Map(topicNames.map((name) => [topicName(init.meshId, name), name])) })
    this.#tally.watch(components.service)
    this.#service = components.service
    this.#log = components.log
    this.#init = init
  }

  topic(name: 'quota' | 'heat' | 'catalog' | 'members', init: { messageBytesMax: number }): GossipTopic {
    if (init.messageBytesMax > this.#init.messageBytesMax) {
      throw new CommonError('BAD_INPUT', `messages of topic ${name} would be larger than the network carries`, { messageBytesMax: this.#init.messageBytesMax })
    }
    let topic = this.#topics.get(name)
    if (topic === undefined) this.#topics.set(name, (topic = this.#make(topicName(this.#init.meshId, name), init.messageBytesMax)))
    return topic
  }

  #make(topic: string, messageBytesMax: number): GossipTopic {
    let handler: Handler | undefined
    const judge = async (data: Uint8Array, from: NodeId): Promise<GossipVerdict> => {
      if (data.length > messageBytesMax) return 'reject'
      if (handler === undefined) return 'ignore'
      try {
        return await handler(new Uint8Array(data), from)
      } catch (error) {
        // A bug of ours is no fault of the sender's.
        this.#log.error('a gossip handler failed', { topic, from, error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
        return 'ignore'
      }
    }
    return {
      publish: async (message) => {
        if (message.length > messageBytesMax) {
          throw new CommonError('BAD_INPUT', `a message of ${message.length} bytes is too long for this topic`, { messageBytesMax })
        }
        if (!this.#running) throw new NetError('UNAVAILABLE', 'the network is stopped')
        try {
          await this.#service.publish(topic, message)
        } catch (error) {
          throw new NetError('UNAVAILABLE', `the message could not be published: ${messageOf(error)}`, {}, { cause: error })
        }
      },
      subscribe: (added) => {
        if (handler !== undefined) throw new CommonError('BAD_INPUT', 'this topic has a subscriber already')
        handler = added
        this.#service.topicValidators.set(topic, async (_via, message) => {
          const from = message.type === 'signed' ? asNodeId(message.from.toString()) : undefined
          if (from === undefined) return TopicValidatorResult.Reject
          const verdict = await judge(message.data, from)
          if (verdict === 'accept') return TopicValidatorResult.Accept
          return verdict === 'ignore' ? TopicValidatorResult.Ignore : TopicValidatorResult.Reject
        })
        this.#subscribeWhenStarted(topic)
        return () => {
          handler = undefined
          this.#service.topicValidators.delete(topic)
          this.#wanted.delete(topic)
          if (this.#running) this.#service.unsubscribe(topic)
        }
      },
    }
  }

  counts(): GossipCounts {
    return this.#tally.counts()
  }

  #subscribeWhenStarted(topic: string): void {
    this.#wanted.add(topic)
    if (this.#running) this.#service.subscribe(topic)
  }

  /** gossipsub takes no subscriptions before it runs. */
  started(): void {
    this.#running = true
    for (const topic of this.#wanted) this.#service.subscribe(topic)
  }

  stopped(): void {
    this.#running = false
  }
}
