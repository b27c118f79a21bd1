/**
 * Time as a value. Nothing outside `base` and `node` reads a clock or sets a timer by itself: it is handed a `Clock`,
 * so that a simulation can own time. Wall time orders things for people and is never trusted for validity; elapsed time
 * is measured with `monotonicMs`.
 */
export type Cancel = () => void

export interface Clock {
  /** Unix time in ms. May jump either way. */
  wallMs(): number
  /** Milliseconds since an arbitrary start, fractional, never back. May or may not count the machine's sleep. */
  monotonicMs(): number
  /** Calls `run` once after at least `ms`. The timer does not keep the process alive unless `keepAlive`. */
  setTimer(ms: number, run: () => void, options?: { keepAlive?: boolean }): Cancel
  /** Resolves after `ms`, or rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** setTimeout's own limit: longer waits would fire at once. */
const timerMsMax = 2 ** 31 - 1

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  setTimer(ms, run, options) {
    const timer = setTimeout(run, Math.min(Math.max(0, ms), timerMsMax))
    if (options?.keepAlive !== true) timer.unref()
    return () => {
      clearTimeout(timer)
    }
  },
  async sleep(ms, signal) {
    signal?.throwIfAborted()
    await new Promise<void>((resolve, reject) => {
      const onAbort = (): void => {
        clearTimeout(timer)
        reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, Math.min(Math.max(0, ms), timerMsMax))
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  },
}
