/**
 * The NBD wire format: numbers and layouts, nothing that waits. Source: the protocol document of the NBD project
 * (doc/proto.md). All integers are big-endian.
 *
 *   request            offset  bytes        simple reply         structured reply chunk
 *   magic 25609513     0       4            magic 67446698  4    magic 668e33ef  4
 *   command flags      4       2            error           4    flags           2
 *   command            6       2            cookie          8    type            2
 *   cookie             8       8            data                 cookie          8
 *   offset             16      8                                 length          4
 *   length             24      4                                 payload
 */
export const initMagic = 0x4e42444d41474943n // NBDMAGIC
export const optionMagic = 0x49484156454f5054n // IHAVEOPT
export const optionReplyMagic = 0x0003e889045565a9n
export const requestMagic = 0x25609513
export const simpleReplyMagic = 0x67446698
export const structuredReplyMagic = 0x668e33ef

export const requestBytes = 28
export const optionHeaderBytes = 16

export const handshakeFlag = { fixedNewstyle: 1, noZeroes: 2 } as const

export const option = {
  exportName: 1, abort: 2, list: 3, startTls: 5, info: 6, go: 7, structuredReply: 8, listMetaContext: 9, setMetaContext: 10,
} as const

const error = 2 ** 31
export const reply = {
  ack: 1, server: 2, info: 3, metaContext: 4,
  unsupported: error + 1, policy: error + 2, invalid: error + 3, tlsRequired: error + 5, unknown: error + 6, shutdown: error + 7, tooBig: error + 9,
} as const

export const info = { export: 0, name: 1, description: 2, blockSize: 3 } as const

export const transmissionFlag = {
  hasFlags: 1, readOnly: 2, sendFlush: 4, sendFua: 8, sendTrim: 32, sendWriteZeroes: 64, sendDontFragment: 128, multiConn: 256, sendCache: 1024, sendFastZero: 2048,
} as const

export const command = { read: 0, write: 1, disconnect: 2, flush: 3, trim: 4, cache: 5, writeZeroes: 6, blockStatus: 7 } as const
export const commandFlag = { fua: 1, noHole: 2, dontFragment: 4, requestOne: 8, fastZero: 16 } as const
export const chunkFlagDone = 1
export const chunk = { none: 0, offsetData: 1, offsetHole: 2, blockStatus: 5, error: 32769 } as const
/** Bits of `base:allocation`. */
export const allocation = { hole: 1, zero: 2 } as const

/** The error numbers the protocol allows on the wire, whatever the platform's own are. */
export const errno = { EPERM: 1, EIO: 5, ENOMEM: 12, EINVAL: 22, ENOSPC: 28, EOVERFLOW: 75, ENOTSUP: 95, ESHUTDOWN: 108 } as const
export type Errno = (typeof errno)[keyof typeof errno]

export interface Request {
  readonly flags: number
  readonly command: number
  /** Eight bytes that the reply repeats, in two halves; what they mean is the client's business. */
  readonly cookieHigh: number
  readonly cookieLow: number
  /** Past 2⁵³ it is rounded, and past the end of any volume all the same. */
  readonly offset: number
  readonly length: number
}

/** The request at `at`; undefined if no request's magic is there: the stream is out of step and cannot be trusted again. */
export function parseRequest(bytes: Buffer, at: number): Request | undefined {
  if (bytes.readUInt32BE(at) !== requestMagic) return undefined
  return {
    flags: bytes.readUInt16BE(at + 4),
    command: bytes.readUInt16BE(at + 6),
    cookieHigh: bytes.readUInt32BE(at + 8),
    cookieLow: bytes.readUInt32BE(at + 12),
    offset: bytes.readUInt32BE(at + 16) * 2 ** 32 + bytes.readUInt32BE(at + 20),
    length: bytes.readUInt32BE(at + 24),
  }
}

export const simpleReplyBytes = 16

/** Lays a simple reply out at `at`, without the data that may follow. */
export function putSimpleReply(target: Buffer, at: number, request: Request, code: number): void {
  target.writeUInt32BE(simpleReplyMagic, at)
  target.writeUInt32BE(code, at + 4)
  target.writeUInt32BE(request.cookieHigh, at + 8)
  target.writeUInt32BE(request.cookieLow, at + 12)
}

const chunkHeaderBytes = 20

function putChunkHeader(target: Buffer, at: number, request: Request, type: number, length: number): void {
  target.writeUInt32BE(structuredReplyMagic, at)
  // Each of our replies is one chunk.
  target.writeUInt16BE(chunkFlagDone, at + 4)
  target.writeUInt16BE(type, at + 6)
  target.writeUInt32BE(request.cookieHigh, at + 8)
  target.writeUInt32BE(request.cookieLow, at + 12)
  target.writeUInt32BE(length, at + 16)
}

/** A chunk without bytes of the volume. */
export function chunkOf(request: Request, type: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(chunkHeaderBytes + payload.length)
  putChunkHeader(bytes, 0, request, type, payload.length)
  bytes.set(payload, chunkHeaderBytes)
  return bytes
}

/** Before the data of a read: the header, and the offset once more. */
export const dataHeaderBytes = chunkHeaderBytes + 8

export function putDataHeader(target: Buffer, at: number, request: Request, length: number): void {
  putChunkHeader(target, at, request, chunk.offsetData, 8 + length)
  target.writeUInt32BE(Math.floor(request.offset / 2 ** 32), at + chunkHeaderBytes)
  target.writeUInt32BE(request.offset % 2 ** 32, at + chunkHeaderBytes + 4)
}

export function errorChunk(request: Request, code: number, message: string): Buffer {
  // 4096 is the protocol's limit for a string; a sentence of ours is far shorter.
  const text = Buffer.from(message).subarray(0, 1024)
  const payload = Buffer.allocUnsafe(6 + text.length)
  payload.writeUInt32BE(code, 0)
  payload.writeUInt16BE(text.length, 4)
  text.copy(payload, 6)
  return chunkOf(request, chunk.error, payload)
}

export function optionReply(toOption: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.allocUnsafe(20 + data.length)
  bytes.writeBigUInt64BE(optionReplyMagic, 0)
  bytes.writeUInt32BE(toOption, 8)
  bytes.writeUInt32BE(type, 12)
  bytes.writeUInt32BE(data.length, 16)
  data.copy(bytes, 20)
  return bytes
}
