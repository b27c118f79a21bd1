import type { NodeId, Random } from '../../../src/base/index.js'
import { seededRandom } from '../../../src/base/index.js'
import type { ConfirmEffect, ConfirmInput, KeepPromise } from '../../../src/storage-policy/index.js'
import { confirmDefaults, ConfirmCore } from '../../../src/storage-policy/index.js'
import { nodeIds } from '../../property/storage-policy/world.js'

/**
 * Nodes that all want to drop the same blobs, over a network that loses, delays, doubles and reorders, with nodes that
 * crash and restart, sleep, and have clocks of their own that jump. Checked after every deletion: never fewer than
 * `floor` copies.
 */
export interface ConfirmWorldInit {
  readonly seed: number
  readonly nodes: number
  readonly blobs: number
  readonly floor: number
  readonly steps: number
  readonly loss: number
  /** A wrong protocol, to see the check fail: the core is bypassed or bent. */
  readonly broken?: 'no asking' | 'confirms with an intent' | 'releases nobody' | undefined
  /** Nobody crashes; then every release arrives, and when all is quiet no promise is left. */
  readonly calm?: boolean
}

export interface ConfirmOutcome {
  readonly deletions: number
  readonly attempts: number
  readonly crashes: number
  /** Promises that stand when the last message has arrived. */
  readonly promisesLeft: number
  /** The first time that too few copies were left. */
  readonly violation: string | undefined
}

interface Host {
  readonly id: NodeId
  core: ConfirmCore
  readonly holds: Set<string>
  /** What survives a crash. */
  disk: Map<string, KeepPromise>
  up: boolean
  clockOffsetMs: number
  attempt: number
  /** Started deletions that a crash interrupts. */
  deleting: { cid: string; attempt: string; notAfterMs: number; doneAtMs: number }[]
}

