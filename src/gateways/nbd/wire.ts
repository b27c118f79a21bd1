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
  /** Eight bytes that the reply repeats; what they mean is the client's business. */
  readonly cookie: Buffer
  /** Past 2⁵³ it is rounded, and past the end of any volume all the same. */
  readonly offset: number
  readonly length: number
}

/** Undefined if the bytes do not start with a request's magic: the stream is out of step and cannot be trusted again. */
export function parseRequest(bytes: Buffer): Request | undefined {
  if (bytes.readUInt32BE(0) !== requestMagic) return undefined
  return {
    flags: bytes.readUInt16BE(4),
    command: bytes.readUInt16BE(6),
    cookie: bytes.subarray(8, 16),
    offset: bytes.readUInt32BE(16) * 2 ** 32 + bytes.readUInt32BE(20),
    length: bytes.readUInt32BE(24),
  }
}

export function simpleReply(cookie: Buffer, code: number): Buffer {
  const bytes = Buffer.allocUnsafe(16)
  bytes.writeUInt32BE(simpleReplyMagic, 0)
  bytes.writeUInt32BE(code, 4)
  bytes.set(cookie, 8)
  return bytes
}

/** `fixed` is the part of the payload that this side lays out; `more` bytes of payload follow it from elsewhere. */
export function chunkHeader(cookie: Buffer, type: number, done: boolean, fixed: Buffer, more = 0): Buffer {
  const bytes = Buffer.allocUnsafe(20 + fixed.length)
  bytes.writeUInt32BE(structuredReplyMagic, 0)
  bytes.writeUInt16BE(done ? chunkFlagDone : 0, 4)
  bytes.writeUInt16BE(type, 6)
  bytes.set(cookie, 8)
  bytes.writeUInt32BE(fixed.length + more, 16)
  fixed.copy(bytes, 20)
  return bytes
}

export function errorChunk(cookie: Buffer, code: number, message: string): Buffer {
  // 4096 is the protocol's limit for a string; a sentence of ours is far shorter.
  const text = Buffer.from(message).subarray(0, 1024)
  const fixed = Buffer.allocUnsafe(6 + text.length)
  fixed.writeUInt32BE(code, 0)
  fixed.writeUInt16BE(text.length, 4)
  text.copy(fixed, 6)
  return chunkHeader(cookie, chunk.error, true, fixed)
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
