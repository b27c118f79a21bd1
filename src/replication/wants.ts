/**
 * Which files want a blob that is held here, and so how many copies of it there are to be.
 *
 * A blob is wanted by the files whose root it is, and by those that it is a part of. The catalog knows the first; the
 * second is learned from the spine where that is held, and from whoever asked for the blob to be stored, and kept on
 * disk: `<blob> <root>` → nothing. A file that has been removed leaves its rows behind until the blob goes.
 */
import { codeOf } from '../base/index.js'
import type { KeyValue, NodeId } from '../base/index.js'
import type { FileRecord } from '../catalog/index.js'
import type { Priority } from '../storage-policy/index.js'
import { priorities } from '../storage-policy/index.js'
import { parseCid } from './messages.js'
import type { ReplicationComponents } from './types.js'
import type { Vouchers } from './vouchers.js'

export interface Want {
  readonly wanted: number
  readonly priority: Priority
  /** Of the most important file. */
  readonly owner: NodeId
  readonly pinned: boolean
  /** Whether any of the files is this node's. */
  readonly own: boolean
  /** No record names it yet: this member says that one will. */
  readonly vouchedBy?: NodeId | undefined
}

/** Parts are remembered with this many roots at most: content that is in more files is wanted enough… */
const rootsMax = 16
/** …and that it is in more is remembered as a row of its own: no root has this name. */
const more = '*'
/** Twice as many files as a fast node puts until it has looked at the first of them; less than a megabyte. */
const toldMax = 8192
/** Some milliseconds of work. */
const learnedAtOnce = 512

export class Wants {
  readonly #catalog: ReplicationComponents['catalog']
  readonly #meta: KeyValue
  readonly #self: NodeId
  readonly #vouchers: Vouchers
  readonly #rootsOf = new Map<string, Set<string>>()
  readonly #partsOf = new Map<string, Set<string>>()
  /** In more files than are remembered: when all of those are gone, one may still want it. */
  readonly #crowded = new Set<string>()
  readonly #isHeld: (cid: string) => boolean
  /** Answers of the catalog about blobs that are held here, until it changes. */
  readonly #known = new Map<string, Want | undefined>()
  /** The same, said by the catalog together with a change, of blobs that are about to be held here, or perhaps never will be. */
  readonly #told = new Map<string, Want>()
  /** Questions under way whose answer is to be remembered: of each blob the last one, until something of it changes. */
  readonly #asking = new Map<string, object>()
  #generation = 0

  constructor(components: Pick<ReplicationComponents, 'catalog' | 'meta'> & { vouchers: Vouchers }, init: { self: NodeId; isHeld: (cid: string) => boolean }) {
    this.#catalog = components.catalog
    this.#meta = components.meta
    this.#vouchers = components.vouchers
    this.#self = init.self
    this.#isHeld = init.isHeld
  }

  /** Grows with all that may change what is answered. */
  get version(): number {
    return this.#generation
  }

  async load(): Promise<void> {
    for await (const [key] of this.#meta.entries()) {
      const [part, root] = new TextDecoder().decode(key).split(' ')
      // A row that is damaged names nothing: the catalog would be asked for it, and refuse.
      if (part === undefined || root === undefined || parseCid(part) === undefined) continue
      if (root === more) this.#crowded.add(part)
      else if (parseCid(root) !== undefined) this.#link(part, root)
    }
  }

