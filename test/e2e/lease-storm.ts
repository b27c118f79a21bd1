import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { LeaseInfo } from '../../src/client/index.js'
import { eventually, listenArgs } from './harness.js'
import type { TestNode, World } from './harness.js'

/**
 * Five real nodes, clients at each of them that count under leases, and somebody who kills and stops nodes. What must
 * hold, whatever happens: what an outside store accepts comes in the order of tokens, one client a token; no increment
 * that the store has accepted is lost; no two clients are told at one time that a lease is theirs; and a node that was
 * stopped for longer than its session does not vouch for a lease in the very first answer that it gives.
 */
export interface StormInit {
  readonly mesh: readonly TestNode[]
  /** How long nodes are killed and stopped, ms: at least, until a node has slept on a lease. */
  readonly forMs: number
  readonly say?: (line: string) => void
}

export interface StormResult {
  readonly increments: number
  readonly refusedByStore: number
  readonly kills: number
  readonly stops: number
  readonly leases: number
  /** Of nodes that slept on a lease: how often they were asked first thing, and said no. */
  readonly sleepersAsked: number
  /** From healing until every node had counted again, and every counter had been counted on, ms. */
  readonly recoveredMs: number
}

const counters = ['count/a', 'count/b', 'count/c']
const workersPerNode = 2
/** Voters keep a silent node's session for 6 s: after this its leases may be another's. */
const sleepMs = 7_500
/** Who waits longer than this goes to the end of the line. */
const waitMs = 30_000
/** A request to a node that is stopped must not hold its worker for ever. */
const patienceMs = waitMs + 10_000
/** Two terms of a session, a start on a busy machine, and the queue of waiters before it. */
const recoveryMsMax = 60_000
/** If nobody slept on a lease by then, nobody will. */
const stopsMax = 4
/** A start of five nodes on a busy machine, and two changes of voters, for which it is looked every 5 s. */
const votersMsMax = 120_000
/** A voter that is silent for longer than a stop of the storm, but not for minutes, is replaced. */
export const voterGraceMs = 9_000

/** What an outside system does that has never heard of sessions: it compares tokens, and nothing else. */
export class FencedCounters {
  readonly #counters = new Map<string, { value: number; fence: number; client: string }>()
  refused = 0
  accepted = 0

  /** Undefined: a higher token was here before. */
  read(scope: string, token: number, client: string): number | undefined {
    const counter = this.#of(scope)
    if (token < counter.fence) {
      this.refused++
      return undefined
    }
    assert.ok(token > counter.fence || counter.client === client, `${scope}: token ${String(token)} is ${counter.client}'s and ${client}'s`)
    counter.fence = token
    counter.client = client
    return counter.value
  }

  /** False: a higher token was here before. */
  write(scope: string, token: number, client: string, value: number): boolean {
    const counter = this.#of(scope)
    if (token < counter.fence) {
      this.refused++
      return false
    }
    assert.equal(client, counter.client, `${scope}: written under token ${String(token)} by one who never read under it`)
    // The token alone must do it: a writer that gets through has seen what was there.
    assert.equal(value, counter.value + 1, `${scope}: an increment was lost under token ${String(token)}`)
    counter.value = value
    this.accepted++
    return true
  }

  /** The highest token that anybody came with. */
  fence(scope: string): number {
    return this.#of(scope).fence
  }

  sum(): number {
    return [...this.#counters.values()].reduce((sum, { value }) => sum + value, 0)
  }

  #of(scope: string): { value: number; fence: number; client: string } {
    let counter = this.#counters.get(scope)
    if (counter === undefined) this.#counters.set(scope, (counter = { value: 0, fence: 0, client: '' }))
    return counter
  }
}

/** When somebody was told that a lease was theirs: from the answer to the end that the answer itself named. */
export interface Belief {
  readonly scope: string
  readonly token: number
  readonly client: string
  readonly fromMs: number
  untilMs: number
}

