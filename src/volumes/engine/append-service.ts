import type { Bulk, ByteStream } from '../../base/index.js'
import { readFrames, spareMemory } from '../../base/index.js'
import type * as wire from '../wire/volume.js'
import { appendLimits, appendProtocol, decodeAppend, encodeAnswer, joined } from './append-frames.js'
import type { NumberedAppend } from './append-frames.js'
import { keyOf } from './registers.js'
import { encodeRefusal } from './replica.js'
import type { Replica } from './replica.js'

/** A holder has one; another may be there while the network has not noticed yet that the first is gone. */
const streamsOfPeerMax = 4
/** Content of one stream that is on its way to the disk: twice what a holder sends ahead. Beyond it nothing more is read. */
const heldBytesMax = 16 * 1024 * 1024
const heldMax = 1024

/** The replica's end of `/mesh/volume/1`: frames are taken in their order, and answered as they are done. */
export function serveAppends(bulk: Bulk, replica: Replica): void {
  bulk.register({ id: appendProtocol, inboundMax: streamsOfPeerMax, handle: async (stream) => serveStream(stream, replica) })
}

async function serveStream(stream: ByteStream, replica: Replica): Promise<void> {
  let heldBytes = 0
  let held = 0
  let wake: (() => void) | undefined
  /** By segment, the last entries that are on their way to the disk. */
  const underWay = new Map<string, Promise<unknown>>()
  const answers = new Answers(stream)
  /** Of the frame that is being read; undefined where its payload came in one piece. */
  let memory: Uint8Array | undefined
  const reading = { ...appendLimits, allocate: (size: number) => (memory = spareMemory.take(size)), release: (piece: Uint8Array) => stream.release?.(piece) }
  for await (const frame of readFrames(stream.received, reading)) {
    const own = memory
    memory = undefined
    const append = decodeAppend(frame)
    const bytes = frame.payload.length
    held++
    heldBytes += bytes
    const key = keyOf(append.id)
    // Without entries there is no turn to take at the disk: an end that is told too early reads as if entries were missing,
    // and would be sent again, or could not be, where the holder has them no more.
    const before = append.entries.length === 0 ? underWay.get(key) : undefined
    const taking = before === undefined ? taken(replica, append) : before.then(async () => taken(replica, append))
    if (append.entries.length > 0) underWay.set(key, taking)
    // Not waited for: the disk takes calls in their order, and a sync must not hold up what comes behind it.
    void taking.then((answer) => {
      if (underWay.get(key) === taking) underWay.delete(key)
      held--
      heldBytes -= bytes
      // What failed may still be on its way to the disk.
      if (answer !== undefined && own !== undefined) spareMemory.release(own)
      answers.push(encodeAnswer(append.number, answer))
      wake?.()
    })
    while (heldBytes > heldBytesMax || held > heldMax) await new Promise<void>((resolve) => { wake = resolve })
  }
}

/** Undefined: it failed here, and may be tried again. */
async function taken(replica: Replica, { id, token, entries, sync, settled }: NumberedAppend): Promise<wire.AppendAnswer | undefined> {
  try {
    const answer = await replica.append(id, token, entries, { sync, settled })
    return typeof answer === 'number' ? { end: answer } : { end: answer.end, refusal: encodeRefusal(answer.refused) }
  } catch {
    return undefined
  }
}

/** Sends answers in the order they come, those of one moment together. A stream that is gone takes them with it. */
class Answers {
  readonly #stream: ByteStream
  #queue: Uint8Array[] = []
  #sending = false

  constructor(stream: ByteStream) {
    this.#stream = stream
  }

  push(answer: Uint8Array): void {
    this.#queue.push(answer)
    if (!this.#sending) void this.#send()
  }

  async #send(): Promise<void> {
    this.#sending = true
    try {
      await Promise.resolve()
      while (this.#queue.length > 0) {
        const parts = joined(this.#queue)
        this.#queue = []
        await this.#stream.send(parts)
      }
    } catch {
      this.#queue = []
    } finally {
      this.#sending = false
    }
  }
}
