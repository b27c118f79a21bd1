import type { Socket } from 'node:net'
import { spareMemory } from '../../base/index.js'

interface Wanted {
  readonly length: number
  readonly resolve: (bytes: Buffer | undefined) => void
  /** Where many bytes are put as they come: the socket's own pieces then die young. */
  readonly into: Buffer | undefined
  filled: number
}

/** More than a socket reads at once. */
const intoBytesMin = 64 * 1024 + 1

/**
 * Exact numbers of bytes out of a socket. It pauses the socket while nobody asks, so that a client cannot make this side
 * hold more than it is about to use.
 */
export class ByteReader {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  /** Of the first chunk, what was taken before. */
  #taken = 0
  #length = 0
  #wanted: Wanted | undefined
  /** No more bytes will come; those that are here can still be read. */
  #ended = false
  /** Nothing is to be read any more, whatever is here. */
  #stopped = false

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      const rest = this.#fill(bytes)
      if (rest.length > 0) this.#chunks.push(rest)
      this.#length += rest.length
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

  /** The next `length` bytes are here already: many small requests that came together cost no turn each. */
  has(length: number): boolean {
    return !this.#stopped && this.#length >= length
  }

  /** The next `length` bytes, which are here, as `parse` makes something of them; it is given where they begin. */
  parse<T>(length: number, parse: (bytes: Buffer, at: number) => T): T {
    const [first] = this.#chunks
    if (first === undefined || first.length - this.#taken <= length) return parse(this.#take(length), 0)
    const at = this.#taken
    this.#taken += length
    this.#length -= length
    return parse(first, at)
  }

  /** The next `length` bytes, if they are here. */
  take(length: number): Buffer | undefined {
    return this.has(length) ? this.#take(length) : undefined
  }

  /**
   * The next `length` bytes, or undefined if the stream ends before. One caller at a time. Many bytes come in spare memory,
   * which the caller may release.
   */
  async read(length: number): Promise<Buffer | undefined> {
    if (this.#stopped) return undefined
    if (this.#length >= length) return this.#take(length)
    if (this.#ended) return undefined
    return new Promise((resolve) => {
      const wanted: Wanted = { length, resolve, into: length < intoBytesMin ? undefined : spareMemory.take(length), filled: 0 }
      this.#wanted = wanted
      if (wanted.into !== undefined) {
        for (const chunk of this.#chunks.splice(0)) {
          this.#fill(this.#taken === 0 ? chunk : chunk.subarray(this.#taken))
          this.#taken = 0
        }
        this.#length = 0
      }
      this.#socket.resume()
    })
  }

  /** Puts bytes where they are waited for, and returns the rest. */
  #fill(bytes: Buffer): Buffer {
    const wanted = this.#wanted
    if (wanted?.into === undefined) return bytes
    const part = Math.min(bytes.length, wanted.length - wanted.filled)
    bytes.copy(wanted.into, wanted.filled, 0, part)
    wanted.filled += part
    return bytes.subarray(part)
  }

  #serve(): void {
    const wanted = this.#wanted
    if (wanted === undefined) return
    if (wanted.into !== undefined && !this.#stopped && wanted.filled === wanted.length) {
      this.#wanted = undefined
      wanted.resolve(wanted.into)
    } else if (wanted.into === undefined && !this.#stopped && this.#length >= wanted.length) {
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
    const end = this.#taken + length
    if (first.length >= end) {
      const bytes = first.subarray(this.#taken, end)
      if (first.length === end) this.#chunks.shift()
      this.#taken = first.length === end ? 0 : end
      return bytes
    }
    const bytes = length < intoBytesMin ? Buffer.allocUnsafe(length) : spareMemory.take(length)
    let filled = 0
    let used = 0
    while (filled < length) {
      const chunk = this.#chunks[used] as Buffer
      const part = Math.min(chunk.length - this.#taken, length - filled)
      chunk.copy(bytes, filled, this.#taken, this.#taken + part)
      filled += part
      this.#taken += part
      if (this.#taken < chunk.length) continue
      this.#taken = 0
      used++
    }
    this.#chunks.splice(0, used)
    return bytes
  }
}
