import type { Clock } from '../../base/index.js'

/**
 * Where writers of one stream wait a moment for its replicas: what has to be read back from the disk to be sent costs the
 * holder more than all the rest of a long write, so that writing on would make both slower. A replica that does not come
 * closer in that moment is not waited for until it has caught up: over a slow link a burst is written at the speed of this
 * disk, and its sending takes as long as it takes, up to what a flush has to cover (see `SegmentAccess`).
 */
export class Room {
  readonly #clock: Clock
  readonly #isFull: () => boolean
  readonly #waiting = new Set<() => void>()
  #isBehind = false

  constructor(components: { clock: Clock }, init: { isFull: () => boolean }) {
    this.#clock = components.clock
    this.#isFull = init.isFull
  }

  /** Undefined: there is room, or nobody is waited for. Else resolves when that is so. */
  wait(): Promise<void> | undefined {
    if (this.#isBehind || !this.#isFull()) return undefined
    return new Promise((resolve) => {
      const cancel = this.#clock.setTimer(waitMsMax, () => {
        this.#isBehind = this.#isFull()
        this.look(false)
      })
      this.#waiting.add(() => {
        cancel()
        resolve()
      })
    })
  }

  /** Something was taken away, or nothing more will be. */
  look(isCaughtUp: boolean): void {
    if (isCaughtUp) this.#isBehind = false
    if (this.#waiting.size === 0 || (!this.#isBehind && this.#isFull())) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const enter of waiting) enter()
  }
}

/** Some syncs of a busy disk, and less than what a person notices of a write. */
const waitMsMax = 250
