import type { NodeEffect } from '../../../src/consensus/node.js'
import type { OperationEnd, Running } from '../../../src/consensus/operations.js'
import type { Value } from '../../../src/consensus/value.js'
import { noBytes } from '../../../src/consensus/value.js'
import type { Entry, FencedStore } from './fenced-store.js'
import type { History } from './history.js'
import type { Host, Process } from './host.js'
import type { Network } from './network.js'
import type { World } from './world.js'

export interface ClientInit {
  readonly scopes: readonly string[]
  /** Mean time between actions. */
  readonly thinkMs: number
  /** How often the holder's governor agrees. */
  readonly generosity: number
  /** And no node runs twice. Else an old holder may serve a while longer; only its writes must not get through. */
  readonly clocksInBounds: () => boolean
}

interface Held {
  readonly token: number
  content: Entry | undefined
  serving: boolean
  sequence: number
  writing: boolean
}

export interface ClientCounters {
  granted: number
  writes: number
  handed: number
  stolen: number
  revoked: number
}

/**
 * What people do with one node: take scopes in every way there is, write under them to the fenced store, hand over or
 * refuse, give up half way. Chance decides; every answer goes into the history.
 */
export class Client {
  readonly #world: World
  readonly #network: Network
  readonly #store: FencedStore
  readonly #history: History
  readonly #host: Host
  readonly #process: Process
  readonly #init: ClientInit
  readonly #counters: ClientCounters
  readonly #held = new Map<string, Held>()
  readonly #running = new Map<string, Running>()
  readonly #handing = new Set<string>()
  /** Set once the faults are over: then it only tries to get hold of each scope once. */
  goal: Set<string> | undefined
  #writes = 0

  constructor(components: { world: World; network: Network; store: FencedStore; history: History; host: Host; process: Process; counters: ClientCounters }, init: ClientInit) {
    this.#world = components.world
    this.#network = components.network
    this.#store = components.store
    this.#history = components.history
    this.#host = components.host
    this.#process = components.process
    this.#counters = components.counters
    this.#init = init
    this.#think()
  }

  heard(effect: NodeEffect): void {
    if (effect.kind === 'granted') {
      this.#counters.granted++
      this.#held.set(effect.scope, { token: effect.value.token, content: undefined, serving: false, sequence: 0, writing: false })
      if (this.goal?.has(effect.scope) === true) this.goal.delete(effect.scope)
      this.#fence(effect.scope, effect.value.token)
    } else if (effect.kind === 'lost') {
      if (this.#held.get(effect.scope)?.token === effect.token) this.#held.delete(effect.scope)
      this.#handing.delete(effect.scope)
    } else if (effect.kind === 'wish') {
      const { wish } = effect
      const generous = this.goal !== undefined || this.#world.chance(this.#init.generosity)
      if (this.#handing.has(wish.scope)) return
      if (!generous) {
        if (this.#world.chance(0.5)) this.#process.operations.refuseWish(wish, 'not now')
        return
      }
      if (!this.#process.operations.freeze(wish.scope, wish.token)) return
      this.#handing.add(wish.scope)
      // Draining takes a while; suspends fall in here.
      this.#later(this.#world.between(0, 300), () => {
        this.#handing.delete(wish.scope)
        const beganMs = this.#world.nowMs
        this.#process.operations.handOff(wish.scope, wish.token, wish.asker, noBytes, (end) => {
          if (end.kind === 'handed') this.#counters.handed++
          this.#record(wish.scope, end, beganMs)
        })
      })
    }
  }

