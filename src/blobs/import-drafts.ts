import type { CID } from 'multiformats/cid'
import type { Random, WriteOperation } from '../base/index.js'
import type { BlockDraft } from '../store/index.js'
import { hashKeyOf, keyOf } from './cids.js'
import type { DraftBook } from './draft-book.js'
import type { Holdings } from './holdings.js'
import type { BlobSink, ImportedDag } from './importing.js'
import type { BlobRef, HeldBlob, SpreadImport } from './types.js'

export interface ImportDraftsComponents {
  holdings: Holdings
  drafts: DraftBook
  random: Random
}

export interface ImportDraftsInit {
  /** Once there, it stays. */
  spread?: () => SpreadImport | undefined
}

interface Open {
  draft: Promise<BlockDraft>
  blocks: Set<string>
  bytes: number
}

/**
 * The blobs of one import: a draft each, committed as soon as it is complete so that no draft is ever larger than a
 * blob. All but the last are provisional until the last one's commit, which says so and carries the caller's operations:
 * after a crash either the whole file is there and its catalog record with it, or nothing of it.
 *
 * Of a file that is being spread no blob is leaned on: each may go before the end. They are provisional all the same. If
 * it turns out in the middle that the file is to be spread, those that are complete are let go of then.
 */
export class ImportDrafts implements BlobSink {
  readonly #components: ImportDraftsComponents
  readonly #open = new Map<number | 'spine', Open>()
  readonly #complete: BlobRef[] = []
  readonly #spread: () => SpreadImport | undefined
  /** Complete, and not told of since the file is not spread so far. */
  readonly #leaned: HeldBlob[] = []

  constructor(components: ImportDraftsComponents, init: ImportDraftsInit = {}) {
    this.#components = components
    this.#spread = init.spread ?? (() => undefined)
  }

  async put(index: number | 'spine', cid: CID, bytes: Uint8Array): Promise<void> {
    let open = this.#open.get(index)
    if (open === undefined) {
      open = { draft: this.#components.drafts.openImport(this.#components.random), blocks: new Set(), bytes: 0 }
      open.draft.catch(() => undefined)
      this.#open.set(index, open)
    }
    const key = hashKeyOf(cid)
    const draft = await open.draft
    if (open.blocks.has(key)) return
    open.blocks.add(key)
    open.bytes += bytes.length
    await draft.put(cid, bytes)
  }

  async complete(index: number | 'spine', root: CID, _contentBytes: number, kind: BlobRef['kind'] = 'dag'): Promise<void> {
    const spread = this.#spread()
    await this.#letGo(spread)
    if (spread === undefined) this.#components.holdings.lean(root)
    else this.#complete.push({ cid: root, kind })
    let held: HeldBlob
    try {
      held = await this.#hold(index, { cid: root, kind }, [], true)
    } catch (error) {
      if (spread === undefined) await this.#components.holdings.unlean(root, false)
      throw error
    }
    if (spread !== undefined) {
      await spread.onBlob(held)
      return
    }
    this.#complete.push({ cid: root, kind })
    this.#leaned.push(held)
  }

  /** It is being spread from now on. */
  async #letGo(spread: SpreadImport | undefined): Promise<void> {
    if (spread === undefined) return
    const leaned = this.#leaned.splice(0)
    // All of them first: whatever fails below, the end of the import must find none that it leans on for ever.
    for (const { cid } of leaned) this.#components.holdings.stopLeaning(cid)
    for (const held of leaned) await spread.onBlob(held)
  }

  /** All blobs of the import, in order, each once. */
  blobsWith(made: ImportedDag): BlobRef[] {
    const all: BlobRef[] = [...this.#complete, { cid: made.last.root, kind: 'dag' }]
    if (made.spine) all.push({ cid: made.cid, kind: 'spine' })
    return [...new Map(all.map((ref) => [keyOf(ref.cid), ref])).values()]
  }

  async finish(made: ImportedDag, operations: readonly WriteOperation[], kind: BlobRef['kind'] = 'dag'): Promise<void> {
    const { holdings } = this.#components
    if (made.spine) await this.complete(made.last.index, made.last.root, 0)
    const last: BlobRef = made.spine ? { cid: made.cid, kind: 'spine' } : { cid: made.last.root, kind }
    const settle = holdings.noLongerProvisional(this.#complete.map(({ cid }) => cid))
    await this.#hold(made.spine ? 'spine' : made.last.index, last, [...operations, ...settle], false)
    const complete = this.#complete.splice(0)
    const leaned = this.#leaned.splice(0)
    if (leaned.length > 0) for (const { cid } of leaned) await holdings.unlean(cid, true)
    else for (const { cid } of complete) await holdings.keep(cid)
  }

  async giveUp(): Promise<void> {
    for (const { draft } of this.#open.values()) {
      const opened = await draft.catch(() => undefined)
      if (opened !== undefined) await this.#components.drafts.abort(opened)
    }
    this.#open.clear()
    const { holdings } = this.#components
    const complete = this.#complete.splice(0)
    const leaned = this.#leaned.splice(0)
    if (leaned.length > 0) for (const { cid } of leaned) await holdings.unlean(cid, false)
    else for (const { cid } of complete) await holdings.abandon(cid)
  }

  async #hold(index: number | 'spine', ref: BlobRef, operations: readonly WriteOperation[], provisional: boolean): Promise<HeldBlob> {
    const open = this.#open.get(index)
    if (open === undefined) throw new Error('a blob without blocks')
    const draft = await open.draft
    const held = await this.#components.holdings.hold(draft, ref, { bytes: open.bytes, blocks: open.blocks.size }, { operations, provisional })
    this.#open.delete(index)
    this.#components.drafts.closed(draft)
    return held
  }
}
