import type { CID } from 'multiformats/cid'
import type { BlockDraft, BlockStore } from '../store/index.js'
import { codeOf, messageOf, type Clock, type Log, type WriteOperation } from '../base/index.js'
import type { Announcer } from './announcer.js'
import { hashKeyOf, keyOf } from './cids.js'
import { blocksOf, type BlobBlocks } from './dag.js'
import { KeyedLock } from './keyed-lock.js'
import type { BlobRecords, Dropping } from './records.js'
import { blobContentBytesMax, type BlobProfile } from './settings.js'
import type { BlobRef, HeldBlob } from './types.js'

/**
 * What this node holds: the one place where blobs begin and end to be held, one change per blob at a time. The record
 * and the references to its blocks change together, so each is there exactly once however often a blob comes in.
 *
 * An import that is under way leans on blobs that nothing in the catalog names yet. They are marked provisional on disk
 * (the next start lets go of them) and leaned on in memory (a drop in between only marks them).
 */
export interface HoldingsComponents {
  blocks: BlockStore
  records: BlobRecords
  announcer: Announcer
  clock: Clock
  log: Log
}

/** A blob that is one block. */
export interface Content {
  readonly cid: CID
  readonly bytes: Uint8Array
}

/** References released in one atomic write: a blob of ours at once, and a bound for what others make. */
const releasedAtOnceMax = 4096

export class Holdings {
  readonly #components: HoldingsComponents
  readonly #profile: BlobProfile
  readonly #lock = new KeyedLock()
  readonly #leaning = new Map<string, number>()
  /** Drops that are under way or that a crash left; read once, since every blob that comes in asks. */
  #dropping: Promise<Set<string>> | undefined

  constructor(components: HoldingsComponents, profile: BlobProfile) {
    this.#components = components
    this.#profile = profile
  }

  /**
   * From now on the blob, whose blocks are all in the draft, is held; durable when it resolves, together with
   * `operations`. If it is held already the draft is given up.
   */
  async hold(
    draft: BlockDraft,
    ref: BlobRef,
    size: { bytes: number; blocks: number },
    options: { operations?: readonly WriteOperation[]; provisional?: boolean } = {},
  ): Promise<HeldBlob> {
    const { records, announcer, clock } = this.#components
    return this.#lock.run(keyOf(ref.cid), async () => {
      await this.#finishDrop(ref.cid)
      const operations = [...(options.operations ?? [])]
      const provisional = options.provisional === true
      const before = await records.held(ref.cid)
      if (before !== undefined) {
        if (!provisional && (await records.isProvisional(ref.cid))) operations.push(records.deleteProvisional(ref.cid))
        // The draft's bytes were verified just now: what is in quarantine here is made whole by them before they go.
        if ((await this.#components.blocks.quarantined()).length > 0) await draft.flush()
        if (operations.length > 0) await records.write(operations)
        await draft.abort()
        return before
      }
      const held: HeldBlob = { ...ref, ...size, heldSinceMs: clock.wallMs() }
      operations.push(records.putHeld(held))
      if (provisional) operations.push(records.putProvisional(ref.cid))
      await draft.commit(operations)
      announcer.announce(ref.cid.toString(), 'provide')
      return held
    })
  }

