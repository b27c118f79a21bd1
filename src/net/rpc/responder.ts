import { CommonError, messageOf } from '../../base/index.js'
import type { Clock, NodeId } from '../../base/index.js'
import { decode as lengthPrefixed } from 'it-length-prefixed'
import { pipe } from 'it-pipe'
import { NetError } from '../types.js'
import { isFraming } from './caller.js'
import type { RpcInit, RpcStream } from './caller.js'
import { decodeFrame, encodeFrame, errorFrame, frameOverheadBytes } from './frames.js'
import type { Frame } from './frames.js'
import type { MethodTable } from './methods.js'
import { Outbox } from './outbox.js'

type Request = Extract<Frame, { kind: 'request' }>

/** A request may ask to be worked on for this long at most: nobody waits a day for a small message. */
const deadlineMsMax = 10 * 60_000

/**
 * Requests that wait for their turn, and answers that wait to be read, of one stream: each kind may hold so many bytes.
 * Their number alone is no bound worth having: a thousand of 2 MiB are what a small machine has.
 */
export const heldBytesMax = 32 * 2 ** 20

/**
 * Answers one peer's requests of one stream until it ends. Requests run side by side as far as their rows allow; when
 * answers pile up because the peer does not read them, no more requests are read.
 */
export async function respond(
  stream: RpcStream,
  from: NodeId,
  components: { methods: MethodTable; clock: Clock; onBadFrame: (error: unknown) => void },
  init: RpcInit,
): Promise<void> {
  const { methods, clock, onBadFrame } = components
  const outbox = new Outbox({ highWaterBytes: init.answersHighWaterBytes })
  const running = new Map<number, AbortController>()
  let heldBytes = 0

  const run = async (request: Request): Promise<void> => {
    const controller = new AbortController()
    running.set(request.id, controller)
    heldBytes += request.body.length
    const deadlineMs = Math.min(request.deadlineMs, deadlineMsMax)
    const cancelTimer = clock.setTimer(deadlineMs, () => {
      controller.abort(new CommonError('DEADLINE', `not done within ${Math.round(deadlineMs)} ms`, { deadlineMs }))
    })
    try {
      if (heldBytes > heldBytesMax) throw new CommonError('OVERLOADED', 'this node has too many bytes of your requests under way', { heldBytesMax })
      const body = await methods.answer(from, request.method, request.body, controller.signal)
      if (outbox.bytes + body.length > heldBytesMax) throw new CommonError('OVERLOADED', 'you do not read your answers', { heldBytesMax })
      if (running.get(request.id) === controller) outbox.push(encodeFrame({ kind: 'response', id: request.id, body }))
    } catch (error) {
      if (running.get(request.id) === controller) outbox.push(encodeFrame(errorFrame(request.id, error)))
    } finally {
      cancelTimer()
      heldBytes -= request.body.length
      if (running.get(request.id) === controller) running.delete(request.id)
    }
  }

  const receive = (frame: Frame): void => {
    if (frame.kind === 'cancel') {
      const controller = running.get(frame.id)
      // Removed first: who cancelled wants no answer.
      running.delete(frame.id)
      controller?.abort(new CommonError('ABORTED', 'the caller cancelled the request'))
      return
    }
    if (frame.kind !== 'request') throw new NetError('BAD_FRAME', `a ${frame.kind} on a stream for requests`)
    if (running.has(frame.id)) throw new NetError('BAD_FRAME', 'two requests of one id at once')
    void run(frame)
  }

  try {
    await pipe(
      outbox,
      (source) => {
        stream.sink(source).catch((error: unknown) => {
          stream.abort(error instanceof Error ? error : new Error(messageOf(error)))
        })
        return stream.source
      },
      (source) => lengthPrefixed(source, { maxDataLength: init.bodyBytesMax + frameOverheadBytes }),
      async (frames) => {
        for await (const bytes of frames) {
          receive(decodeFrame(bytes))
          if (outbox.bytes > init.answersHighWaterBytes) await outbox.room()
        }
      },
    )
  } catch (error) {
    if (isFraming(error)) onBadFrame(error)
  } finally {
    outbox.end()
    const gone = new NetError('UNAVAILABLE', 'the caller is gone', { peer: from })
    for (const controller of running.values()) controller.abort(gone)
    running.clear()
    stream.abort(gone)
  }
}