/** Throws if two of them were told so at one time. All moments are of one clock, this process's. */
export function demandOneAtATime(beliefs: readonly Belief[]): void {
  const sorted = beliefs.filter(({ fromMs, untilMs }) => untilMs > fromMs).sort((a, b) => (a.scope === b.scope ? a.fromMs - b.fromMs : a.scope < b.scope ? -1 : 1))
  let longest: Belief | undefined
  for (const belief of sorted) {
    if (longest?.scope === belief.scope) {
      assert.ok(belief.fromMs >= longest.untilMs || belief.token === longest.token,
        `${belief.scope}: ${longest.client} (token ${String(longest.token)}) could rely on it until ${longest.untilMs.toFixed(1)}, ${belief.client} (token ${String(belief.token)}) from ${belief.fromMs.toFixed(1)}`)
    }
    if (longest?.scope !== belief.scope || belief.untilMs > longest.untilMs) longest = belief
  }
}

class Worker {
  readonly #node: TestNode
  readonly #name: string
  readonly #store: FencedCounters
  readonly #beliefs: Belief[]
  /** What it holds now, for whoever stops its node. */
  held: LeaseInfo | undefined
  /** By counter: increments of this worker that the store took. */
  readonly done = new Map<string, number>()
  leases = 0
  /** What it does now, since when, and what went wrong last: for whoever has to find out why it does not go on. */
  doing = ''
  failed = ''

  constructor(components: { node: TestNode; store: FencedCounters; beliefs: Belief[] }, name: string) {
    this.#node = components.node
    this.#store = components.store
    this.#beliefs = components.beliefs
    this.#name = name
  }

