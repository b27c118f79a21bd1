import type { Socket } from 'node:net'
import { Uint8ArrayList } from 'uint8arraylist'
import { flowTo } from './flow.js'
import type { FlowSink, Flowing } from './flow.js'

type Chunk = Uint8Array | Uint8ArrayList

/**
 * Bytes that may wait for the reader before the socket is paused. Pausing and resuming costs more than reading 64 KiB, so
 * it is not done for every chunk; what waits here has left the muxer's window already.
 */
const waitingBytesMax = 256 * 1024
/**
 * Bytes that may wait in the socket before the sink asks its source for more. The order of what is sent is decided in the
 * muxer's fair queue, so little may stand behind it; with less than a frame the cipher and the kernel would take turns.
 */
const unsentBytesMax = 128 * 1024

/** The most that TLS puts into a record: one of this size is part of something larger, of which more is coming. */
const recordBytesMax = 16 * 1024
/**
 * So much of something large is handed on at once. The cipher tells of each record by itself, and each hand-over is a
 * dozen promises from here to the stream that it is for. As much as the kernel gives in one go, so nothing waits for it.
 */
const handedOverBytes = 64 * 1024

/** A socket as libp2p's duplex of iterables. The `error` events of the socket must have a listener already. */
export class DuplexSocket {
  readonly source: AsyncGenerator<Chunk> & Flowing
  readonly #socket: Socket
  readonly #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #paused = false
  #over = false
  #error: Error | undefined
  #wakeReader: (() => void) | undefined
  #wakesSoon = false
  #tap: HandleTap | undefined
  #isTapTried = false
  /** Takes all that comes, instead of who reads the source. */
  #flow: FlowSink | undefined

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#take(bytes)
      this.#tapHandle()
    })
    socket.once('end', () => { this.#end() })
    socket.once('close', () => { this.#end() })
    socket.on('error', (error) => { this.#end(error) })
    if (socket.destroyed) this.#end()
    this.source = this.#makeSource()
  }

  readonly sink = async (source: AsyncIterable<Chunk> | Iterable<Chunk>): Promise<void> => {
    const socket = this.#socket
    let corked = false
    const uncork = (): void => {
      corked = false
      socket.uncork()
    }
    try {
      for await (const chunk of source) {
        if (socket.destroyed || socket.writableEnded) throw this.#error ?? new Error('the connection is closed')
        if (!corked) {
          corked = true
          socket.cork()
          // Runs when the promises of this turn are done: what the muxer had ready leaves in one write, and nothing waits.
          process.nextTick(uncork)
        }
        if (chunk instanceof Uint8Array) socket.write(chunk)
        else for (const part of chunk) socket.write(part)
        if (socket.writableLength > unsentBytesMax) await this.#drained()
      }
      socket.end()
    } catch (error) {
      socket.destroy()
      throw error
    }
  }

  async #drained(): Promise<void> {
    const socket = this.#socket
    await new Promise<void>((resolve) => {
      const end = (): void => {
        socket.removeListener('drain', end)
        socket.removeListener('close', end)
        resolve()
      }
      socket.once('drain', end)
      socket.once('close', end)
      if (socket.destroyed || socket.writableLength <= unsentBytesMax) end()
    })
  }

  #take(bytes: Uint8Array): void {
    if (this.#over) return
    if (this.#flow !== undefined) {
      this.#flow.take(bytes)
      return
    }
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    // Again for what comes all the same: the cipher had it already, or the socket's stream asked for it.
    if (this.#waitingBytes > waitingBytesMax) {
      this.#paused = true
      if (this.#tap === undefined) this.#socket.pause()
      else this.#tap.pause()
    }
    if (bytes.length < recordBytesMax || this.#waitingBytes >= handedOverBytes) this.#wakeReader?.()
    else this.#wakeSoon()
  }

  /** Once all that has arrived by now was taken: a message may end with a record that is full. */
  #wakeSoon(): void {
    if (this.#wakesSoon) return
    this.#wakesSoon = true
    setImmediate(() => {
      this.#wakesSoon = false
      if (this.#waiting.length > 0) this.#wakeReader?.()
    })
  }

  #end(error?: Error): void {
    if (this.#over) return
    this.#over = true
    this.#error = error
    this.#flow?.end(error)
    this.#wakeReader?.()
  }

  #startFlow(sink: FlowSink): void {
    const waiting = this.#shift()
    if (waiting instanceof Uint8Array) sink.take(waiting)
    else if (waiting !== undefined) for (const part of waiting) sink.take(part)
    if (this.#over) {
      sink.end(this.#error)
      return
    }
    this.#flow = sink
    this.#tap?.lend()
  }

  /** All that waits. */
  #shift(): Chunk | undefined {
    const [first] = this.#waiting
    if (first === undefined) return undefined
    const chunk = this.#waiting.length === 1 ? first : new Uint8ArrayList(...this.#waiting)
    this.#waiting.length = 0
    this.#waitingBytes = 0
    if (this.#paused) {
      this.#paused = false
      if (this.#tap === undefined) this.#socket.resume()
      else this.#tap.resume()
    }
    return chunk
  }

  /** As soon as nothing stands in the socket's own stream: what comes next may go past it. */
  #tapHandle(): void {
    if (this.#isTapTried || this.#socket.readableLength > 0 || this.#paused || this.#over) return
    this.#isTapTried = true
    this.#tap = tapHandle(this.#socket, (bytes) => { this.#take(bytes) })
    if (this.#flow !== undefined) this.#tap?.lend()
  }

  /** Written by hand: a generator costs two turns of promises more per chunk. */
  #makeSource(): AsyncGenerator<Chunk> & Flowing {
    const over: IteratorResult<Chunk, undefined> = { done: true, value: undefined }
    const next = async (): Promise<IteratorResult<Chunk>> => {
      for (;;) {
        const value = this.#shift()
        if (value !== undefined) return { done: false, value }
        if (this.#error !== undefined) throw this.#error
        if (this.#over) return over
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve
        })
        this.#wakeReader = undefined
      }
    }
    const stop = (): void => {
      this.#end()
      this.#waiting.length = 0
      // Nobody reads on: what comes is thrown away, so that the end of the connection is still seen.
      this.#socket.resume()
      this.#tap?.resume()
    }
    return {
      next,
      return: async () => {
        stop()
        return over
      },
      throw: async (error: unknown) => {
        stop()
        throw error
      },
      [Symbol.asyncIterator]() {
        return this
      },
      [flowTo]: (sink) => {
        this.#startFlow(sink)
        return stop
      },
    }
  }
}

interface HandleTap {
  pause(): void
  resume(): void
  /** From now on what is taken is lent: all records come in the same memory, instead of each in a buffer of its own. */
  lend(): void
}

/**
 * Takes what a socket reads from the handle beneath it. Each record of TLS would otherwise be put into a stream, taken out
 * again and be an event, with a tick of its own afterwards in which the stream asks itself whether to read more: 64 times
 * for each mebibyte. Ends and errors go the usual way. Undefined where this Node.js has other insides, and then the
 * stream's events are listened to as before.
 *
 * A handle counts what it has read. Where that is not what came here, some other Node.js means something else by what it
 * hands over, and it is given back its own function before anything was taken.
 */
function tapHandle(socket: Socket, take: (bytes: Uint8Array) => void): HandleTap | undefined {
  const handle: unknown = Reflect.get(socket, '_handle')
  if (typeof handle !== 'object' || handle === null) return undefined
  const original: unknown = Reflect.get(handle, 'onread')
  const readStart: unknown = Reflect.get(handle, 'readStart')
  const readStop: unknown = Reflect.get(handle, 'readStop')
  let readBytes: unknown = Reflect.get(handle, 'bytesRead')
  let lent: Buffer | undefined
  if (typeof original !== 'function' || typeof readStart !== 'function' || typeof readStop !== 'function' || typeof readBytes !== 'number') return undefined
  Reflect.set(handle, 'onread', function (this: unknown, bytes: unknown, ...rest: unknown[]): unknown {
    const now: unknown = Reflect.get(handle, 'bytesRead')
    if (bytes instanceof ArrayBuffer && typeof now === 'number' && typeof readBytes === 'number' && now - readBytes === bytes.byteLength) {
      readBytes = now
      take(new Uint8Array(bytes))
      return undefined
    }
    if (bytes === undefined && lent !== undefined && typeof now === 'number' && typeof readBytes === 'number' && now > readBytes) {
      const length = now - readBytes
      readBytes = now
      take(lent.subarray(0, length))
      return undefined
    }
    if (bytes !== undefined) Reflect.set(handle, 'onread', original)
    return Reflect.apply(original, this, [bytes, ...rest]) as unknown
  })
  const set = (reading: boolean): void => {
    // Gone, or another one, once the socket is destroyed.
    if (Reflect.get(socket, '_handle') !== handle) return
    Reflect.set(handle, 'reading', reading)
    Reflect.apply(reading ? readStart : readStop, handle, [])
  }
  const lend = (): void => {
    const useUserBuffer: unknown = Reflect.get(handle, 'useUserBuffer')
    if (lent !== undefined || typeof useUserBuffer !== 'function' || Reflect.get(socket, '_handle') !== handle) return
    lent = Buffer.allocUnsafeSlow(recordBytesMax)
    Reflect.apply(useUserBuffer, handle, [lent])
  }
  return { pause: () => { set(false) }, resume: () => { set(true) }, lend }
}
