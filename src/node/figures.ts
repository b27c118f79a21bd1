import type { Clock, NodeId } from '../base/index.js'
import type { BlobService } from '../blobs/index.js'
import type { Catalog } from '../catalog/index.js'

export interface Tally {
  ownBytes: number
  pinnedBytes: number
  blobs: number
  blobBytes: number
  underReplicated: number
}

export interface TalliesComponents {
  catalog: Catalog
  blobs: BlobService
  clock: Clock
  self: NodeId
  /** Copies of a file, by what is known here. */
  copiesOf: (cid: string) => number
}

/** Going through the catalog costs some microseconds an entry: not again for every glance at the dashboard. */
const freshMs = 5_000

/** Sums over everything held and catalogued, made when somebody asks and kept for a moment. */
export class Tallies {
  readonly #components: TalliesComponents
  #made: { at: number; tally: Promise<Tally> } | undefined

  constructor(components: TalliesComponents) {
    this.#components = components
  }

  async get(): Promise<Tally> {
    const now = this.#components.clock.monotonicMs()
    if (this.#made === undefined || now - this.#made.at > freshMs) this.#made = { at: now, tally: this.#count() }
    return this.#made.tally
  }

  /** The next question is answered anew. */
  forget(): void {
    this.#made = undefined
  }

  async #count(): Promise<Tally> {
    const { catalog, blobs, self, copiesOf } = this.#components
    const held = new Map<string, number>()
    let blobBytes = 0
    for await (const blob of blobs.list()) {
      held.set(blob.cid.toString(), blob.bytes)
      blobBytes += blob.bytes
    }
    const tally: Tally = { ownBytes: 0, pinnedBytes: 0, blobs: held.size, blobBytes, underReplicated: 0 }
    const counted = new Set<string>()
    for await (const record of catalog.list('/')) {
      const { content, owner } = record
      if (content === undefined) continue
      const here = held.get(content.cid)
      if (copiesOf(content.cid) < content.replicas) tally.underReplicated++
      if (here === undefined || counted.has(content.cid)) continue
      counted.add(content.cid)
      // Of a file of several blobs the root alone is looked up here; its size is what they have together, nearly.
      const bytes = Math.max(here, content.size)
      if (owner === self) tally.ownBytes += bytes
      if (content.pinned) tally.pinnedBytes += bytes
    }
    tally.ownBytes = Math.min(tally.ownBytes, blobBytes)
    tally.pinnedBytes = Math.min(tally.pinnedBytes, blobBytes)
    return tally
  }
}
