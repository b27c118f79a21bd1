/**
 * Volumes: virtual disks whose write authority follows the writer. A door (NBD) sees a `BlockDevice`; `registry/` knows
 * volumes by name, and the data path (`VolumeEngine`) by id.
 */
export * from './types.js'
export * from './replica-types.js'
export { blockBytes, checkVolumeName, checkVolumeSize, partsOf, segmentBlocks, segmentBytes, segmentsOf, volumeBytesMax, VolumeError } from './geometry.js'
export type { BlockRange, SegmentPart, VolumeCode } from './geometry.js'
export { createReplicaDisk, type ClosableReplicaDisk, type ReplicaDiskComponents } from './disk/disk.js'
export type { DiskSettings } from './disk/settings.js'
export { isWholeRow } from './disk/rows.js'
export * from './engine-types.js'
export { decodeChanged, decodeEntry, encodeChanged, encodeEntry, volumeReplicasMax } from './registry/entry.js'
export type { VolumeEntry, VolumeRecord } from './registry/entry.js'
export { VolumeRegistry, volumeScope, volumeScopePrefix } from './registry/registry.js'
export type { NamedVolume, Registers } from './registry/registry.js'
export { VolumeService } from './registry/service.js'
export type { VolumeServiceComponents, VolumeServiceInit } from './registry/service.js'
export * from './migration/index.js'
export * from './engine/index.js'
export * from './engine/index.js'
