import { codeOf, messageOf, spareMemory } from '../../base/index.js'
import type { Clock, Log } from '../../base/index.js'
import type { ByteReader } from './byte-reader.js'
import type { Latencies, TimedKind } from './latencies.js'
import { payloadBytesMax } from './negotiation.js'
import type { Negotiated } from './negotiation.js'
import type { Replies } from './replies.js'
import { allocation, chunk, chunkOf, command, commandFlag, errno, errorChunk, parseRequest, requestBytes } from './wire.js'
import type { Errno, Request } from './wire.js'

/**
 * The transmission phase of one connection: requests run side by side, up to a bound in number and bytes, and are
 * answered as they finish. A request that makes no sense gets an NBD error; only a stream that is out of step (a wrong
 * magic) or a payload too large to skip ends the connection.
 */
export interface TransmissionInit {
  /** Requests of one connection that run at once; more stay unread in the socket. */
  inFlightMax: number
  /** Payload bytes of one connection in memory at once; one request may pass it alone. */
  inFlightBytesMax: number
}

/** Reads that are answered without a wait, in a row, before whatever else the process does has a turn: less than a millisecond. */
const answersAtOnceMax = 64

class RequestError extends Error {
  readonly errno: Errno

  constructor(code: Errno, message: string) {
    super(message)
    this.errno = code
  }
}

export class Transmission {
  readonly #reader: ByteReader
  readonly #replies: Replies
  readonly #negotiated: Negotiated
  readonly #init: TransmissionInit
  readonly #log: Log
  readonly #clock: Clock
  readonly #latencies: Latencies
  #running = 0
  #runningBytes = 0
  /** Called when a request has been answered, if somebody waits for that. */
  #onAnswered: (() => void) | undefined

  constructor(components: { reader: ByteReader; replies: Replies; log: Log; clock: Clock; latencies: Latencies }, negotiated: Negotiated, init: TransmissionInit) {
    this.#reader = components.reader
    this.#replies = components.replies
    this.#log = components.log
    this.#clock = components.clock
    this.#latencies = components.latencies
    this.#negotiated = negotiated
    this.#init = init
  }

  /** No request is read from now on; those that run are answered, and then `run` resolves. */
  stop(): void {
    this.#reader.stop()
  }

