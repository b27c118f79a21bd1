import type { NodeId } from '../../../src/base/index.js'
import { CodedError } from '../../../src/base/index.js'
import { saltOf } from '../../../src/replication/fingerprint.js'
import { Inventory } from '../../../src/replication/inventory.js'
import { InventoryRequest, InventoryResponse, Vitals } from '../../../src/replication/wire/replication.js'
import type { Vitals as VitalsMessage } from '../../../src/replication/wire/replication.js'
import type { Host, Mesh } from './mesh.js'

/** What a stranger's vitals say of it; enormous room, unless it is told otherwise. */
export function vitalsOf(sequence: number, more: Partial<VitalsMessage> = {}): VitalsMessage {
  return {
    boot: 2 ** 41, sequence, maxBytes: 1e15, usedBytes: 0, freeForOthersBytes: 1e15, freeForOwnBytes: 1e15, flags: 7,
    inventorySalt: 1n, inventoryVersion: 1, inventoryEntries: 0, evictableBytes: [], ...more,
  }
}

/** A member whose process is another program than ours: its name and its line are there, and it says what it likes. */
export class Stranger {
  readonly host: Host
  readonly #mesh: Mesh
  readonly asked = new Map<string, number>()
  #sequence = 0

  private constructor(mesh: Mesh, host: Host) {
    this.#mesh = mesh
    this.host = host
  }

  /** Instead of the second host, or another one. */
  static async in(mesh: Mesh, at = 1): Promise<Stranger> {
    const host = mesh.hosts[at]!
    host.stop.abort(new Error('replaced'))
    await mesh.clock.advance(1000)
    return new Stranger(mesh, host)
  }

  /** Answers a method as it likes; counted. */
  answers(name: string, answer: (body: Uint8Array, from: NodeId) => Uint8Array | Promise<Uint8Array>): void {
    this.host.rpc.register({
      name: `replication.${name}`, requestBytesMax: 2 ** 17, responseBytesMax: 2 ** 19, inFlightMax: 64,
      handle: async (body, { from }) => {
        this.asked.set(name, this.count(name) + 1)
        return answer(body, from)
      },
    })
  }

  refuses(name: string): void {
    this.answers(name, () => Promise.reject(new CodedError('NO_SPACE', 'full')))
  }

  count(name: string): number {
    return this.asked.get(name) ?? 0
  }

  async says(more: Partial<VitalsMessage> = {}): Promise<void> {
    const body = Vitals.encode(vitalsOf(++this.#sequence, more))
    this.answers('vitals', () => body)
    await this.host.net.gossip.topic('quota', { messageBytesMax: 16 * 1024 }).publish(body)
  }

  /** Every so often, for as long as the mesh runs. */
  saysAgain(everyMs: number, more: () => Partial<VitalsMessage> = () => ({})): void {
    const again = (): void => {
      void this.says(more()).catch(() => undefined)
      this.#mesh.clock.setTimer(everyMs, again)
    }
    again()
  }

  async asks(to: Host, name: string, body: Uint8Array, deadlineMs = 300_000): Promise<Uint8Array> {
    return this.host.net.rpc.request(to.id, `replication.${name}`, body, { deadlineMs })
  }

  /** Lists blobs that it has not got, says so again every minute, and takes nothing. */
  lists(cids: readonly string[]): void {
    const listed = new Inventory(saltOf(9n))
    for (const cid of cids) listed.add({ cid, kind: 'dag', bytes: 1, blocks: 1, heldSinceMs: 0 })
    this.refuses('store')
    this.answers('inventory', (body) => InventoryResponse.encode(listed.answer(InventoryRequest.decode(body))))
    this.answers('release', () => new Uint8Array(0))
    this.saysAgain(60_000, () => ({ freeForOthersBytes: 0, inventorySalt: 9n, inventoryVersion: listed.version }))
  }
}
