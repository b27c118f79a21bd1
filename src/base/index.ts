/**
 * Ground floor. Values that every room uses, and the shapes of the ordered store and of the network that rooms are
 * given. See README.md.
 */
export * from './abort.js'
export * from './backoff.js'
export * from './cids.js'
export * from './clock.js'
export * from './errors.js'
export * from './events.js'
export * from './frames.js'
export * from './group-commit.js'
export * from './hlc.js'
export * from './ids.js'
export * from './key-value.js'
export * from './limiter.js'
export * from './log.js'
export * from './network.js'
export * from './queue.js'
export * from './random.js'
export * from './shell-word.js'
export * from './signing.js'
export * from './spare-memory.js'
export * from './units.js'
