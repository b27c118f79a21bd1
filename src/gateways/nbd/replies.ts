import type { Socket } from 'node:net'
import { spareMemory } from '../../base/index.js'
import { dataHeaderBytes, putDataHeader, putSimpleReply, simpleReplyBytes } from './wire.js'
import type { Request } from './wire.js'

/** Many replies without bytes in one write: those of a full queue, and no more memory than a connection is worth. */
const shortRepliesBytes = 4096
const shortReplyBytes = 1024
/** Longer ones leave as they are: copying them costs more than a write of several pieces does. */
const blockReplyBytes = 8 * 1024
/**
 * A full queue of reads of a block, each with its header, in one piece. A client that takes none of them keeps a mebibyte of
 * these at most in its socket.
 */
const blockRepliesBytes = 128 * 1024

/**
 * Replies of one turn of the event loop travel in one write, and a client that does not read makes the senders wait.
 * Short ones are put together in one buffer: a list of buffers costs Node and the system more than copying them.
 *
 * What sends returns undefined, or resolves when the socket has room again.
 */
export class Replies {
  readonly #socket: Socket
  #corked = false
  #short = Buffer.allocUnsafeSlow(shortRepliesBytes)
  #shortBytes = 0
  /** Of spare memory, while there is something in it. */
  #blocks: Buffer | undefined
  #blocksBytes = 0
  #waiting: Promise<void> | undefined

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Done (0), or the error's number. */
  simple(request: Request, code: number): Promise<void> | undefined {
    if (!this.#begin()) return undefined
    if (this.#shortBytes + simpleReplyBytes > this.#short.length) this.#flushShort()
    putSimpleReply(this.#short, this.#shortBytes, request, code)
    this.#shortBytes += simpleReplyBytes
    return this.#room(!this.#socket.writableNeedDrain)
  }

  /** What was read: as a chunk, or as a simple reply. */
  data(request: Request, bytes: Uint8Array, isChunk: boolean): Promise<void> | undefined {
    if (!this.#begin()) return undefined
    const headerBytes = isChunk ? dataHeaderBytes : simpleReplyBytes
    const length = headerBytes + bytes.length
    if (length > blockReplyBytes) {
      const header = Buffer.allocUnsafe(headerBytes)
      putHeader(header, 0, request, bytes.length, isChunk)
      this.#socket.write(header)
      return this.#room(this.#socket.write(bytes))
    }
    if (this.#blocksBytes + length > blockRepliesBytes) this.#flushBlocks()
    this.#blocks ??= spareMemory.take(blockRepliesBytes)
    putHeader(this.#blocks, this.#blocksBytes, request, bytes.length, isChunk)
    this.#blocks.set(bytes, this.#blocksBytes + headerBytes)
    this.#blocksBytes += length
    return this.#room(!this.#socket.writableNeedDrain)
  }

  /** A chunk that is laid out already. */
  chunk(bytes: Buffer): Promise<void> | undefined {
    if (!this.#begin()) return undefined
    if (bytes.length > shortReplyBytes) return this.#room(this.#socket.write(bytes))
    if (this.#shortBytes + bytes.length > this.#short.length) this.#flushShort()
    this.#short.set(bytes, this.#shortBytes)
    this.#shortBytes += bytes.length
    return this.#room(!this.#socket.writableNeedDrain)
  }

  /** To be called before the socket is ended, too. */
  flush(): void {
    this.#flushShort()
    this.#flushBlocks()
  }

  /** False: nobody is there any more. */
  #begin(): boolean {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return false
    if (this.#corked) return true
    this.#corked = true
    socket.cork()
    setImmediate(() => {
      this.#corked = false
      this.flush()
      socket.uncork()
    })
    return true
  }

  #flushShort(): void {
    if (this.#shortBytes === 0) return
    const bytes = this.#short.subarray(0, this.#shortBytes)
    this.#shortBytes = 0
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    // The socket keeps what it could not send at once: its next replies go into other memory.
    this.#short = this.#short.length - bytes.length >= shortReplyBytes ? this.#short.subarray(bytes.length) : Buffer.allocUnsafeSlow(shortRepliesBytes)
    this.#socket.write(bytes)
  }

  #flushBlocks(): void {
    const blocks = this.#blocks
    if (blocks === undefined) return
    this.#blocks = undefined
    const bytes = blocks.subarray(0, this.#blocksBytes)
    this.#blocksBytes = 0
    if (this.#socket.destroyed || this.#socket.writableEnded) return
    this.#socket.write(bytes, (error) => {
      // What could not be sent may still stand in the socket.
      if (error === undefined || error === null) spareMemory.release(blocks)
    })
  }

  #room(hasRoom: boolean): Promise<void> | undefined {
    return hasRoom ? undefined : this.#drained()
  }

  /** One pair of listeners however many wait. */
  #drained(): Promise<void> {
    this.#waiting ??= new Promise<void>((resolve) => {
      const done = (): void => {
        this.#socket.off('drain', done)
        this.#socket.off('close', done)
        this.#waiting = undefined
        resolve()
      }
      this.#socket.on('drain', done)
      this.#socket.on('close', done)
    })
    return this.#waiting
  }
}

function putHeader(target: Buffer, at: number, request: Request, length: number, isChunk: boolean): void {
  if (isChunk) putDataHeader(target, at, request, length)
  else putSimpleReply(target, at, request, 0)
}
