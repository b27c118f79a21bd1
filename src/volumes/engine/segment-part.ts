import type { SegmentId } from '../replica-types.js'
import type { EngineContext } from './context.js'
import { SegmentHolder } from './holder.js'
import { Takeover } from './takeover.js'

/** A segment as far as this node has to do with its ranges. */
export class SegmentPart {
  readonly holder: SegmentHolder
  readonly takeover: Takeover
  /** When it was last asked for, or something went on in it, by the monotonic clock. */
  usedMs = 0

  constructor(context: EngineContext, id: SegmentId) {
    this.holder = new SegmentHolder(context, id)
    this.takeover = new Takeover(context, this.holder)
  }

  get idle(): boolean {
    return this.holder.idle && this.takeover.idle
  }
}
