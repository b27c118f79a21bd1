import { CodedError } from '../base/index.js'
import type { Facts } from '../base/index.js'

/**
 * What went wrong with a request: the node's own code and sentence if it answered (`status` is set), else one of
 *   NOT_RUNNING   nobody listens there, or there is no such home
 *   DEADLINE      no answer in time
 *   ABORTED       the caller's signal
 *   CONNECTION    the connection broke half-way
 *   BAD_ANSWER    something answered that is not a node
 */
export class ClientError extends CodedError {
  readonly status: number | undefined

  constructor(code: string, message: string, facts: Facts = {}, options: { status?: number; cause?: unknown } = {}) {
    super(code, message, facts, { cause: options.cause })
    this.status = options.status
  }
}
