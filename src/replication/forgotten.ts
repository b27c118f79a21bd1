import type { KeyValue, NodeId } from '../base/index.js'

/** Nodes that somebody said will not come back, on disk: no copy there counts until they are seen again. */
export class Forgotten {
  readonly #store: KeyValue
  readonly #nodes: Set<NodeId>

  /** `nodes` is filled from what is stored, and kept the same as it. */
  constructor(components: { meta: KeyValue; nodes: Set<NodeId> }) {
    this.#store = components.meta.slice('forgotten/')
    this.#nodes = components.nodes
  }

  async load(): Promise<void> {
    for await (const [key] of this.#store.entries()) this.#nodes.add(new TextDecoder().decode(key) as NodeId)
  }

  async add(peer: NodeId): Promise<void> {
    this.#nodes.add(peer)
    await this.#store.write([this.#store.put(new TextEncoder().encode(peer), new Uint8Array(0))], { durable: true })
  }

  /** It is there again. Not durable: after a crash it is seen once more. */
  async remove(peer: NodeId): Promise<void> {
    if (!this.#nodes.delete(peer)) return
    await this.#store.write([this.#store.del(new TextEncoder().encode(peer))], { durable: false })
  }
}
