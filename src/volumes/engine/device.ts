import { Limiter } from '../../base/index.js'
import type { Clock } from '../../base/index.js'
import type { OpenDevice, OpenOptions } from '../engine-types.js'
import { blockBytes, segmentBytes } from '../geometry.js'
import type { Content } from '../replica-types.js'
import { DeviceError } from '../types.js'
import type { Extent, WriteFlags } from '../types.js'
import type { SegmentAccess } from './access.js'
import { blocksOf, noBytes } from './content.js'
import { Deadlines } from './deadlines.js'

export interface OpenVolumeComponents {
  readonly clock: Clock
  /** The segment's access, shared by all devices of the volume on this node. */
  readonly segment: (number: number) => SegmentAccess
  /** All that may have something that no flush has covered. */
  readonly dirty: () => readonly SegmentAccess[]
  readonly closed: (device: VolumeDevice) => void
}

export interface OpenVolumeInit {
  readonly sizeBytes: number
  readonly writethrough: boolean
  readonly operationDeadlineMs: number
  readonly writesInFlightMax: number
}

/** Segments that one request reaches into at once, and that are flushed at once. */
const segmentsAtOnce = 16
/** Of one read without a wait: copying more takes the event loop longer than a turn to another thread and back. */
const nowBytesMax = 64 * 1024
/** How far a sequential reader is read ahead of: what a fast disk gives while a client thinks. */
const readAheadBytes = 1024 * 1024

/** A volume opened on this node: requests of any size and place, cut up by segment. */
export class VolumeDevice implements OpenDevice {
  readonly readOnly: boolean
  readonly blockBytes = blockBytes
  failed: DeviceError | undefined
  #sizeBytes: number
  #closed = false
  readonly #components: OpenVolumeComponents
  readonly #init: OpenVolumeInit
  readonly #stale: boolean
  readonly #writes: Limiter
  /** Those that did not have to go through the limiter; they count there. */
  #writesNow = 0
  readonly #flushes: Limiter
  readonly #deadlines: Deadlines

  constructor(components: OpenVolumeComponents, init: OpenVolumeInit, options: OpenOptions) {
    this.#components = components
    this.#init = init
    this.#sizeBytes = init.sizeBytes
    this.readOnly = options.readOnly ?? false
    this.#stale = options.staleReads ?? false
    this.#writes = new Limiter({ concurrency: init.writesInFlightMax })
    this.#flushes = new Limiter({ concurrency: segmentsAtOnce })
    this.#deadlines = new Deadlines(components, { deadlineMs: init.operationDeadlineMs })
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  grow(sizeBytes: number): void {
    this.#sizeBytes = Math.max(this.#sizeBytes, sizeBytes)
  }

  fail(error: DeviceError): void {
    this.failed ??= error
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    this.#mayUse(offset, length)
    return this.#deadlines.run(async (deadline) => {
      const number = onlySegmentOf(offset, length)
      if (number !== undefined) return this.#components.segment(number).read(offset - number * segmentBytes, length, deadline, this.#stale)
      const parts = await Promise.all(segmentsIn(offset, length).map((part) => this.#components.segment(part.segment).read(part.offset, part.length, deadline, this.#stale)))
      const bytes = new Uint8Array(length)
      let at = 0
      for (const part of parts) {
        bytes.set(part, at)
        at += part.length
      }
      return bytes
    })
  }

  readNow(offset: number, length: number): Uint8Array | undefined {
    if (this.#stale || !this.#isUsable(offset, length)) return undefined
    const number = length > nowBytesMax ? undefined : onlySegmentOf(offset, length)
    return number === undefined ? undefined : this.#components.segment(number).readNow(offset - number * segmentBytes, length)
  }

  async write(offset: number, bytes: Uint8Array, flags: WriteFlags = {}): Promise<void> {
    const now = flags.fua === true ? undefined : this.#writeNow(offset, bytes)
    if (now !== undefined) {
      this.#writesNow++
      try {
        if (await now) return
      } finally {
        this.#writesNow--
      }
    }
    await this.#change(offset, bytes.length, 'data', bytes, flags)
  }

  #writeNow(offset: number, bytes: Uint8Array): Promise<boolean> | undefined {
    if (this.readOnly || this.#init.writethrough || this.#writesNow + this.#writes.running >= this.#init.writesInFlightMax || !this.#isUsable(offset, bytes.length)) return undefined
    const number = onlySegmentOf(offset, bytes.length)
    return number === undefined ? undefined : this.#components.segment(number).writeNow({ offset: offset - number * segmentBytes, length: bytes.length, content: 'data', bytes }, this.#deadlines)
  }

  async trim(offset: number, length: number, flags: WriteFlags = {}): Promise<void> {
    await this.#change(offset, length, 'hole', noBytes, flags)
  }

  async writeZeroes(offset: number, length: number, flags: WriteFlags & { keepAllocated?: boolean } = {}): Promise<void> {
    await this.#change(offset, length, flags.keepAllocated === true ? 'zeroes' : 'hole', noBytes, flags)
  }

  async flush(): Promise<void> {
    this.#mayUse(0, 0)
    await this.#deadlines.run((deadline) => this.#flushAll(this.#components.dirty(), deadline))
  }

  async extents(offset: number, length: number): Promise<Extent[]> {
    this.#mayUse(offset, length)
    // As far as the first segment goes: the asker asks again for the rest.
    const [part] = segmentsIn(offset, length)
    if (part === undefined) return []
    return this.#deadlines.run(async (deadline) => {
      const runs = await this.#components.segment(part.segment).extents(blocksOf(part.offset, part.length), deadline)
      const extents: { length: number; hole: boolean; zero: boolean }[] = []
      for (const run of runs) {
        const from = Math.max(run.start * blockBytes, part.offset)
        const to = Math.min((run.start + run.blocks) * blockBytes, part.offset + part.length)
        const hole = run.content === 'hole'
        const zero = hole || run.content === 'zeroes'
        const last = extents.at(-1)
        if (last?.hole === hole && last.zero === zero) last.length += to - from
        else extents.push({ length: to - from, hole, zero })
      }
      return extents
    })
  }

