import { codeOf, messageOf, spareMemory } from '../../base/index.js'
import type { Clock, Log } from '../../base/index.js'
import type { ByteReader } from './byte-reader.js'
import type { Latencies, TimedKind } from './latencies.js'
import { payloadBytesMax } from './negotiation.js'
import type { Negotiated } from './negotiation.js'
import { allocation, chunk, chunkHeader, command, commandFlag, errno, errorChunk, parseRequest, requestBytes, simpleReply } from './wire.js'
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

/** Where replies go. `send` resolves when the socket has room again. */
export interface ReplySink {
  send(parts: readonly Uint8Array[]): Promise<void>
}

class RequestError extends Error {
  readonly errno: Errno

  constructor(code: Errno, message: string) {
    super(message)
    this.errno = code
  }
}

export class Transmission {
  readonly #reader: ByteReader
  readonly #sink: ReplySink
  readonly #negotiated: Negotiated
  readonly #init: TransmissionInit
  readonly #log: Log
  readonly #clock: Clock
  readonly #latencies: Latencies
  #running = 0
  #runningBytes = 0
  /** Called when a request has been answered, if somebody waits for that. */
  #onAnswered: (() => void) | undefined

  constructor(components: { reader: ByteReader; sink: ReplySink; log: Log; clock: Clock; latencies: Latencies }, negotiated: Negotiated, init: TransmissionInit) {
    this.#reader = components.reader
    this.#sink = components.sink
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
    for (;;) {
      const header = this.#reader.take(requestBytes) ?? (await this.#reader.read(requestBytes))
      if (header === undefined) break
      const request = parseRequest(header)
      if (request === undefined) {
        this.#log.warn('a client sent what is no request; its connection is closed', { export: this.#negotiated.name })
        break
      }
      if (request.command === command.disconnect) break
      let payload: Buffer | undefined
      if (request.command === command.write) {
        if (request.length > payloadBytesMax) {
          await this.#sink.send(this.#failure(request, errno.EINVAL, 'the request is larger than the maximum'))
          break
        }
        payload = this.#reader.take(request.length) ?? (await this.#reader.read(request.length))
        if (payload === undefined) break
      }
      this.#running++
      this.#runningBytes += costOf(request)
      void this.#answer(request, payload)
      while (this.#running >= this.#init.inFlightMax || (this.#runningBytes > this.#init.inFlightBytesMax && this.#running > 0)) await this.#oneAnswered()
    }
    while (this.#running > 0) await this.#oneAnswered()
  }

  async #oneAnswered(): Promise<void> {
    await new Promise<void>((resolve) => { this.#onAnswered = resolve })
  }

  /** Never rejects. */
  async #answer(request: Request, payload: Buffer | undefined): Promise<void> {
    let reply: readonly Uint8Array[]
    const kind = timed[request.command]
    const startedMs = kind === undefined ? 0 : this.#clock.monotonicMs()
    try {
      reply = await this.#perform(request, payload)
      if (kind !== undefined) this.#latencies.record(kind, this.#clock.monotonicMs() - startedMs)
    } catch (error) {
      const [code, message] = errnoOf(error)
      if (code === errno.EIO) this.#log.warn('a request failed', { export: this.#negotiated.name, command: request.command, reason: message })
      reply = this.#failure(request, code, message)
    }
    try {
      await this.#sink.send(reply)
    } catch (error) {
      this.#log.debug('a reply could not be sent', { export: this.#negotiated.name, reason: messageOf(error) })
    }
    this.#running--
    this.#runningBytes -= costOf(request)
    const onAnswered = this.#onAnswered
    this.#onAnswered = undefined
    onAnswered?.()
  }

  async #perform(request: Request, payload: Buffer | undefined): Promise<readonly Uint8Array[]> {
    const { device } = this.#negotiated
    const { length } = request
    const offset = this.#check(request)
    const fua = (request.flags & commandFlag.fua) !== 0
    switch (request.command) {
      case command.read:
        return this.#read(request, offset)
      case command.write:
        if (payload !== undefined && payload.length > 0) {
          await device.write(offset, payload, { fua })
          // Only of what was done: a write that failed may still be on its way somewhere.
          spareMemory.release(payload)
        }
        return this.#success(request)
      case command.flush:
        await device.flush()
        return this.#success(request)
      case command.trim:
        await device.trim(offset, length, { fua })
        return this.#success(request)
      case command.writeZeroes:
        // Zeroes are an entry of the log however many they are: every request is a fast one.
        await device.writeZeroes(offset, length, { fua, keepAllocated: (request.flags & commandFlag.noHole) !== 0 })
        return this.#success(request)
      case command.cache:
        await device.prefetch(offset, length)
        return this.#success(request)
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

  async #read(request: Request, offset: number): Promise<readonly Uint8Array[]> {
    const bytes = await this.#negotiated.device.read(offset, request.length)
    if (!this.#negotiated.structured) return [simpleReply(request.cookie, 0), bytes]
    const fixed = Buffer.allocUnsafe(8)
    fixed.writeBigUInt64BE(BigInt(request.offset), 0)
    return [chunkHeader(request.cookie, chunk.offsetData, true, fixed, bytes.length), bytes]
  }

  async #blockStatus(request: Request, offset: number): Promise<readonly Uint8Array[]> {
    const { allocationContext, device } = this.#negotiated
    if (allocationContext === undefined) throw new RequestError(errno.EINVAL, 'no metadata context was negotiated')
    let extents = await device.extents(offset, request.length)
    if ((request.flags & commandFlag.requestOne) !== 0) extents = extents.slice(0, 1)
    const fixed = Buffer.allocUnsafe(4 + 8 * extents.length)
    fixed.writeUInt32BE(allocationContext, 0)
    for (const [i, extent] of extents.entries()) {
      fixed.writeUInt32BE(extent.length, 4 + 8 * i)
      fixed.writeUInt32BE((extent.hole ? allocation.hole : 0) | (extent.zero ? allocation.zero : 0), 8 + 8 * i)
    }
    return [chunkHeader(request.cookie, chunk.blockStatus, true, fixed)]
  }

  #success(request: Request): readonly Uint8Array[] {
    return [simpleReply(request.cookie, 0)]
  }

  /** Reads and block status must be answered in chunks once structured replies are agreed; the rest may be simple. */
  #failure(request: Request, code: Errno, message: string): readonly Uint8Array[] {
    const chunked = this.#negotiated.structured && (request.command === command.read || request.command === command.blockStatus)
    return [chunked ? errorChunk(request.cookie, code, message) : simpleReply(request.cookie, code)]
  }
}

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