  get node(): TestNode {
    return this.#node
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#once(counters[randomInt(counters.length)] ?? '')
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error
        this.failed = `${this.doing}: ${String(error)}`
        // The node is down, asleep, or without its voters.
        await delay(100)
      }
    }
  }

  async #once(scope: string): Promise<void> {
    const client = this.#node.client()
    this.#says(`acquires ${scope}`)
    const lease = await client.acquireLease(scope, { agent: this.#name, ttlMs: 30_000, waitMs }, { signal: AbortSignal.timeout(patienceMs) })
    this.leases++
    this.held = lease
    this.#says(`uses ${scope}`)
    // Counted from the sending, an answer to a request that stood in line says nothing any more; so ask once again.
    const sentMs = performance.now()
    const renewed = await client.renewLease(lease.leaseId, undefined, { signal: AbortSignal.timeout(patienceMs) }).catch(() => undefined)
    const belief: Belief = { scope, token: lease.token, client: this.#name, fromMs: performance.now(), untilMs: sentMs + (renewed?.expiresInMs ?? 0) }
    this.#beliefs.push(belief)
    try {
      const value = this.#store.read(scope, lease.token, this.#name)
      if (value === undefined) return
      // Now and then long, as with a writer that was stopped in between; and whether or not the lease still counts: the
      // store must manage by the token alone.
      await delay(randomInt(10) === 0 ? randomInt(1000) : randomInt(10))
      if (this.#store.write(scope, lease.token, this.#name, value + 1)) this.done.set(scope, (this.done.get(scope) ?? 0) + 1)
    } finally {
      this.held = undefined
      belief.untilMs = Math.min(belief.untilMs, performance.now())
      this.#says(`releases ${scope}`)
      await client.releaseLease(lease.leaseId, { signal: AbortSignal.timeout(patienceMs) })
    }
  }

  #says(what: string): void {
    this.doing = `${what} since ${performance.now().toFixed(0)}`
  }
}

/** Five nodes, of which all come to vote without being told to. */
export async function fiveVoters(world: World, say: (line: string) => void = () => undefined): Promise<TestNode[]> {
  // Who is silent for a third of this is not up.
  const env = { MESH_NODE_STORAGE_REPLICATION_GRACE: '27s', MESH_NODE_LEASE_VOTER_GRACE: `${String(voterGraceMs)}ms` }
  const first = await world.start('a', { args: await listenArgs(), env })
  const mesh = [first]
  const seen = new Set<number>()
  const count = async (): Promise<number> => {
    const { voters } = await first.client().voters()
    seen.add(voters.length)
    return voters.length
  }
  await eventually(async () => (await count()) === 1, 'the first voter')
  mesh.push(...(await Promise.all(['b', 'c'].map(async (name) => world.join(name, first, { args: await listenArgs(), env })))))
  await eventually(async () => (await count()) === 3, 'three voters', votersMsMax)
  mesh.push(...(await Promise.all(['d', 'e'].map(async (name) => world.join(name, first, { args: await listenArgs(), env })))))
  await eventually(async () => (await count()) === 5, 'five voters', votersMsMax)
  assert.deepEqual([...seen], [1, 3, 5])
  say('five nodes, five voters')
  return mesh
}

export async function storm(init: StormInit): Promise<StormResult> {
  const { mesh } = init
  const say = init.say ?? (() => undefined)
  const store = new FencedCounters()
  const beliefs: Belief[] = []
  const stopping = new AbortController()
  const result = { kills: 0, stops: 0, sleepersAsked: 0 }
  try {
    const workers = mesh.flatMap((node) => Array.from({ length: workersPerNode }, (_, i) => new Worker({ node, store, beliefs }, `${node.name}${String(i)}`)))
    const working = workers.map(async (worker) => worker.run(stopping.signal))
    const failing = Promise.race(working)

    const endMs = performance.now() + init.forMs
    while (performance.now() < endMs || (result.sleepersAsked === 0 && result.stops < stopsMax)) {
      await Promise.race([failing, delay(300 + randomInt(700))])
      // Whoever holds something is the more interesting victim; two of five may be away at once.
      const holders = workers.filter((worker) => worker.held !== undefined)
      const victim = holders[randomInt(Math.max(1, holders.length))] ?? workers[randomInt(workers.length)]
      if (victim === undefined) continue
      if (result.stops <= result.kills) {
        const others = mesh.filter((node) => node !== victim.node)
        const killed = others[randomInt(others.length)] ?? victim.node
        await Promise.race([failing, Promise.all([sleep(victim, result, store), killAndStart(killed, result)])])
      } else await Promise.race([failing, killAndStart(victim.node, result)])
      say(`${String(result.kills)} kills, ${String(result.stops)} stops, ${String(store.accepted)} increments`)
    }

    const healedMs = performance.now()
    const before = new Map(workers.map((worker) => [worker, new Map(worker.done)]))
    const back = new Set<string>()
    await Promise.race([failing, whileRunning(() => {
      const counted = (worker: Worker, scope: string): boolean => (worker.done.get(scope) ?? 0) > (before.get(worker)?.get(scope) ?? 0)
      for (const node of mesh) {
        if (back.has(node.name) || !workers.some((worker) => worker.node === node && counters.some((scope) => counted(worker, scope)))) continue
        back.add(node.name)
        say(`${node.name} counts again after ${(performance.now() - healedMs).toFixed(0)} ms`)
      }
      return back.size === mesh.length && counters.every((scope) => workers.some((worker) => counted(worker, scope)))
    }, 'every node to count again, and every counter to be counted on', recoveryMsMax)])
      .catch(async (error: unknown) => {
        if (!(error instanceof assert.AssertionError)) await tell(mesh, workers, before, say)
        throw error
      })
    const recoveredMs = performance.now() - healedMs
    stopping.abort()
    await Promise.all(working)
    demandOneAtATime(beliefs)
    assert.equal(store.sum(), store.accepted, 'an increment was lost')
    assert.equal(workers.reduce((sum, worker) => sum + [...worker.done.values()].reduce((all, one) => all + one, 0), 0), store.accepted)
    return { ...result, increments: store.accepted, refusedByStore: store.refused, leases: workers.reduce((sum, { leases }) => sum + leases, 0), recoveredMs }
  } finally {
    stopping.abort()
  }
}

/** Like `eventually`, but time in which this process itself stood still does not count: then the nodes did, too. */
async function whileRunning(condition: () => boolean, what: string, limitMs: number): Promise<void> {
  let spentMs = 0
  let atMs = performance.now()
  while (!condition()) {
    if (spentMs > limitMs) throw new Error(`waited ${String(limitMs)} ms for ${what}`)
    await delay(50)
    const nowMs = performance.now()
    spentMs += Math.min(nowMs - atMs, 500)
    atMs = nowMs
  }
}

/** Everything there is to know of a mesh that does not go on. */
async function tell(mesh: readonly TestNode[], workers: readonly Worker[], before: ReadonlyMap<Worker, ReadonlyMap<string, number>>, say: (line: string) => void): Promise<void> {
  say(`now: ${performance.now().toFixed(0)}`)
  for (const worker of workers) {
    const counts = counters.map((scope) => `${scope} ${String(before.get(worker)?.get(scope) ?? 0)} -> ${String(worker.done.get(scope) ?? 0)}`)
    say(`${worker.node.name}: ${worker.doing}; failed last: ${worker.failed}; ${counts.join(', ')}`)
  }
  for (const node of mesh) {
    const asked = async (what: Promise<unknown>): Promise<string> => JSON.stringify(await what.catch((error: unknown) => String(error)))
    const client = node.client()
    const limits = { signal: AbortSignal.timeout(5000) }
    say(`${node.name}: ${await asked(client.status(limits))}`)
    say(`${node.name}: voters ${await asked(client.voters(limits))}; leases ${await asked(client.leases({}, limits))}`)
    say(node.log.slice(-6000))
  }
}

async function killAndStart(node: TestNode, result: { kills: number }): Promise<void> {
  result.kills++
  await node.kill()
  await node.start()
}

/**
 * Stops a worker's node for longer than its session, and until another has what it held. While it is stopped it is asked
 * for its lease; the question lies in its socket and is what it answers first when it wakes, before it has heard from any
 * voter.
 */
async function sleep(victim: Worker, result: { stops: number; sleepersAsked: number }, store: FencedCounters): Promise<void> {
  const { node } = victim
  const { pid } = node
  result.stops++
  // In one turn, so that it still holds what it is asked for in its sleep.
  for (const untilMs = performance.now() + sleepMs; victim.held === undefined && performance.now() < untilMs;) await delay(1)
  const { held } = victim
  node.signal('SIGSTOP')
  const stoppedMs = performance.now()
  const asking = held === undefined ? undefined : node.client().renewLease(held.leaseId, undefined, { signal: AbortSignal.timeout(2 * patienceMs) }).then(
    (answer) => ({ answer }),
    (error: unknown) => ({ error: error as { code?: string } }),
  )
  // Voters keep a silent node's session until somebody wants what it has; until then it may renew it, however late.
  const isTaken = (): boolean => held !== undefined && store.fence(held.scope) > held.token
  try {
    await delay(sleepMs)
    if (held !== undefined) await whileRunning(isTaken, `somebody to take ${held.scope} from ${node.name}`, recoveryMsMax)
  } finally {
    // It may have been killed meanwhile, and started anew: then there is nobody to wake.
    if (node.isRunning && node.pid === pid) node.signal('SIGCONT')
  }
  if (asking === undefined || held === undefined) return
  const heard = await asking
  result.sleepersAsked++
  if ('answer' in heard) {
    assert.fail(`${node.name} slept for ${(performance.now() - stoppedMs).toFixed(0)} ms and still vouched for ${held.scope} under token ${String(heard.answer.token)} (for ${String(heard.answer.expiresInMs)} ms; ${String(store.accepted)} increments)`)
  }
}
