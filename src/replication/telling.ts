import type { Clock, Log, NodeId, Rpc } from '../base/index.js'
import { forEachLimit, messageOf } from '../base/index.js'
import type { HeldBlob } from '../blobs/index.js'
import { cidBytes } from './messages.js'
import { rates } from './methods.js'
import { Rate } from './rate.js'
import { StoreRequest } from './wire/replication.js'

export interface TellingComponents {
  readonly rpc: Rpc
  readonly clock: Clock
  readonly log: Log
}

export interface Told {
  readonly blob: HeldBlob
  readonly to: NodeId
}

const nodesAtOnce = 8
const blobsAtOnce = 4
const answerDeadlineMs = 15_000
/**
 * Half of what a node answers; the rest is for copies that are made meanwhile. Whoever asks more is taken for one that
 * floods, and gets nothing new for a while: a file of thousands of parts, or a few of hundreds at once, did that.
 */
const pace = { burst: rates.store.burst / 2, perSecond: rates.store.perSecond / 2 }
const waitMs = 100

/** Tells nodes that have parts of a file which file that is. One for all files: it is one node that they hear. */
export class Telling {
  readonly #components: TellingComponents
  readonly #rate: Rate

  constructor(components: TellingComponents) {
    this.#components = components
    this.#rate = new Rate(components, pace)
  }

  /** Rejects when the signal aborts; who could not be told by then asks by itself. */
  async tell(root: string, told: readonly Told[], signal: AbortSignal): Promise<void> {
    const byNode = new Map<NodeId, HeldBlob[]>()
    for (const { blob, to } of told) {
      const blobs = byNode.get(to)
      if (blobs === undefined) byNode.set(to, [blob])
      else blobs.push(blob)
    }
    await forEachLimit([...byNode], nodesAtOnce, async ([to, blobs]) => {
      await forEachLimit(blobs, blobsAtOnce, async (blob) => this.#tell(root, blob, to, signal))
    })
  }

  async #tell(root: string, blob: HeldBlob, to: NodeId, signal: AbortSignal): Promise<void> {
    const { rpc, clock, log } = this.#components
    while (!this.#rate.allow(to)) await clock.sleep(waitMs, signal)
    const request = StoreRequest.encode({ cid: blob.cid.bytes, spine: blob.kind === 'spine', bytes: blob.bytes, root: cidBytes(root), holders: [], move: false })
    try {
      await rpc.request(to, 'replication.store', request, { deadlineMs: answerDeadlineMs, signal })
    } catch (error) {
      signal.throwIfAborted()
      log.debug('a holder was not told of the file', { peer: to, error: messageOf(error) })
    }
  }
}
