/**
 * Bytes of a connection pushed to whoever wants them, in the turn in which they come, beside the iterable that libp2p
 * knows: a promise for each record of TLS, through every layer, was more work than the cipher's.
 */
export interface FlowSink {
  /** Bytes are lent for the time of the call. Must not throw. */
  take(bytes: Uint8Array): void
  /** Called once, after the last bytes. */
  end(error?: Error): void
}

/** On the source of a connection that can do it: from the call on all bytes go to the sink, those that wait first. */
export const flowTo = Symbol('flowTo')

export interface Flowing {
  /** What it returns ends the reading, as a `return` of the iterable does. */
  [flowTo](sink: FlowSink): () => void
}

/** Undefined for a source that can only be iterated. */
export function flowOf(source: unknown): Flowing | undefined {
  return isFlowing(source) ? source : undefined
}

function isFlowing(source: unknown): source is Flowing {
  return typeof source === 'object' && source !== null && flowTo in source && typeof source[flowTo] === 'function'
}