  /** Undefined when no file does. Of a blob that is held here the answer is remembered until the catalog changes. */
  async of(cid: string): Promise<Want | undefined> {
    if (this.#known.has(cid)) return this.#known.get(cid)
    const told = this.#told.get(cid)
    if (told !== undefined) {
      if (this.#isHeld(cid)) {
        this.#told.delete(cid)
        this.#known.set(cid, told)
      }
      return told
    }
    const mine = {}
    this.#asking.set(cid, mine)
    try {
      const want = await this.ask(cid)
      // An answer from before a change is given, but not remembered. Nor is one about what was dropped meanwhile: nothing
      // that happens to its files would reach it any more, and it would be believed when the blob comes back.
      if (this.#asking.get(cid) === mine && this.#isHeld(cid)) this.#known.set(cid, want)
      return want
    } finally {
      if (this.#asking.get(cid) === mine) this.#asking.delete(cid)
    }
  }

  /** Of many that are held here, so that `of` need not ask about each by itself: after a start that is all there is. */
  async learn(cids: Iterable<string>): Promise<void> {
    let some: string[] = []
    for (const cid of cids) {
      if (this.#known.has(cid) || this.#told.has(cid) || this.#rootsOf.has(cid)) continue
      if (some.push(cid) < learnedAtOnce) continue
      await this.#learn(some)
      some = []
    }
    if (some.length > 1) await this.#learn(some)
  }

  /** Asks anew, and remembers nothing: for blobs that are not held here, of which there is no end. `root`: said to have it. */
  async ask(cid: string, root?: string): Promise<Want | undefined> {
    const roots = new Set([cid, ...(root === undefined ? [] : [root]), ...(this.#rootsOf.get(cid) ?? [])])
    try {
      const records = (await Promise.all([...roots].map((one) => this.#catalog.byCid(one)))).flat()
      return this.#sum(records) ?? this.#vouched(cid)
    } catch (error) {
      // A file has it, and its record on this disk is damaged: it stays until somebody brings the record again.
      if (codeOf(error) !== 'BAD_RECORD') throw error
      return { wanted: 1, priority: 'normal', owner: this.#self, pinned: true, own: false }
    }
  }

  /** Answered without asking anybody: what `of` said last. */
  last(cid: string): Want | undefined {
    return this.#known.get(cid)
  }

  async addParts(root: string, parts: readonly string[]): Promise<void> {
    const fresh: string[] = []
    const crowded: string[] = []
    for (const part of parts) {
      if (part === root) continue
      if (this.#link(part, root)) fresh.push(part)
      else if (this.#rootsOf.get(part)?.has(root) !== true && !this.#crowded.has(part)) crowded.push(part)
    }
    if (fresh.length + crowded.length === 0) return
    this.#generation++
    for (const part of fresh) this.#doubt(part)
    for (const part of crowded) this.#crowded.add(part)
    const rows = [...fresh.map((part) => keyOf(part, root)), ...crowded.map((part) => keyOf(part, more))]
    await this.#meta.write(rows.map((row) => this.#meta.put(row, new Uint8Array(0))), { durable: false })
  }

  /** Not all files that it is a part of are known: that none of these is left does not mean that nobody wants it. */
  isCrowded(part: string): boolean {
    return this.#crowded.has(part)
  }

  rootsOf(cid: string): readonly string[] {
    return [...(this.#rootsOf.get(cid) ?? [])]
  }

  /** Blobs known to be parts of a root, besides the root itself. */
  partsOf(root: string): readonly string[] {
    return [...(this.#partsOf.get(root) ?? [])]
  }

  /**
   * The catalog's records of `root` changed: these blobs are to be looked at again. `only`: the one record that has it,
   * where the catalog knows that there is no other; then the disk need not be asked.
   */
  changed(root: string, only?: FileRecord): string[] {
    this.#generation++
    const touched = [root, ...(this.#partsOf.get(root) ?? [])]
    for (const cid of touched) this.#doubt(cid)
    if (only !== undefined && !this.#rootsOf.has(root)) this.#tell(root, only)
    return touched
  }

  /** The blob is no longer here. */
  async forget(cid: string): Promise<void> {
    // What is being asked about it now, is asked of a blob that is gone.
    this.#generation++
    this.#doubt(cid)
    const roots = this.#rootsOf.get(cid)
    const wasCrowded = this.#crowded.delete(cid)
    if (roots === undefined) return
    this.#rootsOf.delete(cid)
    for (const root of roots) {
      const parts = this.#partsOf.get(root)
      parts?.delete(cid)
      if (parts?.size === 0) this.#partsOf.delete(root)
    }
    const rows = wasCrowded ? [...roots, more] : [...roots]
    await this.#meta.write(rows.map((root) => this.#meta.del(keyOf(cid, root))), { durable: false })
  }

  /** What is known of it, and what is being asked, may not be so any more. */
  #doubt(cid: string): void {
    this.#known.delete(cid)
    this.#told.delete(cid)
    this.#asking.delete(cid)
  }

  async #learn(cids: readonly string[]): Promise<void> {
    const mine = {}
    for (const cid of cids) this.#asking.set(cid, mine)
    try {
      for (const [cid, records] of await this.#catalog.byCids(cids)) {
        const want = this.#sum(records)
        if (want !== undefined && this.#asking.get(cid) === mine && this.#isHeld(cid)) this.#known.set(cid, want)
      }
    } finally {
      for (const cid of cids) if (this.#asking.get(cid) === mine) this.#asking.delete(cid)
    }
  }

  #tell(root: string, only: FileRecord): void {
    const want = this.#sum([only])
    if (want === undefined) return
    if (this.#told.size >= toldMax) this.#told.clear()
    this.#told.set(root, want)
  }

  #vouched(cid: string): Want | undefined {
    const voucher = this.#vouchers.of(cid, this.#self)
    if (voucher === undefined) return undefined
    const { wanted, priority, by } = voucher
    return { wanted, priority, owner: by, pinned: false, own: by === this.#self, vouchedBy: by }
  }

  #sum(records: readonly FileRecord[]): Want | undefined {
    let want: Want | undefined
    for (const record of records) {
      if (record.content === undefined) continue
      const { priority, replicas, pinned } = record.content
      const more = want === undefined || priorities[priority].value > priorities[want.priority].value
      want = {
        wanted: Math.max(1, replicas, want?.wanted ?? 0),
        priority: more ? priority : (want?.priority ?? priority),
        owner: more ? record.owner : (want?.owner ?? record.owner),
        pinned: pinned || want?.pinned === true,
        own: record.owner === this.#self || want?.own === true,
      }
    }
    return want
  }

  #link(part: string, root: string): boolean {
    let roots = this.#rootsOf.get(part)
    if (roots === undefined) this.#rootsOf.set(part, (roots = new Set()))
    if (roots.has(root) || roots.size >= rootsMax) return false
    roots.add(root)
    let parts = this.#partsOf.get(root)
    if (parts === undefined) this.#partsOf.set(root, (parts = new Set()))
    parts.add(part)
    return true
  }
}

function keyOf(part: string, root: string): Uint8Array {
  return new TextEncoder().encode(`${part} ${root}`)
}
