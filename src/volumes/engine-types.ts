import type { BlockDevice, VolumeLease, VolumeSettings } from './types.js'

/** A volume as the data path knows it: it has no name there, and an id is never used again. */
export interface VolumeIdentity extends VolumeSettings {
  /** 32 hex digits. */
  readonly id: string
  readonly sizeBytes: number
}

export interface OpenOptions {
  readonly readOnly?: boolean
  /** Reads may come from any replica, and then be behind what others have written. */
  readonly staleReads?: boolean
}

/** What was opened, until `close`: which flushes, and gives no range back. */
export interface OpenDevice extends BlockDevice {
  /**
   * Set once writes were acknowledged here that may be lost (the right to write went, and others may have written): every
   * call rejects with it from then on, `flush` included, until the volume is closed and opened anew.
   */
  readonly failed: Error | undefined
  close(): Promise<void>
}

/** Numbers for whoever watches; counters only grow. */
export type VolumeFigures = Readonly<Record<string, number>>

/**
 * The data path of all volumes at this node: what it holds, what it keeps for others, and the way to those who hold
 * what it does not. Knows ids, segments and registers, no names.
 */
export interface VolumeEngine {
  /** Several at once of one volume are one disk: what one writes the others read. */
  open(volume: VolumeIdentity, options: OpenOptions): Promise<OpenDevice>
  /** The volume has grown, whoever made it grow: open devices show it. */
  resized(id: string, sizeBytes: number): void
  /** In order of `start`. */
  leases(id: string, signal?: AbortSignal): Promise<VolumeLease[]>
  /** Bytes written and not trimmed, on this node. */
  usedBytes(id: string): Promise<number>
  /** The volume is no more: registers of its segments say so from now on, so that every hold on it ends. Can be repeated. */
  retire(id: string, signal: AbortSignal): Promise<void>
  /** Forgets it and gives its space on this disk back. Devices of it that are open fail from now on. */
  dropLocal(id: string): Promise<void>
  /** Ids of volumes of which something is on this disk. */
  volumesHere(): Promise<string[]>
  /** Moves replicas and ranges of this node elsewhere, where there is an elsewhere. Says how many segments had to stay. */
  drain(signal: AbortSignal): Promise<{ remaining: number }>
  figures(): VolumeFigures
  /** Resolves, after the signal, when all that was acknowledged and not yet flushed is on this disk at the least. */
  run(signal: AbortSignal): Promise<void>
}
