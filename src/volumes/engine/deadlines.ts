import { setMaxListeners } from 'node:events'
import type { Cancel, Clock } from '../../base/index.js'
import { DeviceError } from '../types.js'

/** Operations that begin within this share of the time they have end together: later by so much at most, never sooner. */
const shareOfDeadline = 1 / 16

interface Shared {
  readonly signal: AbortSignal
  readonly sinceMs: number
  readonly cancel: Cancel
  users: number
}

/**
 * The deadlines of a device's operations. A signal and a timer of its own costs an operation more than writing a block
 * does, so those that begin about the same time share them.
 */
export class Deadlines {
  readonly #clock: Clock
  readonly #deadlineMs: number
  #current: Shared | undefined

  constructor(components: { clock: Clock }, init: { deadlineMs: number }) {
    this.#clock = components.clock
    this.#deadlineMs = init.deadlineMs
  }

  /** `work` has the deadline at least, and a sixteenth more at most. */
  async run<T>(work: (deadline: AbortSignal) => Promise<T>): Promise<T> {
    const shared = this.#shared()
    shared.users++
    try {
      return await work(shared.signal)
    } finally {
      shared.users--
      if (shared !== this.#current && shared.users === 0) shared.cancel()
    }
  }

  /** No timer is left behind; what runs keeps its deadline. */
  close(): void {
    const shared = this.#current
    this.#current = undefined
    if (shared?.users === 0) shared.cancel()
  }

  #shared(): Shared {
    const nowMs = this.#clock.monotonicMs()
    const last = this.#current
    if (last !== undefined && nowMs - last.sinceMs < this.#deadlineMs * shareOfDeadline) return last
    if (last?.users === 0) last.cancel()
    const controller = new AbortController()
    // Every operation waits in as many places as it reaches into segments.
    setMaxListeners(0, controller.signal)
    const cancel = this.#clock.setTimer(this.#deadlineMs * (1 + shareOfDeadline), () => { controller.abort(new DeviceError('IO', 'not done in time')) })
    return (this.#current = { signal: controller.signal, sinceMs: nowMs, cancel, users: 0 })
  }
}
