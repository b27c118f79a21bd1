/**
 * Bytes of gossip by topic, as they leave and arrive: what passing on and hearing twice cost is in them, which nothing at
 * the door of gossip can see. Control (who subscribes to what, who has which message) is counted beside the topics.
 *
 * How: the service's own methods for sending and for what arrived are wrapped, and the fields of each message added up. (The
 * road not taken: the library's metrics, a hundred of them, of which none tells bytes by topic.) Where a later version has
 * other insides nothing is counted, and all else works.
 */
import type { GossipService } from './gossip.js'

export interface GossipCount {
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly sentMessages: number
  readonly receivedMessages: number
}

export type GossipCounts = Readonly<Record<string, GossipCount>>

type Counting = { -readonly [Key in keyof GossipCount]: GossipCount[Key] }

const control = 'control'
/** A field's tag, and the length of what is in it: one byte more from 128 bytes on, two from 16 KiB on. */
const fieldBytes = (length: number): number => 2 + Number(length > 127) + Number(length > 16_383) + length

export class GossipTally {
  readonly #counts = new Map<string, Counting>()
  /** By the name on the wire. */
  readonly #names: ReadonlyMap<string, string>

  constructor(init: { names: ReadonlyMap<string, string> }) {
    this.#names = init.names
    for (const name of [...init.names.values(), control]) this.#counts.set(name, { sentBytes: 0, receivedBytes: 0, sentMessages: 0, receivedMessages: 0 })
  }

  counts(): GossipCounts {
    return Object.fromEntries([...this.#counts].map(([name, count]) => [name, { ...count }]))
  }

  watch(service: GossipService): void {
    this.#wrap(service, 'handleReceivedRpc', ([, rpc]) => {
      this.#count(rpc, 'received', 1)
    })
    // What waits for this peer is put into the message while it is sent: counted afterwards, if it went.
    this.#wrap(service, 'sendRpc', undefined, ([, rpc], sent) => {
      if (sent === true) this.#count(rpc, 'sent', 1)
    })
    // Those that could not be sent to are taken out of the set meanwhile.
    this.#wrap(service, 'sendRpcInBatch', undefined, ([to, rpc]) => {
      if (to instanceof Set) this.#count(rpc, 'sent', to.size)
    })
  }

  #wrap(service: GossipService, name: string, before?: (args: readonly unknown[]) => void, after?: (args: readonly unknown[], result: unknown) => void): void {
    const method: unknown = Reflect.get(service, name)
    if (typeof method !== 'function') return
    Reflect.set(service, name, (...args: unknown[]): unknown => {
      before?.(args)
      const result: unknown = Reflect.apply(method, service, args)
      after?.(args, result)
      return result
    })
  }

  #count(rpc: unknown, direction: 'sent' | 'received', times: number): void {
    if (times === 0) return
    let messageBytes = 0
    for (const message of listIn(rpc, 'messages')) {
      const bytes = fieldBytes(sizeOf(message))
      messageBytes += bytes
      const topic: unknown = typeof message === 'object' && message !== null ? Reflect.get(message, 'topic') : undefined
      this.#add(typeof topic === 'string' ? (this.#names.get(topic) ?? control) : control, direction, bytes * times, times)
    }
    const all = sizeOf(rpc)
    // Each goes out behind its length.
    this.#add(control, direction, (all - messageBytes + 1 + Number(all > 127) + Number(all > 16_383)) * times, 0)
  }

  #add(name: string, direction: 'sent' | 'received', bytes: number, messages: number): void {
    const count = this.#counts.get(name)
    if (count === undefined) return
    count[`${direction}Bytes`] += bytes
    count[`${direction}Messages`] += messages
  }
}

function listIn(value: unknown, name: string): readonly unknown[] {
  const list: unknown = typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined
  return Array.isArray(list) ? (list as unknown[]) : []
}

/** What it takes in protobuf, without its own tag: all fields here are bytes, texts, small numbers, or messages of those. */
function sizeOf(value: unknown): number {
  if (value instanceof Uint8Array) return value.length
  if (typeof value === 'string') return value.length
  if (typeof value !== 'object' || value === null) return 0
  let bytes = 0
  for (const field of Object.values(value) as unknown[]) {
    if (Array.isArray(field)) for (const one of field as unknown[]) bytes += fieldBytes(sizeOf(one))
    else if (typeof field === 'number' || typeof field === 'boolean') bytes += 2
    else if (field !== undefined && field !== null) bytes += fieldBytes(sizeOf(field))
  }
  return bytes
}
