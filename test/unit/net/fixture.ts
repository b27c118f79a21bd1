import { createHash } from 'node:crypto'
import { createSigner, nodeIdOfPublicKey, silentLog, systemClock, systemRandom, verifySignature } from '../../../src/base/index.js'
import type { KeyRange, KeyValue, Log, MeshId, NodeId, Signer, WriteOperation } from '../../../src/base/index.js'
import type { Admission } from '../../../src/membership/index.js'
import { CodedError } from '../../../src/base/index.js'
import { createNet } from '../../../src/net/index.js'
import type { Net, NetInit, NetLimits } from '../../../src/net/index.js'

export const seedOf = (number: number | string): Uint8Array => new Uint8Array(createHash('sha256').update(`net test ${number}`).digest())

/**
 * A mesh whose certificates are the authority's signature over the node's name: what membership does, without invites,
 * expiry and gossip.
 */
export class FakeMesh {
  readonly meshId: MeshId
  readonly #authority: Signer
  readonly revoked = new Set<NodeId>()

  constructor(name: string) {
    this.#authority = createSigner(seedOf(`authority of ${name}`))
    this.meshId = `z${this.#authority.nodeId}` as MeshId
  }

  certificateFor(peer: NodeId): Uint8Array {
    return this.#authority.sign('mesh-node certificate 1', Buffer.from(`${this.meshId} ${peer}`))
  }

  admission(seed: Uint8Array, overrides: Partial<Admission> = {}): Admission {
    const signer = createSigner(seed)
    return {
      meshId: this.meshId,
      certificate: () => this.certificateFor(signer.nodeId),
      prove: async (transcript) => signer.sign('mesh-node admission proof 1', transcript),
      check: async (peer, certificate, transcript, proof) => {
        if (!verifySignature(this.#authority.nodeId, 'mesh-node certificate 1', Buffer.from(`${this.meshId} ${peer}`), certificate)) {
          throw new CodedError('WRONG_MESH', 'the certificate is of another mesh')
        }
        if (this.revoked.has(peer)) throw new CodedError('REVOKED', 'this node was removed from the mesh')
        if (!verifySignature(peer, 'mesh-node admission proof 1', transcript, proof)) throw new CodedError('BAD_PROOF', 'the proof belongs to another handshake')
      },
      ...overrides,
    }
  }
}

/** The ordered store in a sorted array: for tests that are not about storing. */
export class MemoryMeta implements KeyValue {
  readonly #entries: Map<string, Uint8Array>
  readonly #prefix: string

  constructor(entries = new Map<string, Uint8Array>(), prefix = '') {
    this.#entries = entries
    this.#prefix = prefix
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#entries.get(this.#full(key))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.#entries.get(this.#full(key)))
  }

  async *entries(range: KeyRange = {}): AsyncGenerator<readonly [Uint8Array, Uint8Array]> {
    const inside = [...this.#entries].filter(([key]) => key.startsWith(this.#prefix)).map(([key, value]) => [key.slice(this.#prefix.length), value] as const)
    const sorted = inside
      .filter(([key]) => (range.gte === undefined || key >= text(range.gte)) && (range.gt === undefined || key > text(range.gt)) && (range.lt === undefined || key < text(range.lt)) && (range.lte === undefined || key <= text(range.lte)))
      .sort(([a], [b]) => (a < b ? -1 : 1))
    if (range.reverse === true) sorted.reverse()
    for (const [key, value] of sorted.slice(0, range.limit ?? sorted.length)) yield [new Uint8Array(Buffer.from(key, 'latin1')), value]
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key: Buffer.from(this.#full(key), 'latin1'), value }
  }

  del(key: Uint8Array): WriteOperation {
    return { type: 'del', key: Buffer.from(this.#full(key), 'latin1') }
  }

  async write(operations: readonly WriteOperation[]): Promise<void> {
    for (const operation of operations) {
      if (operation.type === 'put') this.#entries.set(text(operation.key), operation.value)
      else this.#entries.delete(text(operation.key))
    }
  }

  slice(prefix: string): KeyValue {
    return new MemoryMeta(this.#entries, this.#prefix + prefix)
  }

  #full(key: Uint8Array): string {
    return this.#prefix + text(key)
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}

export interface TestNodeInit extends Partial<Omit<NetInit, 'limits'>> {
  admission?: Admission
  limits?: Partial<NetLimits>
  meta?: KeyValue
  log?: Log
}

const running = new Set<Net>()

/** A started node on 127.0.0.1; `stopAll` in `afterEach` stops it. */
export async function startNode(mesh: FakeMesh, number: number | string, init: TestNodeInit = {}): Promise<Net> {
  const net = await makeNode(mesh, number, init)
  await net.start()
  return net
}

export async function makeNode(mesh: FakeMesh, number: number | string, init: TestNodeInit = {}): Promise<Net> {
  const { admission, limits, meta, log, ...rest } = init
  const seed = seedOf(number)
  const net = await createNet(
    { admission: admission ?? mesh.admission(seed), meta: meta ?? new MemoryMeta(), clock: systemClock, random: systemRandom, log: log ?? silentLog, seed },
    {
      meshId: mesh.meshId,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      announce: [],
      bootstrap: [],
      mdns: false,
      ...rest,
      limits: { inboundPerHostPerSecond: 1000, inboundPendingMax: 1000, ...limits },
    },
  )
  running.add(net)
  return net
}

export async function stopAll(): Promise<void> {
  const nets = [...running]
  running.clear()
  await Promise.all(nets.map((net) => net.stop()))
}

export async function until(condition: () => boolean | Promise<boolean>, what: string, limitMs = 10_000): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`${what}: not within ${limitMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const addressOf = (net: Net): string => net.addresses()[0]!
export { nodeIdOfPublicKey }
