import { CodedError } from '../base/index.js'
import type { Facts } from '../base/index.js'

export type NodeCode =
  /** The folder cannot be made, read or written. */
  | 'BAD_HOME'
  /** A key file is damaged, or is another kind of file. */
  | 'BAD_KEY'
  /** Another process has this home. */
  | 'ALREADY_RUNNING'
  /** `init` or `join` on a home that belongs to a mesh. */
  | 'ALREADY_MEMBER'
  /** The home has no mesh yet. */
  | 'NO_MESH'
  /** Only who has the authority's key may. */
  | 'NOT_ADMIN'
  | 'PORT_IN_USE'
  | 'BAD_ADDRESS'
  /** The volume is exported there already: fact `uri`. */
  | 'EXISTS'

export class NodeError extends CodedError<NodeCode> {
  constructor(code: NodeCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}
