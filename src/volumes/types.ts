import { CodedError } from '../base/index.js'
import type { Facts } from '../base/index.js'

export type DeviceCode =
  /** The write authority was lost, or too few replicas are in sync: nothing may be claimed about what was written. */
  | 'IO'
  | 'NO_SPACE'
  | 'OUT_OF_RANGE'
  | 'READ_ONLY'
  | 'NOT_SUPPORTED'
  | 'STOPPING'

export class DeviceError extends CodedError<DeviceCode> {
  constructor(code: DeviceCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/** A run of bytes of one kind, for clients that skip what was never written. */
export interface Extent {
  /** Bytes. */
  readonly length: number
  /** Nothing is allocated here; reads as zeroes. */
  readonly hole: boolean
  /** Reads as zeroes, allocated or not. */
  readonly zero: boolean
}

export interface WriteFlags {
  /** On stable storage, as after a flush, before it resolves. */
  fua?: boolean
}

/**
 * A virtual disk as a door sees it: any offset, any length within it; the device does read-modify-write. Rejects with
 * `DeviceError`. The same device may be used over many connections at once: a flush covers all of them.
 */
export interface BlockDevice {
  readonly sizeBytes: number
  readonly readOnly: boolean
  /** What requests should be multiples of, to be fast. */
  readonly blockBytes: number
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>
  /** `bytes` must not be changed after. */
  write(offset: number, bytes: Uint8Array, flags?: WriteFlags): Promise<void>
  flush(): Promise<void>
  /** The content of the range becomes zeroes; its space may come back. */
  trim(offset: number, length: number, flags?: WriteFlags): Promise<void>
  /** `keepAllocated`: the range must not become a hole. */
  writeZeroes(offset: number, length: number, flags?: WriteFlags & { keepAllocated?: boolean }): Promise<void>
  /** Extents from `offset` on, that cover `length` bytes or fewer (at least one extent). */
  extents(offset: number, length: number): Promise<Extent[]>
  /** A hint that the range will be read soon. */
  prefetch(offset: number, length: number): Promise<void>
}
