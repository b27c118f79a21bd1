import { setMaxListeners } from 'node:events'
import type { Clock } from './clock.js'
import { CommonError } from './errors.js'

/**
 * Runs `work` with a deadline on top of the caller's signal. Rejects with DEADLINE when the time is up; the signal that
 * `work` is given aborts in either case, so that nothing goes on behind the caller's back.
 */
export async function withDeadline<T>(
  clock: Clock,
  deadlineMs: number,
  signal: AbortSignal | undefined,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted()
  const controller = new AbortController()
  const onAbort = (): void => {
    controller.abort(signal?.reason)
  }
  signal?.addEventListener('abort', onAbort, { once: true })
  const cancel = clock.setTimer(
    deadlineMs,
    () => {
      controller.abort(new CommonError('DEADLINE', `no answer within ${String(Math.round(deadlineMs))} ms`, { deadlineMs }))
    },
    { keepAlive: true },
  )
  try {
    return await raceAbort(work(controller.signal), controller.signal)
  } finally {
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}

/** The promise's outcome, or the signal's reason as soon as it aborts, whichever is first. */
export async function raceAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  if (signal.aborted) {
    promise.catch(() => undefined)
    throw abortReason(signal)
  }
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(abortReason(signal))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    promise.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort)
    })
  })
}

/**
 * Runs `work` with a signal that aborts as soon as one of these does. For a short piece of work under a signal that lives
 * as long as the process: of each `AbortSignal.any` Node 20 keeps a reference there for good.
 */
export async function withSignals<T>(signals: readonly (AbortSignal | undefined)[], work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  // How many parts the work has is its own affair.
  setMaxListeners(0, controller.signal)
  const unlisten: (() => void)[] = []
  for (const signal of signals) {
    if (signal === undefined) continue
    const onAbort = (): void => {
      controller.abort(signal.reason)
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    unlisten.push(() => {
      signal.removeEventListener('abort', onAbort)
    })
  }
  try {
    return await work(controller.signal)
  } finally {
    for (const leave of unlisten) leave()
  }
}

export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new CommonError('ABORTED', 'the operation was cancelled')
}