  #think(): void {
    const pause = this.goal === undefined ? this.#world.between(0, 2 * this.#init.thinkMs) : this.#world.between(0, 400)
    this.#later(pause, () => {
      if (this.goal === undefined) this.#act(this.#world.pick(this.#init.scopes))
      else for (const scope of this.goal) if (!this.#running.has(scope)) this.#obtain(scope)
      this.#think()
    })
  }

  #act(scope: string): void {
    const { operations, node } = this.#process
    const world = this.#world
    const running = this.#running.get(scope)
    if (running !== undefined) {
      if (world.chance(0.15)) running.cancel()
      return
    }
    const held = this.#held.get(scope)
    if (held !== undefined && node.holdings.get(scope) !== undefined) {
      if (world.chance(0.2)) this.#run(scope, (ended) => operations.release(scope, held.token, ended))
      else if (world.chance(0.1)) this.#run(scope, (ended) => operations.acquire(scope, { op: operations.nextOp(), payload: noBytes }, ended))
      else this.#write(scope, held)
      return
    }
    if (world.chance(0.2)) this.#run(scope, (ended) => operations.read(scope, ended))
    else this.#obtain(scope)
  }

  /** Acquire; if somebody holds it, one of the ways to take it. */
  #obtain(scope: string): void {
    const { operations } = this.#process
    const op = operations.nextOp()
    this.#run(scope, (ended) => operations.acquire(scope, { op, payload: noBytes }, ended), (end) => {
      if (end.kind === 'held') this.#take(scope, end.value)
      // A caller that had no answer asks again under the same name.
      else if (end.kind === 'failed' && end.unknown && this.#world.chance(0.7)) {
        this.#run(scope, (ended) => operations.acquire(scope, { op, payload: noBytes }, ended))
      }
    })
  }

  #take(scope: string, value: Value): void {
    const { operations } = this.#process
    const way = this.#world.random.below(this.goal === undefined ? 10 : 3)
    if (way < 3) {
      this.#run(scope, (ended) => operations.stealDead(scope, value, ended), (end) => {
        if (end.kind === 'granted') this.#counters.stolen++
        if (end.kind === 'alive' && this.#world.chance(0.6)) this.#run(scope, (ended) => operations.wish(scope, value, noBytes, ended, { follows: true, isHint: this.#writes % 2 === 0 }))
      })
    } else if (way < 6) this.#run(scope, (ended) => operations.wish(scope, value, noBytes, ended, { follows: true, isHint: this.#writes % 2 === 0 }))
    else if (way < 9) {
      const to = this.#world.chance(0.8) ? 'me' : 'nobody'
      this.#run(scope, (ended) => operations.revoke(scope, value, { to }, ended), (end) => {
        if (end.kind === 'granted' || end.kind === 'freed') this.#counters.revoked++
      })
    }
  }

  #run(scope: string, begin: (ended: (end: OperationEnd) => void) => Running, then?: (end: OperationEnd) => void): void {
    const beganMs = this.#world.nowMs
    const state = { over: false }
    const running = begin((end) => {
      state.over = true
      this.#running.delete(scope)
      this.#record(scope, end, beganMs)
      if (!this.#process.dead) then?.(end)
    })
    if (!state.over) {
      this.#running.set(scope, running)
      // Nobody waits for ever.
      this.#later(20_000, () => { if (this.#running.get(scope) === running) running.cancel() })
    }
  }

  #record(scope: string, end: OperationEnd, beganMs: number): void {
    const history = this.#history
    const { nowMs } = this.#world
    switch (end.kind) {
      case 'granted':
      case 'released':
      case 'handed':
      case 'freed':
        history.wrote(scope, end.value, nowMs)
        return
      case 'held':
        history.read(scope, end.value, beganMs, nowMs)
        return
      case 'read':
        history.read(scope, end.accepted?.value, beganMs, nowMs)
        return
      default:
    }
  }

  // ---- the store ----------------------------------------------------------------------------------------------------

  #fence(scope: string, token: number): void {
    const process = this.#process
    if (process.node.holdings.get(scope)?.value.token !== token || this.#held.get(scope)?.serving !== false) return
    this.#toStore(() => {
      const answer = this.#store.fence(scope, token)
      return () => {
        const held = this.#held.get(scope)
        if (answer === undefined || held?.token !== token || held.serving) return
        process.node.holdings.fenced(scope, token)
        held.content = answer.content
        held.serving = true
      }
    })
    this.#later(500, () => { this.#fence(scope, token) })
  }

  #write(scope: string, held: Held): void {
    const { node } = this.#process
    if (held.writing || node.mayAct(scope, this.#host.readings) !== held.token) return
    this.#store.serving(scope, held.token, held.content, this.#init.clocksInBounds())
    held.writing = true
    held.sequence++
    this.#writes++
    const { sequence } = held
    const entry: Entry = { id: `${this.#process.start.slice(0, 4)}.${this.#writes}`, count: (held.content?.count ?? 0) + 1, before: held.content }
    held.content = entry
    const tell = (tries: number): void => {
      if (this.#held.get(scope) !== held || !held.writing || held.sequence !== sequence) return
      this.#toStore(() => {
        const applied = this.#store.write(scope, held.token, sequence, entry)
        return () => {
          if (!applied || held.sequence !== sequence || !held.writing) return
          held.writing = false
          // Checked again after it is stored, just before the acknowledgement.
          if (node.mayAct(scope, this.#host.readings) !== held.token) return
          this.#counters.writes++
          this.#store.acknowledged(scope, entry)
        }
      })
      if (tries < 10) this.#later(400, () => { tell(tries + 1) })
    }
    // The local disk first: suspends fall between the check and the sending.
    this.#later(this.#world.between(0, 20), () => { tell(0) })
  }

  #toStore(at: () => () => void): void {
    this.#network.send(this.#host.id, 'store', () => {
      const answer = at()
      this.#network.send('store', this.#host.id, () => { this.#host.inProcess(this.#process, answer) })
    })
  }

  #later(ms: number, run: () => void): void {
    this.#world.after(ms, () => {
      this.#host.inProcess(this.#process, () => {
        this.#process.node.at(this.#host.readings)
        run()
      })
    })
  }
}
