/**
 * Volumes: virtual disks whose write authority follows the writer. What stands here is the shape a door (NBD) sees of one.
 */
export * from './types.js'
export * from './replica-types.js'
export { blockBytes, checkVolumeName, checkVolumeSize, partsOf, segmentBlocks, segmentBytes, segmentsOf, volumeBytesMax, VolumeError } from './geometry.js'
export type { BlockRange, SegmentPart, VolumeCode } from './geometry.js'
export { createReplicaDisk, type ClosableReplicaDisk, type ReplicaDiskComponents } from './disk/disk.js'
export type { DiskSettings } from './disk/settings.js'
