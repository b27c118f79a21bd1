/**
 * Memory for large pieces of bytes that is used again.
 *
 * A mebibyte of new memory is 256 pages that the kernel clears, and bytes that V8 counts but does not see: those that
 * outlive two quick collections, since they wait for a disk or for another node, make it walk through the whole heap
 * every few tens of MiB, however little garbage there is. Of a long write to a volume with two copies that was a third
 * of the processor, of a large file that comes in a fifth.
 *
 * Counted, since a piece may be on its way to several places at once: to the disk and to a reader, to two replicas.
 * Whoever forgets to release one loses nothing: it is garbage then, like any other. Whoever releases what somebody still
 * reads would hand them other bytes; so only those release who know all who have it, and who cannot know (a message that
 * failed may still stand in a socket) does not.
 *
 * What is free is held weakly: a collection of the whole heap gives it back, and a node at rest has one.
 *
 * Road not taken: one of V8's counters told of less. It would let real garbage of buffers grow along.
 */
export class SpareMemory {
  /** Of each size, and of all together. */
  #free = new WeakRef<Free>({ buffers: new Map(), bytes: 0 })
  readonly #owners = new WeakMap<ArrayBufferLike, number>()

  /** Of any content; the caller has it. What is small or huge is new each time. */
  take(bytes: number): Buffer {
    if (bytes < bytesMin || bytes > bytesMax) return Buffer.allocUnsafeSlow(bytes)
    const size = sizeFor(bytes)
    const free = this.#free.deref()
    const found = free?.buffers.get(size)?.pop()
    if (free !== undefined && found !== undefined) free.bytes -= size
    const buffer = found ?? Buffer.allocUnsafeSlow(size)
    this.#owners.set(buffer.buffer, 1)
    return buffer.subarray(0, bytes)
  }

  /** Whether it came from here, and somebody has it. */
  has(bytes: Uint8Array): boolean {
    return this.#owners.has(bytes.buffer)
  }

  /** One more who has it. What did not come from here is let be, here and below. */
  share(bytes: Uint8Array): void {
    const owners = this.#owners.get(bytes.buffer)
    if (owners !== undefined) this.#owners.set(bytes.buffer, owners + 1)
  }

  /** The same bytes in memory of their own, for who may keep them; the caller's share in these is released. */
  copied(bytes: Uint8Array): Uint8Array {
    if (!this.has(bytes)) return bytes
    const copy = Buffer.allocUnsafeSlow(bytes.length)
    copy.set(bytes)
    this.release(bytes)
    return copy
  }

  /** Not touched any more by the caller. Once nobody has it, it is used again. */
  release(bytes: Uint8Array): void {
    const { buffer } = bytes
    const owners = this.#owners.get(buffer)
    if (owners === undefined) return
    if (owners > 1) {
      this.#owners.set(buffer, owners - 1)
      return
    }
    this.#owners.delete(buffer)
    let free = this.#free.deref()
    if (free === undefined) this.#free = new WeakRef((free = { buffers: new Map(), bytes: 0 }))
    const size = buffer.byteLength
    if (free.bytes + size > freeBytesMax) return
    free.bytes += size
    const buffers = free.buffers.get(size)
    if (buffers === undefined) free.buffers.set(size, [Buffer.from(buffer)])
    else buffers.push(Buffer.from(buffer))
  }
}

interface Free {
  readonly buffers: Map<number, Buffer[]>
  bytes: number
}

/** Less dies young, wherever it comes from, and is cheap. */
const bytesMin = 32 * 1024
/** Clients of disks that ask for more at once are rare, and one of theirs would be most of what is kept. */
const bytesMax = 4 * 1024 * 1024
/** What streams and transfers of a busy node have under way, to the disk or to a reader; more is given to the collector. */
const freeBytesMax = 16 * 1024 * 1024

/** Powers of two: what is taken for one fits most others of its kind, and what is not written to takes no memory. */
function sizeFor(bytes: number): number {
  return 2 ** Math.ceil(Math.log2(bytes))
}

/** One for the process, like the memory that it is about. */
export const spareMemory = new SpareMemory()
