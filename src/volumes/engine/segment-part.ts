import type { SegmentId } from '../replica-types.js'
import type { EngineContext } from './context.js'
import { SegmentHolder } from './holder.js'
import { Takeover } from './takeover.js'

/** A segment as far as this node has to do with its ranges. */
export class SegmentPart {
  readonly holder: SegmentHolder
  readonly takeover: Takeover
  /** Requests and open volumes that have it. */
  users = 0
  /** How many of them are open volumes: no request of theirs need be under way. */
  openings = 0
  /** Nobody used it: whoever comes now gets another. */
  isGone = false

  constructor(context: EngineContext, id: SegmentId) {
    this.holder = new SegmentHolder(context, id)
    this.takeover = new Takeover(context, this.holder)
  }

  release(): void {
    this.users--
  }

  /** The end of an opening. */
  close(): void {
    this.openings--
    this.release()
  }
}
