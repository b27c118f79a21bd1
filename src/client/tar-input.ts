/** Bytes of a stream, taken from it in pieces of any size; cut out where they stand, wherever one chunk has all of a piece. */
export class TarInput {
  readonly #source: AsyncIterator<Uint8Array>
  readonly #chunks: Buffer[] = []
  /** Of the first chunk, taken. */
  #at = 0
  #length = 0
  #isDone = false

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  /** Bytes at hand. */
  get length(): number {
    return this.#length
  }

  /** False if the stream ended before so many were there. */
  async fill(bytes: number): Promise<boolean> {
    while (this.#length < bytes) if (!(await this.#pull())) return false
    return true
  }

  /** The next so many bytes, which are at hand; they stay. */
  peek(bytes: number): Buffer {
    const [first] = this.#chunks
    if (first === undefined || first.length - this.#at < bytes) return this.#gathered(bytes)
    return first.subarray(this.#at, this.#at + bytes)
  }

  /** The same; they are gone from here. */
  take(bytes: number): Buffer {
    const taken = this.peek(bytes)
    this.drop(bytes)
    return taken
  }

  drop(bytes: number): void {
    this.#length -= bytes
    this.#at += bytes
    for (let [first] = this.#chunks; first !== undefined && this.#at >= first.length; [first] = this.#chunks) {
      this.#at -= first.length
      this.#chunks.shift()
    }
  }

  /** What comes next, at most so much of it, and not empty. Throws if the stream is at its end. */
  async some(bytesMax: number): Promise<Buffer> {
    while (this.#length === 0) if (!(await this.#pull())) throw endedEarly()
    const [first] = this.#chunks
    return this.take(Math.min(bytesMax, (first?.length ?? 0) - this.#at))
  }

  /** All that is left. */
  async *rest(): AsyncGenerator<Uint8Array> {
    for (;;) {
      if (this.#length > 0) yield this.take(this.#length)
      if (!(await this.#pull())) return
    }
  }

  /** Nobody waits for a source that is still waiting itself. */
  close(): void {
    if (this.#isDone) return
    this.#isDone = true
    Promise.resolve(this.#source.return?.()).catch(() => undefined)
  }

  #gathered(bytes: number): Buffer {
    const parts: Buffer[] = []
    let length = 0
    let from = this.#at
    for (const chunk of this.#chunks) {
      const part = chunk.subarray(from, from + bytes - length)
      from = 0
      parts.push(part)
      length += part.length
      if (length === bytes) break
    }
    return Buffer.concat(parts, bytes)
  }

  async #pull(): Promise<boolean> {
    const result = await this.#source.next()
    if (result.done === true) {
      this.#isDone = true
      return false
    }
    const { value } = result
    this.#length += value.length
    if (value.length > 0) this.#chunks.push(Buffer.from(value.buffer, value.byteOffset, value.length))
    return true
  }
}

export function endedEarly(): Error {
  return new Error('the archive ended early')
}
