import { messageOf, type Clock, type Log, type Random } from '../base/index.js'
import type { BlockDraft, BlockStore } from '../store/index.js'
import type { BlobRef } from './types.js'

export interface DraftBookComponents {
  blocks: Pick<BlockStore, 'draft' | 'drafts'>
  clock: Clock
  log: Log
}

/** Hex digits that make an import's draft its own. */
const importIdBytes = 12
/** How often old drafts are looked for, as a part of how long they are kept. */
const looksPerKeep = 24
/** At least as often, for what could not be given up: its space is to come back soon after a full disk has some again. */
const lookEveryMs = 60_000

/**
 * Drafts by name. Those of imports end with the process (the content cannot be asked for again); those of fetches stay
 * and are taken up by the next fetch of the same blob, until nobody has come for too long.
 */
export class DraftBook {
  readonly #components: DraftBookComponents
  readonly #active = new Set<string>()
  /** Fetches that broke off, and what could not be given up yet: the draft, if this process has it open, and since when. */
  readonly #paused = new Map<string, { draft: BlockDraft | undefined; sinceMs: number }>()

  constructor(components: DraftBookComponents) {
    this.#components = components
  }

  async openImport(random: Random): Promise<BlockDraft> {
    return this.#open(`import/${Buffer.from(random.bytes(importIdBytes)).toString('hex')}`)
  }

  async openFetch(ref: BlobRef): Promise<BlockDraft> {
    const id = `fetch/${ref.kind}/${ref.cid.toString()}`
    const paused = this.#paused.get(id)
    this.#paused.delete(id)
    if (paused?.draft === undefined) return this.#open(id)
    this.#active.add(id)
    return paused.draft
  }

  /** It was committed or aborted. */
  closed(draft: BlockDraft): void {
    this.#active.delete(draft.id)
  }

  async abort(draft: BlockDraft): Promise<void> {
    this.closed(draft)
    try {
      await draft.abort()
    } catch (error) {
      // The store has it open still, as it was. Not let go of, or the name could not be opened again until the next start.
      this.#paused.set(draft.id, { draft, sinceMs: Number.NEGATIVE_INFINITY })
      this.#components.log.warn('a draft was not given up', { draft: draft.id, reason: messageOf(error) })
    }
  }

  /** A fetch broke off: what it has is kept, unless that is nothing. */
  async pause(draft: BlockDraft, useless: boolean): Promise<void> {
    if (useless) {
      await this.abort(draft)
      return
    }
    await draft.flush().catch((error: unknown) => this.#components.log.debug('a draft was not flushed', { draft: draft.id, reason: messageOf(error) }))
    this.closed(draft)
    this.#paused.set(draft.id, { draft, sinceMs: this.#components.clock.monotonicMs() })
  }

  async run(signal: AbortSignal, keepMs: number): Promise<void> {
    const { clock, log } = this.#components
    try {
      await this.#adoptLeftBehind()
    } catch (error) {
      log.warn('drafts of the last run were not cleared up', { reason: messageOf(error) })
    }
    for (;;) {
      await clock.sleep(Math.min(lookEveryMs, keepMs / looksPerKeep), signal).catch(() => undefined)
      if (signal.aborted) return
      for (const [id, { draft, sinceMs }] of [...this.#paused]) {
        if (clock.monotonicMs() - sinceMs < keepMs) continue
        this.#paused.delete(id)
        try {
          await this.#abortById(id, draft)
        } catch (error) {
          // It could not even be opened, since too many are: the next look tries again.
          this.#paused.set(id, { draft, sinceMs })
          log.debug('an old draft was not given up', { draft: id, reason: messageOf(error) })
        }
      }
    }
  }

  async #adoptLeftBehind(): Promise<void> {
    const { blocks, clock } = this.#components
    for (const id of await blocks.drafts()) {
      if (this.#active.has(id) || this.#paused.has(id)) continue
      if (id.startsWith('fetch/')) this.#paused.set(id, { draft: undefined, sinceMs: clock.monotonicMs() })
      else if (id.startsWith('import/')) await this.#abortById(id, undefined)
    }
  }

  async #abortById(id: string, draft: BlockDraft | undefined): Promise<void> {
    await this.abort(draft ?? (await this.#open(id)))
  }

  async #open(id: string): Promise<BlockDraft> {
    this.#active.add(id)
    try {
      return await this.#components.blocks.draft(id)
    } catch (error) {
      this.#active.delete(id)
      throw error
    }
  }
}
