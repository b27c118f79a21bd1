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
  /** What `read` would answer, if it can be had without a wait. Undefined if not, or if anything is wrong: then `read` tells. */
  readNow?(offset: number, length: number): Uint8Array | undefined
  /** `bytes` are the device's until this resolves, and the caller's again then; after a rejection they must not be changed ever. */
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

export interface VolumeSettings {
  /** `writethrough`: every write waits like a flush. */
  readonly durability: 'flush' | 'writethrough'
  /** Copies wanted of each segment, the holder's among them if it keeps one. */
  readonly replicas: number
  readonly policy: 'adaptive' | 'basic'
}

export interface VolumeInfo extends VolumeSettings {
  readonly name: string
  /** 32 hex digits. */
  readonly id: string
  readonly sizeBytes: number
  readonly blockSize: number
  readonly segments: number
  /** Bytes written and not trimmed, on this node. */
  readonly usedBytes: number
}

export interface VolumeLease {
  /** In blocks from the volume's start. */
  readonly start: number
  readonly blocks: number
  readonly holder: string
  readonly region: string
  readonly token: number
}

/** A volume opened for a client, until `close`. */
export interface OpenVolume extends BlockDevice {
  readonly info: VolumeInfo
  /** Once set, everything rejects with it: see `OpenDevice`. */
  readonly failed: Error | undefined
  /** Flushes, and gives nothing back: leases stay until somebody wants them. */
  close(): Promise<void>
}

/** The volumes of the mesh as this node sees them. All throw VolumeError or ConsensusError. */
export interface Volumes {
  create(name: string, sizeBytes: number, settings?: Partial<VolumeSettings>): Promise<VolumeInfo>
  list(): Promise<VolumeInfo[]>
  stat(name: string): Promise<VolumeInfo>
  /** Grows only. */
  resize(name: string, sizeBytes: number): Promise<VolumeInfo>
  /** IN_USE while somebody has it open, here or elsewhere. */
  remove(name: string): Promise<void>
  open(name: string, options?: { staleReads?: boolean; readOnly?: boolean }): Promise<OpenVolume>
  leases(name: string): Promise<VolumeLease[]>
  run(signal: AbortSignal): Promise<void>
}
