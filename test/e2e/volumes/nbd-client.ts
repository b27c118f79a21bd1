import { connect } from 'node:net'
import type { Socket } from 'node:net'

/** A client of NBD that knows exactly what was acknowledged to it, and when the connection broke. Simple replies only. */
export class NbdClient {
  readonly #socket: Socket
  readonly #waiting = new Map<bigint, { length: number; resolve: (bytes: Buffer) => void; reject: (error: Error) => void }>()
  #bytes: Buffer = Buffer.alloc(0)
  #cookie = 0n
  #wake: (() => void) | undefined
  #broken: Error | undefined
  sizeBytes = 0

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
      this.#wake?.()
      if (this.sizeBytes > 0) this.#take()
    })
    const broken = (error?: Error): void => {
      this.#broken ??= error ?? new Error('the connection is closed')
      for (const { reject } of this.#waiting.values()) reject(this.#broken)
      this.#waiting.clear()
      this.#wake?.()
    }
    socket.on('error', broken)
    socket.on('close', () => { broken() })
  }

  static async connect(uri: string): Promise<NbdClient> {
    const { hostname, port, pathname, searchParams } = new URL(uri)
    const unix = searchParams.get('socket')
    const client = new NbdClient(unix === null ? connect(Number(port), hostname) : connect(unix))
    const name = Buffer.from(pathname.slice(1))
    const head = Buffer.alloc(20)
    head.writeUInt32BE(3, 0)
    head.write('IHAVEOPT', 4)
    head.writeUInt32BE(1, 12)
    head.writeUInt32BE(name.length, 16)
    await client.#read(18)
    client.#socket.write(Buffer.concat([head, name]))
    client.sizeBytes = Number((await client.#read(10)).readBigUInt64BE(0))
    return client
  }

  async read(offset: number, length: number): Promise<Buffer> {
    return this.#request(0, offset, length)
  }

  async write(offset: number, bytes: Buffer): Promise<void> {
    await this.#request(1, offset, bytes.length, bytes)
  }

  async flush(): Promise<void> {
    await this.#request(3, 0, 0)
  }

  async trim(offset: number, length: number): Promise<void> {
    await this.#request(4, offset, length)
  }

  /** Takes no more answers. */
  pause(): void {
    this.#socket.pause()
  }

  close(): void {
    this.#socket.destroy()
  }

  async #read(length: number): Promise<Buffer> {
    while (this.#bytes.length < length) {
      if (this.#broken !== undefined) throw this.#broken
      await new Promise<void>((resolve) => { this.#wake = resolve })
    }
    const bytes = this.#bytes.subarray(0, length)
    this.#bytes = this.#bytes.subarray(length)
    return bytes
  }

  async #request(command: number, offset: number, length: number, payload?: Buffer): Promise<Buffer> {
    if (this.#broken !== undefined) throw this.#broken
    const cookie = ++this.#cookie
    const head = Buffer.alloc(28)
    head.writeUInt32BE(0x25609513, 0)
    head.writeUInt16BE(command, 6)
    head.writeBigUInt64BE(cookie, 8)
    head.writeBigUInt64BE(BigInt(offset), 16)
    head.writeUInt32BE(length, 24)
    return new Promise((resolve, reject) => {
      this.#waiting.set(cookie, { length: command === 0 ? length : 0, resolve, reject })
      this.#socket.write(payload === undefined ? head : Buffer.concat([head, payload]))
    })
  }

  #take(): void {
    while (this.#bytes.length >= 16) {
      const cookie = this.#bytes.readBigUInt64BE(8)
      const error = this.#bytes.readUInt32BE(4)
      const waiting = this.#waiting.get(cookie)
      if (waiting === undefined) throw new Error('an answer that nobody asked for')
      const length = error === 0 ? waiting.length : 0
      if (this.#bytes.length < 16 + length) return
      this.#waiting.delete(cookie)
      const data = Buffer.from(this.#bytes.subarray(16, 16 + length))
      this.#bytes = this.#bytes.subarray(16 + length)
      if (error === 0) waiting.resolve(data)
      else waiting.reject(new Error(`NBD error ${String(error)}`))
    }
  }
}