  /** A hint: what it fetches stays with the holder; whether it worked nobody is told. */
  async prefetch(offset: number, length: number): Promise<void> {
    if (this.#closed || this.failed !== undefined || offset >= this.#sizeBytes) return
    const ahead = Math.min(length, readAheadBytes, this.#sizeBytes - offset)
    await this.read(offset, ahead).catch(() => undefined)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    try {
      if (!this.readOnly && this.failed === undefined) await this.flush()
    } finally {
      this.#closed = true
      this.#deadlines.close()
      this.#components.closed(this)
    }
  }

  async #change(offset: number, length: number, content: Content, bytes: Uint8Array, flags: WriteFlags): Promise<void> {
    this.#mayUse(offset, length)
    if (this.readOnly) throw new DeviceError('READ_ONLY', 'the volume is open for reading only')
    await this.#writes.run(() => this.#deadlines.run(async (deadline) => {
      const number = onlySegmentOf(offset, length)
      if (number !== undefined) {
        const access = this.#components.segment(number)
        await access.write({ offset: offset - number * segmentBytes, length, content, bytes }, deadline)
        if (flags.fua === true || this.#init.writethrough) await this.#flushAll([access], deadline)
        return
      }
      let at = 0
      const parts = segmentsIn(offset, length).map((part) => {
        const write = { offset: part.offset, length: part.length, content, bytes: content === 'data' ? bytes.subarray(at, at + part.length) : noBytes }
        at += part.length
        return { access: this.#components.segment(part.segment), write }
      })
      await Promise.all(parts.map(({ access, write }) => access.write(write, deadline)))
      if (flags.fua === true || this.#init.writethrough) await this.#flushAll([...new Set(parts.map(({ access }) => access))], deadline)
    }))
  }

  async #flushAll(segments: readonly SegmentAccess[], deadline: AbortSignal): Promise<void> {
    await Promise.all(segments.map((segment) => this.#flushes.run(() => segment.flush(deadline))))
    // A segment may have failed for good while another was flushed: then nothing may be claimed.
    this.#mayUse(0, 0)
  }

  #isUsable(offset: number, length: number): boolean {
    return this.failed === undefined && !this.#closed && Number.isSafeInteger(offset) && offset >= 0 && length > 0 && offset + length <= this.#sizeBytes
  }

  #mayUse(offset: number, length: number): void {
    if (this.failed !== undefined) throw this.failed
    if (this.#closed) throw new DeviceError('STOPPING', 'the volume is closed')
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0 || offset + length > this.#sizeBytes) {
      throw new DeviceError('OUT_OF_RANGE', 'past the end of the volume', { offset, length, sizeBytes: this.#sizeBytes })
    }
  }
}

interface BytePart {
  readonly segment: number
  /** Bytes from the segment's start. */
  readonly offset: number
  readonly length: number
}

/** Nearly every request stays within a segment. */
function onlySegmentOf(offset: number, length: number): number | undefined {
  const number = Math.floor(offset / segmentBytes)
  return length > 0 && offset + length <= (number + 1) * segmentBytes ? number : undefined
}

function segmentsIn(offset: number, length: number): BytePart[] {
  const parts: BytePart[] = []
  const end = offset + length
  for (let at = offset; at < end; ) {
    const segment = Math.floor(at / segmentBytes)
    const stop = Math.min(end, (segment + 1) * segmentBytes)
    parts.push({ segment, offset: at - segment * segmentBytes, length: stop - at })
    at = stop
  }
  return parts
}
