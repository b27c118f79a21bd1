import type { Socket } from 'node:net'

/**
 * Exact numbers of bytes out of a socket. It pauses the socket while nobody asks, so that a client cannot make this side
 * hold more than it is about to use.
 */
export class ByteReader {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  #length = 0
  #wanted: { length: number; resolve: (bytes: Buffer | undefined) => void } | undefined
  /** No more bytes will come; those that are here can still be read. */
  #ended = false
  /** Nothing is to be read any more, whatever is here. */
  #stopped = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      this.#chunks.push(bytes)
      this.#length += bytes.length
      this.#serve()
      // What has come already stays bounded by one socket read beyond what is wanted.
      if (this.#wanted === undefined) socket.pause()
    })
    const end = (): void => {
      this.#ended = true
      this.#serve()
    }
    socket.on('end', end)
    socket.on('close', end)
    socket.on('error', end)
  }

  /** Nothing more will be read: `read` resolves to undefined from now on, also one that waits. */
  stop(): void {
    this.#stopped = true
    this.#serve()
  }

  /** The next `length` bytes if they are here already: many small requests that came together cost no turn each. */
  take(length: number): Buffer | undefined {
    return this.#stopped || this.#length < length ? undefined : this.#take(length)
  }

  /** The next `length` bytes, or undefined if the stream ends before. One caller at a time. */
  async read(length: number): Promise<Buffer | undefined> {
    if (this.#stopped) return undefined
    if (this.#length >= length) return this.#take(length)
    if (this.#ended) return undefined
    return new Promise((resolve) => {
      this.#wanted = { length, resolve }
      this.#socket.resume()
    })
  }

  #serve(): void {
    const wanted = this.#wanted
    if (wanted === undefined) return
    if (!this.#stopped && this.#length >= wanted.length) {
      this.#wanted = undefined
      wanted.resolve(this.#take(wanted.length))
    } else if (this.#ended || this.#stopped) {
      this.#wanted = undefined
      wanted.resolve(undefined)
    }
  }

  #take(length: number): Buffer {
    const first = this.#chunks[0]
    if (length === 0 || first === undefined) return Buffer.alloc(0)
    this.#length -= length
    if (first.length > length) {
      this.#chunks[0] = first.subarray(length)
      return first.subarray(0, length)
    }
    if (first.length === length) {
      this.#chunks.shift()
      return first
    }
    const bytes = Buffer.allocUnsafe(length)
    let filled = 0
    let used = 0
    while (filled < length) {
      const chunk = this.#chunks[used] as Buffer
      const part = Math.min(chunk.length, length - filled)
      chunk.copy(bytes, filled, 0, part)
      filled += part
      if (part === chunk.length) used++
      else this.#chunks[used] = chunk.subarray(part)
    }
    this.#chunks.splice(0, used)
    return bytes
  }
}
