/**
 * Volumes: virtual disks whose write authority follows the writer. What stands here is the shape a door (NBD) sees of one.
 */
export * from './types.js'
