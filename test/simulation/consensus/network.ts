import type { World } from './world.js'

/** What the weather is like in one run: drawn per seed, so that some runs are calm and some are terrible. */
export interface NetworkInit {
  /** 0…0.3 */
  readonly loss: number
  /** 0…0.5: chance that a message arrives a second time, possibly much later. */
  readonly replay: number
  readonly delayMsMax: number
}

/** How hosts reach each other. `label`: the kind of message, for those who pick. */
export interface Links {
  send(from: string, to: string, deliver: () => void, label?: string): void
}

/** One-way links between hosts. Cut and clogged by direction, so that partitions may be symmetric, one-way or of one pair. */
export class Network implements Links {
  readonly #world: World
  #init: NetworkInit
  readonly #cut = new Set<string>()
  readonly #clogged = new Map<string, number>()

  constructor(world: World, init: NetworkInit) {
    this.#world = world
    this.#init = init
  }

  send(from: string, to: string, deliver: () => void): void {
    const world = this.#world
    if (from === to) {
      world.after(world.between(0, 0.1), deliver)
      return
    }
    const isCut = this.#cut.size > 0 && this.#cut.has(`${from}>${to}`)
    if (isCut || world.chance(this.#init.loss)) return
    const clogMs = this.#clogged.size === 0 ? 0 : Math.max(0, (this.#clogged.get(`${from}>${to}`) ?? 0) - world.nowMs)
    const delayMs = world.between(0.2, this.#init.delayMsMax)
    world.after(clogMs + delayMs, deliver)
    if (world.chance(this.#init.replay)) {
      const late = world.chance(0.3) ? world.between(0, 20_000) : world.between(0, 400)
      world.after(clogMs + delayMs + late, deliver)
    }
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from}>${to}`)
  }

  mend(from: string, to: string): void {
    this.#cut.delete(`${from}>${to}`)
  }

  /** What is sent on this link arrives after `forMs`, all at about the same time. */
  clog(from: string, to: string, forMs: number): void {
    this.#clogged.set(`${from}>${to}`, this.#world.nowMs + forMs)
  }

  heal(): void {
    this.#cut.clear()
    this.#clogged.clear()
    this.#init = { loss: 0, replay: 0, delayMsMax: Math.min(20, this.#init.delayMsMax) }
  }
}
