import type { SecurableStream } from '@libp2p/interface'
import type { Uint8ArrayList } from 'uint8arraylist'
import type { Clock } from '../../base/index.js'

type Chunk = Uint8Array | Uint8ArrayList
type Sending = AsyncIterable<Chunk> | Iterable<Chunk>

/**
 * Bytes under way at most; who sends more waits. 160 MB/s for 400 ms: faster and longer links than anybody tries here.
 */
const underWayBytesMax = 64 * 2 ** 20

/**
 * A long link for tests: what is sent over the connection arrives `delayMs` later, in order, as much at once as there is.
 * The delay is asked for at every chunk, since what it depends on (where the other node stands) may be learnt later.
 * Only what this side sends is late; for a round trip both sides need the setting. The handshake is not delayed.
 */
export function delayed<Stream extends Pick<SecurableStream, 'sink'>>(connection: Stream, clock: Clock, delayMs: () => number): Stream {
  const { sink } = connection
  return { ...connection, sink: async (source: Sending) => sink(lateBy(source, clock, delayMs)) }
}

/** What `source` yields, each chunk `delayMs` after it was yielded. Reads ahead. */
export async function* lateBy(source: Sending, clock: Clock, delayMs: () => number, bytesMax = underWayBytesMax): AsyncGenerator<Chunk> {
  const underWay: { atMs: number; chunk: Chunk }[] = []
  let head = 0
  let bytes = 0
  let state: 'reading' | 'ended' | 'left' = 'reading'
  let failed: { error: unknown } | undefined
  let wakeReader: (() => void) | undefined
  let wakeWriter: (() => void) | undefined
  const iterator: AsyncIterator<Chunk> | Iterator<Chunk> = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  const isReading = (): boolean => state === 'reading'

  const read = async (): Promise<void> => {
    try {
      while (isReading()) {
        if (bytes >= bytesMax) {
          await new Promise<void>((resolve) => (wakeReader = resolve))
          continue
        }
        const result = await iterator.next()
        if (result.done === true) break
        // One whose delay has shrunk meanwhile still waits for those before it: only the first of the queue leaves.
        underWay.push({ atMs: clock.monotonicMs() + delayMs(), chunk: result.value })
        bytes += result.value.byteLength
        wakeWriter?.()
      }
    } catch (error) {
      failed = { error }
    }
    if (isReading()) state = 'ended'
    wakeWriter?.()
  }
  void read()

  try {
    for (;;) {
      const next = underWay[head]
      if (next === undefined) {
        // What was sent before a failure still arrives.
        if (failed !== undefined) throw failed.error
        if (!isReading()) return
        await new Promise<void>((resolve) => (wakeWriter = resolve))
        continue
      }
      const waitMs = next.atMs - clock.monotonicMs()
      if (waitMs > 0) {
        await clock.sleep(waitMs)
        continue
      }
      if (++head > 1024) {
        underWay.splice(0, head)
        head = 0
      }
      bytes -= next.chunk.byteLength
      wakeReader?.()
      yield next.chunk
    }
  } finally {
    state = 'left'
    wakeReader?.()
    // The reader may be waiting for a chunk that never comes.
    await iterator.return?.()
  }
}
