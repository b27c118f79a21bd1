import type { Version } from '../replica-types.js'
import { Verb } from '../wire/volume.js'
import type * as wire from '../wire/volume.js'
import type { SegmentWrite } from './content.js'

/** Under which writes are numbered, and the last number given. A holder takes a number that is not the highest for a retry. */
export interface Numbering {
  readonly client: string
  last: number
}

/** A write on its way to whoever holds its blocks. */
export interface Pending {
  readonly numbering: Numbering
  write: SegmentWrite
  /** 0 until it was sent to another node: from then on it may have been applied there. */
  sequence: number
  readonly deadline: AbortSignal
  /** Of one that was acknowledged before and is sent again. */
  readonly number?: number
  readonly parent: { left: number; resolve: () => void; reject: (error: Error) => void }
}

/** An acknowledged write of another holder's, kept until a flush covers it. */
export interface Kept {
  readonly write: SegmentWrite
  readonly version: Version
  /** In the order of the first acknowledgements: a write that is sent again keeps its number. */
  readonly number: number
}

/** A write of nobody who waits for an answer: `outcome` is why it failed, or undefined. */
export function replayed(): { parent: Pending['parent']; outcome: Promise<Error | undefined> } {
  const { resolve, promise: outcome } = withResolver<Error | undefined>()
  return { parent: { left: 1, resolve: () => { resolve(undefined) }, reject: resolve }, outcome }
}

function withResolver<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((done) => { resolve = done })
  return { promise, resolve }
}

export function operationOf(write: SegmentWrite): Pick<wire.Operation, 'verb' | 'offset' | 'length' | 'bytes'> {
  const verb = write.content === 'data' ? Verb.WRITE : write.content === 'zeroes' ? Verb.WRITE_ZEROES : Verb.TRIM
  return { verb, offset: write.offset, length: write.length, bytes: write.bytes }
}