export function runConfirmWorld(init: ConfirmWorldInit): ConfirmOutcome {
  const random: Random = seededRandom(init.seed)
  const cids = Array.from({ length: init.blobs }, (_, i) => `blob${String(init.seed)}-${String(i)}`)
  const ids = nodeIds(init.nodes, 5)
  const hosts = new Map<NodeId, Host>()
  const makeCore = (host: NodeId, disk: Map<string, KeepPromise>): ConfirmCore =>
    new ConfirmCore({ self: host, ...confirmDefaults, keepMs: 60_000 }, disk.values())
  for (const id of ids) {
    const disk = new Map<string, KeepPromise>()
    hosts.set(id, { id, core: makeCore(id, disk), holds: new Set(cids), disk, up: true, clockOffsetMs: random.below(10_000_000), attempt: 0, deleting: [] })
  }
  const wire: { at: number; to: NodeId; input: (host: Host, nowMs: number) => ConfirmInput }[] = []
  let now = 0
  let deletions = 0
  let attempts = 0
  let crashes = 0
  let violation: string | undefined

  const clockOf = (host: Host): number => now + host.clockOffsetMs
  const send = (to: NodeId, input: (host: Host, nowMs: number) => ConfirmInput): void => {
    const copies = random.float() < init.loss ? 0 : random.float() < 0.1 ? 2 : 1
    // Mostly quick, sometimes later than any promise lasts.
    for (let i = 0; i < copies; i++) wire.push({ at: now + (random.below(20) === 0 ? random.below(200_000) : random.below(2_000)), to, input })
  }
  const remove = (host: Host, cid: string): void => {
    host.holds.delete(cid)
    deletions++
    const left = [...hosts.values()].filter((one) => one.holds.has(cid)).length
    if (left < init.floor) violation ??= `seed ${String(init.seed)}: ${String(left)} copies of ${cid} left at ${String(now)} ms`
  }
  const perform = (host: Host, effects: readonly ConfirmEffect[]): void => {
    for (const effect of effects) {
      // A crash may come between any two effects: what was persisted stays, what was not sent never is.
      if (init.calm !== true && random.below(400) === 0) {
        crash(host)
        return
      }
      switch (effect.type) {
        case 'ask':
          send(effect.to, (to, nowMs) => ({ type: 'keepAsked', cid: effect.cid, attempt: effect.attempt, from: host.id, keepMs: effect.keepMs, holds: to.holds.has(effect.cid), nowMs }))
          break
        case 'answer':
          send(effect.to, (_, nowMs) => ({ type: 'keepAnswered', cid: effect.cid, attempt: effect.attempt, from: host.id, keeps: effect.keeps, nowMs }))
          break
        case 'release':
          if (init.broken !== 'releases nobody') send(effect.to, (_, nowMs) => ({ type: 'keepReleased', cid: effect.cid, attempt: effect.attempt, from: host.id, nowMs }))
          break
        case 'persistPromise':
          host.disk.set(`${effect.promise.cid} ${effect.promise.to} ${effect.promise.attempt}`, effect.promise)
          break
        case 'forgetPromise':
          host.disk.delete(`${effect.promise.cid} ${effect.promise.to} ${effect.promise.attempt}`)
          break
        case 'delete':
          // The deletion takes a while, or the machine sleeps right here.
          host.deleting.push({ ...effect, doneAtMs: now + (random.below(5) === 0 ? random.below(100_000) : random.below(500)) })
          break
        case 'abandoned':
          break
      }
    }
  }
  const crash = (host: Host): void => {
    crashes++
    host.up = false
    host.deleting = []
  }
  const restart = (host: Host): void => {
    host.up = true
    host.core = makeCore(host.id, host.disk)
  }

  const arrive = (): void => {
    now += random.below(300)
    for (const host of hosts.values()) {
      for (const job of [...host.deleting]) {
        if (!host.up || job.doneAtMs > now) continue
        host.deleting.splice(host.deleting.indexOf(job), 1)
        if (clockOf(host) < job.notAfterMs && host.holds.has(job.cid)) remove(host, job.cid)
        perform(host, host.core.step({ type: 'deleteEnded', cid: job.cid, attempt: job.attempt }))
      }
    }
    for (let i = wire.length - 1; i >= 0; i--) {
      const message = wire[i]!
      if (message.at > now) continue
      wire.splice(i, 1)
      const host = hosts.get(message.to)!
      if (!host.up) continue
      const input = message.input(host, clockOf(host))
      if (init.broken === 'confirms with an intent' && input.type === 'keepAsked') {
        // Confirms from the store alone, as one would who only looks whether it has the blob.
        send(input.from, (_, nowMs) => ({ type: 'keepAnswered', cid: input.cid, attempt: input.attempt, from: host.id, keeps: input.holds, nowMs }))
        continue
      }
      perform(host, host.core.step(input))
    }
  }

  for (let step = 0; step < init.steps && violation === undefined; step++) {
    arrive()
    const host = hosts.get(ids[random.below(ids.length)]!)!
    const dice = random.below(100)
    if (!host.up) {
      if (dice < 30) restart(host)
    } else if (dice < 45) {
      const held = [...host.holds]
      const cid = held[random.below(Math.max(1, held.length))]
      if (cid !== undefined) {
        attempts++
        if (init.broken === 'no asking') remove(host, cid)
        // It believes that everybody has it: the worst view there is.
        else perform(host, host.core.step({ type: 'dropWanted', cid, attempt: `${host.id.slice(-4)}${String(++host.attempt)}${String(random.below(1e9))}`, holders: ids, floor: init.floor, nowMs: clockOf(host) }))
      }
    } else if (dice < 47 && init.calm !== true) crash(host)
    else if (dice < 49 && init.calm !== true) host.clockOffsetMs += random.below(400_000) - 150_000
    else perform(host, host.core.step({ type: 'tick', nowMs: clockOf(host) }))
  }
  // No new tries: what is under way comes to its end.
  for (let step = 0; init.calm === true && (wire.length > 0 || [...hosts.values()].some((host) => host.deleting.length > 0)); step++) {
    if (step > 100_000) throw new Error('it never becomes quiet')
    arrive()
  }
  const promisesLeft = [...hosts.values()].reduce((sum, host) => sum + host.core.promises, 0)
  return { deletions, attempts, crashes, promisesLeft, violation }
}