  /**
   * The same for many blobs of one block each: all of them in one write with `operations`, or nothing. The draft is empty,
   * and it is here that it gets the blocks: under the locks, since of those that are held already nothing may get into it.
   */
  async holdMany(draft: BlockDraft, contents: readonly Content[], operations: readonly WriteOperation[]): Promise<void> {
    const { records, announcer, clock, blocks } = this.#components
    const byKey = new Map(contents.map((content) => [keyOf(content.cid), content]))
    await this.#lock.runAll([...byKey.keys()], async () => {
      const dropping = await (this.#dropping ??= this.#readDropping())
      for (const [key, { cid }] of byKey) if (dropping.has(key)) await this.#finishDrop(cid)
      const all = [...operations]
      const fresh: Content[] = []
      const here: Content[] = []
      const before = await records.heldMany([...byKey.values()].map(({ cid }) => cid))
      for (const [i, content] of [...byKey.values()].entries()) (before[i] === undefined ? fresh : here).push(content)
      for (const { cid } of here) if (await records.isProvisional(cid)) all.push(records.deleteProvisional(cid))
      // As with one: what is in quarantine here is made whole by bytes that are known to be right.
      const damaged = here.length === 0 ? [] : await blocks.quarantined()
      for (const { cid, bytes } of here) if (damaged.some((one) => hashKeyOf(one) === hashKeyOf(cid))) await blocks.heal(cid, bytes)
      if (fresh.length === 0) {
        if (all.length > 0) await records.write(all)
        await draft.abort()
        return
      }
      await draft.putMany(fresh)
      const heldSinceMs = clock.wallMs()
      for (const { cid, bytes } of fresh) all.push(records.putHeld({ cid, kind: 'dag', bytes: bytes.length, blocks: 1, heldSinceMs }))
      await draft.commit(all)
      for (const { cid } of fresh) announcer.announce(cid.toString(), 'provide')
    })
  }

  /**
   * The blob, if it is held: for somebody else than an import under way, so that it stays whatever becomes of that one.
   */
  async keep(cid: CID): Promise<HeldBlob | undefined> {
    const { records } = this.#components
    const held = await records.held(cid)
    if (held === undefined || (!this.#lock.isBusy(keyOf(cid)) && !(await records.isProvisional(cid)))) return held
    return this.#lock.run(keyOf(cid), async () => {
      const now = await records.held(cid)
      if (now !== undefined && (await records.isProvisional(cid))) await records.write([records.deleteProvisional(cid)])
      return now
    })
  }

  /** For the write that ends an import well. */
  noLongerProvisional(cids: readonly CID[]): WriteOperation[] {
    return cids.map((cid) => this.#components.records.deleteProvisional(cid))
  }

  lean(cid: CID): void {
    const key = keyOf(cid)
    this.#leaning.set(key, (this.#leaning.get(key) ?? 0) + 1)
  }

  /** The end of an import: well, and the blob stays; or not, and it goes unless something else came to want it. */
  async unlean(cid: CID, well: boolean): Promise<void> {
    const key = keyOf(cid)
    const left = (this.#leaning.get(key) ?? 1) - 1
    if (left > 0) this.#leaning.set(key, left)
    else this.#leaning.delete(key)
    if (!well && left === 0) await this.#dropProvisional(cid)
    // A drop that came in while the last commit was under way has marked it after that: the next start would let it go.
    else if (well) await this.keep(cid)
  }

  /** It may go before the import ends, and is for that end to keep or to abandon. */
  stopLeaning(cid: CID): void {
    const key = keyOf(cid)
    const left = (this.#leaning.get(key) ?? 1) - 1
    if (left > 0) this.#leaning.set(key, left)
    else this.#leaning.delete(key)
  }

  /** The end of an import that did not lean on it: it goes, unless something else came to want it. */
  async abandon(cid: CID): Promise<void> {
    if (!this.#leaning.has(keyOf(cid))) await this.#dropProvisional(cid)
  }

  /** `read` is how nodes of the blob are read, should one be damaged here. */
  async drop(cid: CID, read: (cid: CID) => Promise<Uint8Array>, stillUnwanted?: () => Promise<boolean>): Promise<void> {
    const { records, announcer } = this.#components
    await this.#lock.run(keyOf(cid), async () => {
      await this.#finishDrop(cid)
      const held = await records.held(cid)
      if (held === undefined) return
      const isLeanedOn = this.#leaning.has(keyOf(cid))
      if (stillUnwanted !== undefined && !(await stillUnwanted())) return
      // An import that ended while the question was asked: its record came too late for the answer.
      if (isLeanedOn && !this.#leaning.has(keyOf(cid))) return
      if ((this.#leaning.get(keyOf(cid)) ?? 0) > 0) {
        await records.write([records.putProvisional(cid)])
        return
      }
      const names = await blocksOf(held, blobContentBytesMax(this.#profile), read)
      await this.#release({ ref: held, released: 0 }, names)
      announcer.announce(cid.toString(), 'unprovide')
    })
  }

  /** What a crash left half done: drops go on, blobs of imports that never ended go. */
  async recover(): Promise<void> {
    const { records } = this.#components
    for (const { ref } of await records.allDropping()) await this.#clearUp(ref.cid, async () => this.#lock.run(keyOf(ref.cid), () => this.#finishDrop(ref.cid)))
    for (const cid of await records.provisional()) {
      if (!this.#leaning.has(keyOf(cid))) await this.#clearUp(cid, async () => this.#dropProvisional(cid))
    }
  }

  /** One that cannot go (say, a node of it is damaged) keeps no other from going. */
  async #clearUp(cid: CID, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      if (codeOf(error) === 'CLOSED') throw error
      this.#components.log.warn('what the last run left behind could not be dropped', { cid: cid.toString(), reason: messageOf(error) })
    }
  }

  /** Asked again under the lock: whoever came to hold it meanwhile was told that it stays. */
  async #dropProvisional(cid: CID): Promise<void> {
    const { records, blocks } = this.#components
    if (await records.isProvisional(cid)) await this.drop(cid, (node) => blocks.get(node), () => records.isProvisional(cid))
  }

  async #isDropping(cid: CID): Promise<boolean> {
    this.#dropping ??= this.#readDropping()
    return (await this.#dropping).has(keyOf(cid))
  }

  async #finishDrop(cid: CID): Promise<void> {
    const { records, blocks } = this.#components
    if (!(await this.#isDropping(cid))) return
    const dropping = await records.dropping(cid)
    if (dropping === undefined) return
    await this.#release(dropping, await blocksOf(dropping.ref, blobContentBytesMax(this.#profile), (node) => blocks.get(node)))
  }

  async #readDropping(): Promise<Set<string>> {
    try {
      return new Set((await this.#components.records.allDropping()).map(({ ref }) => keyOf(ref.cid)))
    } catch (error) {
      // A read that failed once must not refuse every blob from now on.
      this.#dropping = undefined
      throw error
    }
  }

  /**
   * Leaves first, in parts, each with the note of how far it is; the nodes last and all at once, because they are what
   * the list of leaves is made from when this has to be taken up again.
   */
  async #release(dropping: Dropping, { leaves, nodes }: BlobBlocks): Promise<void> {
    const { records, blocks } = this.#components
    const { ref } = dropping
    const gone = [records.deleteHeld(ref.cid), records.deleteProvisional(ref.cid), records.deleteDropping(ref.cid)]
    let { released } = dropping
    while (leaves.length - released > releasedAtOnceMax) {
      const part = leaves.slice(released, released + releasedAtOnceMax)
      released += part.length
      ;(await this.#dropping)?.add(keyOf(ref.cid))
      await blocks.release(part, [records.deleteHeld(ref.cid), records.putDropping({ ref, released })])
    }
    await blocks.release([...leaves.slice(released), ...nodes], gone)
    ;(await this.#dropping)?.delete(keyOf(ref.cid))
  }
}
