import { createSigner, seededRandom, silentLog } from '../../../src/base/index.js'
import type { Cancel, Clock, KeyRange, KeyValue, Random, Signer, WriteOperation } from '../../../src/base/index.js'
import { createMesh, joinMesh, membershipSettings } from '../../../src/membership/index.js'
import type { Membership, MembershipInit } from '../../../src/membership/index.js'
import { openService } from '../../../src/membership/service.js'
import type { MembershipService } from '../../../src/membership/service.js'

interface Timer {
  at: number
  order: number
  run: () => void
}

/** Time that only moves when told to. */
export class ManualClock implements Clock {
  #wallMs: number
  #monotonicMs = 1000
  readonly #timers: Timer[] = []
  #order = 0

  constructor(wallMs = Date.UTC(2026, 10, 1)) {
    this.#wallMs = wallMs
  }

  wallMs = (): number => this.#wallMs
  monotonicMs = (): number => this.#monotonicMs

  setTimer(ms: number, run: () => void): Cancel {
    const timer = { at: this.#monotonicMs + Math.max(0, ms), order: this.#order++, run }
    this.#timers.push(timer)
    return () => {
      const at = this.#timers.indexOf(timer)
      if (at >= 0) this.#timers.splice(at, 1)
    }
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        cancel()
        reject(signal?.reason as Error)
      }
      const cancel = this.setTimer(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Wall time alone: somebody set the clock, or the machine slept. */
  jump(ms: number): void {
    this.#wallMs += ms
  }

  /** Both clocks, running every timer on the way, each with what it sets off. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonicMs + ms
    for (;;) {
      await settle()
      let next: Timer | undefined
      for (const timer of this.#timers) {
        if (timer.at <= end && (next === undefined || timer.at < next.at || (timer.at === next.at && timer.order < next.order))) next = timer
      }
      if (next === undefined) break
      this.#timers.splice(this.#timers.indexOf(next), 1)
      this.#move(Math.max(0, next.at - this.#monotonicMs))
      next.run()
    }
    this.#move(end - this.#monotonicMs)
    await settle()
  }

  #move(ms: number): void {
    this.#monotonicMs += ms
    this.#wallMs += ms
  }
}

/** Everything that can run without time passing has run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve))
}

/** A sorted map that behaves as the store does. */
export class MemoryKeyValue implements KeyValue {
  readonly rows: Map<string, Uint8Array>
  readonly #prefix: string
  /** Set to make writes fail. */
  failure: Error | undefined

  constructor(rows = new Map<string, Uint8Array>(), prefix = '') {
    this.rows = rows
    this.#prefix = prefix
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.rows.get(this.#full(key))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.rows.get(this.#full(key)))
  }

  async *entries(range: KeyRange = {}): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const low = this.#prefix + (range.gte === undefined ? '' : text(range.gte))
    const high = range.lt === undefined ? undefined : this.#prefix + text(range.lt)
    for (const [key, value] of [...this.rows].sort(([a], [b]) => (a < b ? -1 : 1))) {
      if (!key.startsWith(this.#prefix) || key < low || (high !== undefined && key >= high)) continue
      yield [Uint8Array.from(Buffer.from(key.slice(this.#prefix.length), 'latin1')), value]
    }
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key: bytes(this.#full(key)), value }
  }

  del(key: Uint8Array): WriteOperation {
    return { type: 'del', key: bytes(this.#full(key)) }
  }

  async write(operations: readonly WriteOperation[]): Promise<void> {
    if (this.failure !== undefined) throw this.failure
    for (const operation of operations) {
      if (operation.type === 'put') this.rows.set(text(operation.key), Uint8Array.from(operation.value))
      else this.rows.delete(text(operation.key))
    }
  }

  slice(prefix: string): KeyValue {
    return new MemoryKeyValue(this.rows, this.#prefix + prefix)
  }

  #full(key: Uint8Array): string {
    return this.#prefix + text(key)
  }
}

const text = (key: Uint8Array): string => Buffer.from(key).toString('latin1')
const bytes = (key: string): Uint8Array => Uint8Array.from(Buffer.from(key, 'latin1'))

export const address = '/ip4/192.168.1.5/tcp/4700'
export const graceMs = 24 * 3600_000
export const hourMs = 3600_000

/** One home: its disk, key and clock outlive its process. */
export interface Home {
  readonly meta: MemoryKeyValue
  readonly signer: Signer
  readonly authority?: Signer
  readonly clock: Clock
  readonly random: Random
}

export class World {
  readonly random: Random
  readonly clock = new ManualClock()
  readonly authority: Signer
  readonly init: MembershipInit

  constructor(seed = 1, init: MembershipInit = membershipSettings(graceMs)) {
    this.random = seededRandom(seed)
    this.authority = createSigner(this.random.bytes(32))
    this.init = init
  }

  home(options: { clock?: Clock; authority?: Signer } = {}): Home {
    return {
      meta: new MemoryKeyValue(),
      signer: createSigner(this.random.bytes(32)),
      clock: options.clock ?? this.clock,
      random: this.random,
      ...(options.authority === undefined ? {} : { authority: options.authority }),
    }
  }

  async open(home: Home): Promise<MembershipService> {
    return openService({ ...home, log: silentLog }, this.init)
  }

  async founder(): Promise<{ home: Home; membership: MembershipService }> {
    const home = this.home({ authority: this.authority })
    await createMesh(home, this.authority)
    return { home, membership: await this.open(home) }
  }

  async invite(admin: Membership, expiresMs = hourMs): Promise<string> {
    const peer = createSigner(this.random.bytes(32)).nodeId
    return (await admin.invite({ expiresMs, addresses: [`${address}/p2p/${peer}`] })).token
  }

  async joined(token: string, options: { clock?: Clock } = {}): Promise<{ home: Home; membership: MembershipService }> {
    const home = this.home(options)
    await joinMesh(home, token)
    return { home, membership: await this.open(home) }
  }
}

export const transcript = new TextEncoder().encode('one handshake')

/** What a handshake does: `asked` judges `knocking`. */
export async function knock(asked: Membership, knocking: Membership, home: Home, certificate = knocking.certificate()): Promise<void> {
  await asked.check(home.signer.nodeId, certificate, transcript, await knocking.prove(transcript))
}

/** Both sides, as a real handshake. */
export async function meet(a: { home: Home; membership: MembershipService }, b: { home: Home; membership: MembershipService }): Promise<void> {
  await knock(a.membership, b.membership, b.home)
  await knock(b.membership, a.membership, a.home)
}