  /** Resolves when the client has disconnected, in good order or not, and everything it asked for has ended. */
  async run(): Promise<void> {
    let answersAtOnce = 0
    for (;;) {
      let request: Request | undefined
      if (this.#reader.has(requestBytes)) request = this.#reader.parse(requestBytes, parseRequest)
      else {
        answersAtOnce = 0
        const header = await this.#reader.read(requestBytes)
        if (header === undefined) break
        request = parseRequest(header, 0)
      }
      if (request === undefined) {
        this.#log.warn('a client sent what is no request; its connection is closed', { export: this.#negotiated.name })
        break
      }
      if (request.command === command.disconnect) break
      let payload: Buffer | undefined
      if (request.command === command.write) {
        if (request.length > payloadBytesMax) {
          await this.#fail(request, errno.EINVAL, 'the request is larger than the maximum')
          break
        }
        payload = this.#reader.take(request.length) ?? (await this.#reader.read(request.length))
        if (payload === undefined) break
      }
      if (request.command === command.read && this.#readNow(request)) {
        if (++answersAtOnce >= answersAtOnceMax) {
          answersAtOnce = 0
          await new Promise((resolve) => setImmediate(resolve))
        }
      } else {
        this.#running++
        this.#runningBytes += costOf(request)
        void this.#answer(request, payload)
      }
      while (this.#running >= this.#init.inFlightMax || (this.#runningBytes > this.#init.inFlightBytesMax && this.#running > 0)) await this.#oneAnswered()
    }
    while (this.#running > 0) await this.#oneAnswered()
  }

  async #oneAnswered(): Promise<void> {
    await new Promise<void>((resolve) => { this.#onAnswered = resolve })
  }

  /** False: it cannot be answered without a wait, or not as it should be. */
  #readNow(request: Request): boolean {
    const { device, structured } = this.#negotiated
    if (request.flags !== 0) return false
    const startedMs = this.#clock.monotonicMs()
    let bytes: Uint8Array | undefined
    try {
      bytes = device.readNow?.(request.offset, request.length)
    } catch {
      // What is wrong, `read` tells.
      return false
    }
    if (bytes === undefined) return false
    this.#latencies.record('read', this.#clock.monotonicMs() - startedMs)
    const room = this.#replies.data(request, bytes, structured)
    if (room === undefined) return true
    // A client that does not read: its requests count until it does.
    this.#running++
    this.#runningBytes += costOf(request)
    void room.then(() => { this.#ended(request) })
    return true
  }

  /** Never rejects. */
  async #answer(request: Request, payload: Buffer | undefined): Promise<void> {
    const kind = timed[request.command]
    const startedMs = kind === undefined ? 0 : this.#clock.monotonicMs()
    let room: Promise<void> | undefined
    try {
      const done = await this.#perform(request, payload)
      if (kind !== undefined) this.#latencies.record(kind, this.#clock.monotonicMs() - startedMs)
      if (!(done instanceof Uint8Array)) room = this.#replies.simple(request, 0)
      else if (request.command === command.read) room = this.#replies.data(request, done, this.#negotiated.structured)
      else room = this.#replies.chunk(chunkOf(request, chunk.blockStatus, done))
      // Only of what was done: a write that failed may still be on its way somewhere.
      if (payload !== undefined) spareMemory.release(payload)
    } catch (error) {
      const [code, message] = errnoOf(error)
      if (code === errno.EIO) this.#log.warn('a request failed', { export: this.#negotiated.name, command: request.command, reason: message })
      room = this.#fail(request, code, message)
    }
    if (room !== undefined) await room
    this.#ended(request)
  }

  #ended(request: Request): void {
    this.#running--
    this.#runningBytes -= costOf(request)
    const onAnswered = this.#onAnswered
    this.#onAnswered = undefined
    onAnswered?.()
  }

  /** Resolves to the bytes that the reply has, if it has any: those that were read, or a description of extents. Throws or rejects. */
  #perform(request: Request, payload: Buffer | undefined): Promise<unknown> {
    const { device } = this.#negotiated
    const { length } = request
    const offset = this.#check(request)
    const fua = (request.flags & commandFlag.fua) !== 0
    switch (request.command) {
      case command.read:
        return device.read(offset, length)
      case command.write:
        return payload === undefined ? Promise.resolve() : device.write(offset, payload, fua ? withFua : undefined)
      case command.flush:
        return device.flush()
      case command.trim:
        return device.trim(offset, length, { fua })
      case command.writeZeroes:
        // Zeroes are an entry of the log however many they are: every request is a fast one.
        return device.writeZeroes(offset, length, { fua, keepAllocated: (request.flags & commandFlag.noHole) !== 0 })
      case command.cache:
        return device.prefetch(offset, length)
      case command.blockStatus:
        return this.#blockStatus(request, offset)
      default:
        throw new RequestError(errno.EINVAL, `unknown command ${request.command}`)
    }
  }

  /** The offset as a number, if the request is one the negotiated flags allow. */
  #check(request: Request): number {
    const { device } = this.#negotiated
    const allowed = flagsAllowed[request.command]
    if (allowed === undefined) throw new RequestError(errno.EINVAL, `unknown command ${request.command}`)
    if ((request.flags & ~allowed) !== 0) throw new RequestError(errno.EINVAL, `flags ${request.flags} do not go with command ${request.command}`)
    const writes = request.command === command.write || request.command === command.trim || request.command === command.writeZeroes
    if (writes && device.readOnly) throw new RequestError(errno.EPERM, 'the export is read-only')
    if (request.command === command.flush) {
      if (request.length !== 0 || request.offset !== 0) throw new RequestError(errno.EINVAL, 'a flush takes neither offset nor length')
      return 0
    }
    if (request.length === 0) throw new RequestError(errno.EINVAL, 'the length is 0')
    if (request.command === command.read && request.length > payloadBytesMax) throw new RequestError(errno.EINVAL, 'the request is larger than the maximum')
    if (request.offset + request.length > device.sizeBytes) {
      throw new RequestError(writes ? errno.ENOSPC : errno.EINVAL, 'the request goes past the end of the volume')
    }
    return request.offset
  }

  async #blockStatus(request: Request, offset: number): Promise<Uint8Array> {
    const { allocationContext, device } = this.#negotiated
    if (allocationContext === undefined) throw new RequestError(errno.EINVAL, 'no metadata context was negotiated')
    let extents = await device.extents(offset, request.length)
    if ((request.flags & commandFlag.requestOne) !== 0) extents = extents.slice(0, 1)
    const payload = Buffer.allocUnsafe(4 + 8 * extents.length)
    payload.writeUInt32BE(allocationContext, 0)
    for (const [i, extent] of extents.entries()) {
      payload.writeUInt32BE(extent.length, 4 + 8 * i)
      payload.writeUInt32BE((extent.hole ? allocation.hole : 0) | (extent.zero ? allocation.zero : 0), 8 + 8 * i)
    }
    return payload
  }

  /** Reads and block status must be answered in chunks once structured replies are agreed; the rest may be simple. */
  #fail(request: Request, code: Errno, message: string): Promise<void> | undefined {
    const chunked = this.#negotiated.structured && (request.command === command.read || request.command === command.blockStatus)
    return chunked ? this.#replies.chunk(errorChunk(request, code, message)) : this.#replies.simple(request, code)
  }
}

const withFua = { fua: true }

const timed: Readonly<Record<number, TimedKind | undefined>> = { [command.read]: 'read', [command.write]: 'write', [command.flush]: 'flush' }

const flagsAllowed: Record<number, number | undefined> = {
  [command.read]: commandFlag.dontFragment | commandFlag.fua,
  [command.write]: commandFlag.fua,
  [command.flush]: commandFlag.fua,
  [command.trim]: commandFlag.fua,
  [command.cache]: commandFlag.fua,
  [command.writeZeroes]: commandFlag.fua | commandFlag.noHole | commandFlag.fastZero,
  [command.blockStatus]: commandFlag.fua | commandFlag.requestOne,
}

/** What a request holds in memory while it runs. */
function costOf(request: Request): number {
  return request.command === command.read || request.command === command.write ? request.length : 0
}

function errnoOf(error: unknown): [Errno, string] {
  if (error instanceof RequestError) return [error.errno, error.message]
  const byCode: Record<string, Errno> = {
    NO_SPACE: errno.ENOSPC,
    OUT_OF_RANGE: errno.EINVAL,
    READ_ONLY: errno.EPERM,
    NOT_SUPPORTED: errno.ENOTSUP,
    STOPPING: errno.ESHUTDOWN,
  }
  // Whatever else went wrong, the client must not believe that it worked.
  return [byCode[codeOf(error) ?? ''] ?? errno.EIO, messageOf(error)]
}

