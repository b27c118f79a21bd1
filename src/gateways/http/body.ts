import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../base/index.js'
import { HttpError } from './errors.js'

/**
 * A client that sends nothing for this long is gone or means harm: its upload is given up and leaves nothing behind. Time
 * that *we* take to store what came does not count.
 */
export const uploadIdleMsMax = 60_000

/** The raw body as it comes, with a limit on how long a client may keep us waiting for the next bytes. */
export async function* uploadOf(request: IncomingMessage, clock: Clock, idleMsMax: number = uploadIdleMsMax): AsyncIterable<Uint8Array> {
  const iterator = request.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]()
  try {
    for (;;) {
      // What is there already needs no timer. Asked before `next`, which takes it.
      const isHere = request.readableLength > 0
      const next: Promise<IteratorResult<unknown>> = iterator.next()
      const result = await (isHere ? next : soon(next, clock, idleMsMax))
      if (result.done === true) return
      yield result.value as Uint8Array
    }
  } catch (error) {
    if (error instanceof HttpError) throw error
    throw new HttpError('BAD_INPUT', 'the upload broke off before its end; nothing of it was kept', {}, { cause: error })
  } finally {
    // Not destroyed: the answer to a refused upload must still get through, and Node throws away what is left of it.
    if (!request.readableEnded) request.resume()
  }
}

async function soon<T>(next: Promise<T>, clock: Clock, idleMsMax: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const cancel = clock.setTimer(idleMsMax, () => {
      reject(new HttpError('TOO_SLOW', `nothing came for ${String(Math.round(idleMsMax / 1000))} s; the upload was given up`))
    })
    next.then(resolve, reject).finally(cancel)
  })
}
