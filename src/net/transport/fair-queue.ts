import { Uint8ArrayList } from 'uint8arraylist'

type Frame = Uint8Array | Uint8ArrayList

/** Yamux header, https://github.com/hashicorp/yamux/blob/master/spec.md: version, type, flags (2), stream (4), length (4). */
const headerBytes = 12
const typeData = 0
const typeWindowUpdate = 1
const typeGoAway = 3
const flagFin = 4
const flagReset = 8

/** Small frames that stand in line together leave in one write: one TLS record instead of many. */
const batchBytesMax = 16 * 1024
/**
 * A reset overtakes what its stream still had to send, and throws it away; but so little is let out before it that the
 * answer of a protocol negotiation gets through, and the other side learns what was reset.
 */
const keptBeforeResetBytesMax = 16 * 1024

interface Line {
  readonly frames: Frame[]
  head: number
  bytes: number
}

/**
 * What yamux wants to send, in fair order instead of first come, first served.
 *
 * Yamux puts all frames of a connection into one endless queue, so that a request of 100 bytes waits behind every byte
 * that bulk streams were allowed to write: up to a window each. Here each stream has a line of its own and lines take
 * turns, a frame (128 KiB at most) at a time; window updates and pings go first, since others wait for them. A small
 * message is then behind one frame of each busy stream, and what the socket has taken already.
 *
 * Order within a stream is kept: a FIN is queued behind its stream's data; a reset throws that data away, if it is much. A go-away ends
 * all streams of the connection, so it leaves when the lines are empty.
 *
 * Road not taken: priorities by protocol. They starve someone, and the muxer would have to know protocols.
 */
export class FairQueue {
  readonly #first: Frame[] = []
  readonly #last: Frame[] = []
  /** Map order is the order of turns: a line that had one and has more goes to the end. */
  readonly #lines = new Map<number, Line>()
  readonly #onRoom = new Map<number, () => void>()
  #bytes = 0

  /** Bytes of all lines. */
  get bytes(): number {
    return this.#bytes
  }

  get isEmpty(): boolean {
    return this.#first.length === 0 && this.#lines.size === 0 && this.#last.length === 0
  }

  /** Bytes that wait in a stream's line. */
  bytesOf(stream: number): number {
    return this.#lines.get(stream)?.bytes ?? 0
  }

  /** Calls `run` once when the stream's line has been emptied, reset or dropped; at once when there is none. */
  onceEmpty(stream: number, run: () => void): void {
    if (this.#lines.has(stream)) this.#onRoom.set(stream, run)
    else run()
  }

  push(frame: Frame): void {
    const header = frame instanceof Uint8Array ? frame : frame.subarray(0, headerBytes)
    const type = header[1]
    const flags = ((header[2] ?? 0) << 8) | (header[3] ?? 0)
    const stream = new DataView(header.buffer, header.byteOffset).getUint32(4)
    if (type === typeGoAway) {
      this.#last.push(frame)
    } else if (type === typeWindowUpdate && (flags & flagReset) !== 0) {
      const line = this.#lines.get(stream)
      if (line !== undefined && line.bytes <= keptBeforeResetBytesMax) {
        this.#append(line, frame)
      } else {
        this.#drop(stream)
        this.#first.push(frame)
      }
    } else if (type === typeData || (type === typeWindowUpdate && (flags & flagFin) !== 0)) {
      let line = this.#lines.get(stream)
      if (line === undefined) this.#lines.set(stream, (line = { frames: [], head: 0, bytes: 0 }))
      this.#append(line, frame)
    } else {
      this.#first.push(frame)
    }
  }

  #append(line: Line, frame: Frame): void {
    line.frames.push(frame)
    line.bytes += frame.byteLength
    this.#bytes += frame.byteLength
  }

  /** The next write, or undefined. */
  shift(): Frame | undefined {
    const frame = this.#one()
    if (frame === undefined || frame.byteLength >= batchBytesMax) return frame
    let next = this.#peekSmall(batchBytesMax - frame.byteLength)
    if (next === undefined) return frame
    const batch = new Uint8ArrayList(frame)
    while (next !== undefined) {
      batch.append(next)
      next = this.#peekSmall(batchBytesMax - batch.byteLength)
    }
    return batch
  }

  #one(): Frame | undefined {
    if (this.#first.length > 0) return this.#first.shift()
    for (const [stream, line] of this.#lines) return this.#take(stream, line)
    return this.#last.shift()
  }

  /** Takes the next frame only if it is no larger than `bytesMax`. */
  #peekSmall(bytesMax: number): Frame | undefined {
    const control = this.#first[0]
    if (control !== undefined) return control.byteLength <= bytesMax ? this.#first.shift() : undefined
    for (const [stream, line] of this.#lines) {
      const frame = line.frames[line.head]
      return frame !== undefined && frame.byteLength <= bytesMax ? this.#take(stream, line) : undefined
    }
    return undefined
  }

  #take(stream: number, line: Line): Frame | undefined {
    const frame = line.frames[line.head]
    line.frames[line.head] = empty
    line.head++
    const bytes = frame?.byteLength ?? 0
    line.bytes -= bytes
    this.#bytes -= bytes
    this.#lines.delete(stream)
    if (line.head < line.frames.length) {
      if (line.head > 64) {
        line.frames.splice(0, line.head)
        line.head = 0
      }
      this.#lines.set(stream, line)
    } else {
      this.#room(stream)
    }
    return frame
  }

  #drop(stream: number): void {
    const line = this.#lines.get(stream)
    if (line === undefined) return
    this.#bytes -= line.bytes
    this.#lines.delete(stream)
    this.#room(stream)
  }

  #room(stream: number): void {
    const run = this.#onRoom.get(stream)
    if (run === undefined) return
    this.#onRoom.delete(stream)
    run()
  }
}

const empty = new Uint8Array(0)
