import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import type { BlobRef, Imported } from '../blobs/index.js'
import type { KeyValue, WriteOperation } from '../base/index.js'
import { CommonError, messageOf, raceAbort, textOfNewCid, withDeadline } from '../base/index.js'
import type { FilesComponents } from './files-types.js'
import { readable } from './record.js'

/** A file up to here is one blob, named by its root; a larger one is several, and their list must be known to let go. */
const blobBytesMax = 2 ** 30
/** Roots looked at in one pass; the rest wait for the next. */
const rootsPerPass = 1000
/** How long content waits for the record that it was moved to: as long as deletions are remembered, and then nobody brings it. */
const movedMsMax = 180 * 24 * 3600_000
/** To find the blobs of a large file whose upper nodes are not here. */
const listDeadlineMs = 15_000
/** More than chance ever gets right. */
const checkDigits = 16
/** A list that could not be had is not looked for again at once, for each of the thousand blobs that may be in it. */
const listAgainMs = 30_000
/** All roots are read so often even if no large file changes: that is how damage to the index of them is found, and mended. */
const rootsAgainMs = 3600_000
/** Lists that are remembered as not to be had; the first that is met ends a look, so there are few. */
const unlistedMax = 256

/** One look for a list, for all who need it. */
interface Listing {
  readonly found: Promise<readonly BlobRef[]>
  readonly controller: AbortController
  /** Those who wait for it: with the last of them it ends. */
  waiting: number
}

export interface GarbageInit {
  readonly garbageDelayMs: number
  readonly garbageIntervalMs: number
}

interface Parts {
  /** The count of changes of large files when the list was begun. */
  readonly asOf: number
  /** When that was, elapsed time. */
  readonly atMs: number
  readonly blobs: ReadonlySet<string>
}

/**
 * Lets go of content that nobody catalogues any more, on this node.
 *
 * Only what is known to have been catalogued and to be so no longer is ever dropped: the catalog keeps a list of roots
 * that lost a record, in the same atomic write as the loss, and this works the list off, root by root, whatever crash
 * comes in between. (The road not taken: to sweep all held blobs for those without a record. It would drop what came
 * here before its record did.) Before a blob goes, everybody who may want it is asked: records with this root, large
 * files that it is a part of, pins by CID, and puts that are under way. If the parts of some large file cannot be found
 * out now, nothing is dropped that could be one.
 *
 *   table  key         value
 *   p/     binary CID  blobs of a root that is pinned here: JSON, [check, ["dag"|"spine", CID], …]
 *   m/     binary CID  blobs of a large root: the same
 *
 * `check`: 16 hex digits of the SHA-256 of the key and the JSON of the rest. LevelDB does not check what it reads, and one
 * wrong letter of a CID is another CID: then what is on the list would not be kept. A list that is damaged is made anew from
 * the upper nodes; until that can be done nothing goes. Rows of before there was a check begin with the first pair.
 */
export class Garbage {
  readonly #components: FilesComponents
  readonly #init: GarbageInit
  readonly #pinned: KeyValue
  readonly #large: KeyValue
  /** Blobs of imports that are under way, by how many. */
  readonly #held = new Map<string, number>()

  /** Changes of large files, so that a list of their parts can be told to be out of date. */
  #largeChanges = 0
  /** Parts of catalogued large files, and of those that are not let go of yet as well: as they were at the last look. */
  #catalogued: Parts | undefined
  #unsettled: Parts | undefined
  /** Large roots whose list is being looked for, for all who need it. */
  readonly #listing = new Map<string, Listing>()
  /** Those whose list could not be had, and when that was; elapsed time. */
  readonly #unlisted = new Map<string, { error: unknown; atMs: number }>()

  constructor(components: FilesComponents, init: GarbageInit) {
    this.#components = components
    components.catalog.on('change', ({ previous, current }) => {
      if (isLarge(previous?.content?.size) || isLarge(current.content?.size)) this.#largeChanges++
    })
    this.#init = init
    this.#pinned = components.meta.slice('p/')
    this.#large = components.meta.slice('m/')
  }

  /** Keeps the blobs of imports until their records are there: call what it returns then. */
  hold(...imported: readonly Imported[]): () => void {
    const cids: string[] = []
    for (const { cid: root, blobs } of imported) {
      cids.push(textOfNewCid(root))
      for (const { cid } of blobs) if (cid !== root) cids.push(cid.toString())
    }
    for (const cid of cids) this.#held.set(cid, (this.#held.get(cid) ?? 0) + 1)
    return () => {
      for (const cid of cids.splice(0)) {
        const count = (this.#held.get(cid) ?? 1) - 1
        if (count === 0) this.#held.delete(cid)
        else this.#held.set(cid, count)
      }
    }
  }

  /** What to write along with a large file, so that its blobs are known without its upper nodes. */
  remember(imported: Imported): WriteOperation[] {
    return imported.blobs.length < 2 ? [] : [this.#large.put(imported.cid.bytes, encodeBlobs(imported.cid, imported.blobs))]
  }

  /** Throws what `blobsOf` throws, if the root's upper nodes cannot be had. */
  async pin(root: CID, signal?: AbortSignal): Promise<void> {
    const blobs = await this.#components.blobs.blobsOf(root, signal === undefined ? {} : { signal })
    await this.#components.meta.write([this.#pinned.put(root.bytes, encodeBlobs(root, blobs))], { durable: true })
  }

  async unpin(root: CID): Promise<void> {
    await this.#components.meta.write([this.#pinned.del(root.bytes)], { durable: true })
  }

  async pins(): Promise<string[]> {
    const pins = []
    for await (const [key] of this.#pinned.entries()) {
      const root = readable(() => CID.decode(key).toString())
      if (root !== undefined) pins.push(root)
    }
    return pins
  }

  /** Whether a blob is a root pinned here, or a part of one. Throws what `blobsOf` throws where that cannot be told. */
  async isPinned(blob: string): Promise<boolean> {
    for await (const [key, value] of this.#pinned.entries()) {
      const root = readable(() => CID.decode(key))
      if (root?.toString() === blob) return true
      const blobs = decodeBlobs(key, value) ?? (root === undefined ? [] : await this.#pinAnew(root))
      if (blobs.includes(blob)) return true
    }
    return false
  }

  /** A list of a pin that is damaged is made anew. */
  async #pinAnew(root: CID): Promise<string[]> {
    const blobs = await this.#listed(root, new AbortController().signal)
    // What was let go of meanwhile stays let go of.
    if ((await this.#pinned.get(root.bytes)) !== undefined) await this.#components.meta.write([this.#pinned.put(root.bytes, encodeBlobs(root, blobs))], { durable: false })
    return blobs.map(({ cid }) => cid.toString())
  }

  /** Whether a pin, or an import that is under way, needs it. */
  async isNeeded(blob: string): Promise<boolean> {
    return this.#held.has(blob) || (await this.isPinned(blob))
  }

  /**
   * What another room must ask before it drops a blob for having no record: a pin, an import that is under way, or a large
   * file may need it; and what lost its last record is let go of here, in its own time (it may have been moved by somebody
   * who could not finish telling), and nowhere else.
   */
  async mayBeWanted(blob: string, signal: AbortSignal): Promise<boolean> {
    if ((await this.isNeeded(blob)) || (await this.#components.catalog.isUnreferenced(blob))) return true
    const parts = await this.#partsUnsettled(signal)
    return parts.blobs.has(blob) || parts.asOf !== this.#largeChanges
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#components
    const isOver = (): boolean => signal.aborted
    while (!isOver()) {
      try {
        await clock.sleep(this.#init.garbageIntervalMs, signal)
        const dropped = await this.collect(signal)
        if (dropped > 0) log.info('files: blobs dropped that no file needs any more', { dropped })
      } catch (error) {
        if (!isOver()) log.warn('files: looking for unneeded blobs failed, and will be tried again', { error: messageOf(error) })
      }
    }
  }

  /** One pass. Returns the blobs dropped. */
  async collect(signal: AbortSignal): Promise<number> {
    const { catalog, clock, log } = this.#components
    const now = clock.wallMs()
    const due: { cid: string; size: number }[] = []
    for await (const root of catalog.unreferenced()) {
      // A clock that was set back makes it wait once more, and no longer.
      if (Math.abs(now - root.sinceMs) < this.#init.garbageDelayMs) continue
      // Whoever moved it may have gone in the middle of telling, and this may be the only node that has it.
      if (root.moved !== undefined && Math.abs(now - root.sinceMs) < movedMsMax && !(await catalog.hasArrived(root.moved))) continue
      due.push(root)
      if (due.length >= rootsPerPass) break
    }
    let dropped = 0
    let parts: Parts | undefined
    for (const { cid, size } of due) {
      signal.throwIfAborted()
      try {
        if (!(await catalog.settle(cid, false))) continue
        if (parts?.asOf !== this.#largeChanges) parts = await this.#partsCatalogued(signal)
        for (const blob of await this.#blobsOf(CID.parse(cid), size, signal)) {
          if (await this.#dropUnwanted(blob, parts)) dropped++
        }
        if (this.#held.has(cid) || parts.asOf !== this.#largeChanges) continue
        if (await catalog.settle(cid, true)) await this.#components.meta.write([this.#large.del(CID.parse(cid).bytes)], { durable: false })
        if (isLarge(size)) this.#unsettled = undefined
      } catch (error) {
        signal.throwIfAborted()
        // One root that cannot be settled (say, its upper nodes are gone) keeps no other from being settled.
        log.debug('files: cannot tell yet whether blobs are needed', { cid, error: messageOf(error) })
      }
    }
    return dropped
  }

  async #dropUnwanted(blob: string, parts: Parts): Promise<boolean> {
    const { blobs, catalog } = this.#components
    const cid = CID.parse(blob)
    const stillUnwanted = async (): Promise<boolean> =>
      !this.#held.has(blob) &&
      !parts.blobs.has(blob) &&
      !(await this.isPinned(blob)) &&
      (await catalog.byCid(blob)).length === 0 &&
      // Last, so that a large file that came meanwhile, and that the list does not know, keeps all that is left.
      parts.asOf === this.#largeChanges
    if ((await blobs.held(cid)) === undefined || !(await stillUnwanted())) return false
    await blobs.drop(cid, { stillUnwanted })
    return (await blobs.held(cid)) === undefined
  }

  /** Blobs of all catalogued files that have more than one. All roots are looked at, but hardly ever unless a large one has changed. */
  async #partsCatalogued(signal: AbortSignal): Promise<Parts> {
    const atMs = this.#components.clock.monotonicMs()
    if (this.#catalogued?.asOf === this.#largeChanges && atMs - this.#catalogued.atMs < rootsAgainMs) return this.#catalogued
    const asOf = this.#largeChanges
    this.#catalogued = { asOf, atMs, blobs: await this.#partsOf(this.#components.catalog.roots(), signal) }
    return this.#catalogued
  }

  /** Those, and the blobs of large files that were removed and are not let go of yet. */
  async #partsUnsettled(signal: AbortSignal): Promise<Parts> {
    if (this.#unsettled?.asOf === this.#largeChanges) return this.#unsettled
    const catalogued = await this.#partsCatalogued(signal)
    const more = await this.#partsOf(this.#components.catalog.unreferenced(), signal)
    return (this.#unsettled = { ...catalogued, blobs: new Set([...catalogued.blobs, ...more]) })
  }

  async #partsOf(roots: AsyncIterable<{ cid: string; size: number }>, signal: AbortSignal): Promise<Set<string>> {
    const parts = new Set<string>()
    for await (const { cid, size } of roots) {
      signal.throwIfAborted()
      if (!isLarge(size)) continue
      for (const blob of await this.#blobsOf(CID.parse(cid), size, signal)) parts.add(blob)
    }
    return parts
  }

  async #blobsOf(root: CID, size: number, signal: AbortSignal): Promise<string[]> {
    if (size <= blobBytesMax) return [root.toString()]
    const known = await this.#large.get(root.bytes)
    const list = known === undefined ? undefined : decodeBlobs(root.bytes, known)
    if (list !== undefined) return list
    const blobs = await this.#listed(root, signal)
    await this.#components.meta.write([this.#large.put(root.bytes, encodeBlobs(root, blobs))], { durable: false })
    return blobs.map(({ cid }) => cid.toString())
  }

  /** From the upper nodes; whoever asks meanwhile gets the same answer, and may leave without ending it for the others. */
  async #listed(root: CID, signal: AbortSignal): Promise<readonly BlobRef[]> {
    const name = root.toString()
    const listing = this.#listing.get(name) ?? this.#beginListing(root)
    listing.waiting++
    try {
      return await raceAbort(listing.found, signal)
    } finally {
      if (--listing.waiting === 0) {
        // Whoever comes from now on begins anew.
        if (this.#listing.get(name) === listing) this.#listing.delete(name)
        listing.controller.abort(new CommonError('ABORTED', 'nobody waits for the list any more'))
      }
    }
  }

  #beginListing(root: CID): Listing {
    const name = root.toString()
    const failed = this.#unlisted.get(name)
    if (failed !== undefined && this.#components.clock.monotonicMs() - failed.atMs < listAgainMs) throw failed.error
    const controller = new AbortController()
    const listing = { found: this.#list(root, controller.signal), controller, waiting: 0 }
    this.#listing.set(name, listing)
    return listing
  }

  async #list(root: CID, signal: AbortSignal): Promise<readonly BlobRef[]> {
    const { blobs, clock } = this.#components
    const name = root.toString()
    this.#unlisted.delete(name)
    try {
      return await withDeadline(clock, listDeadlineMs, signal, async (inner) => blobs.blobsOf(root, { signal: inner }))
    } catch (error) {
      if (!signal.aborted) this.#unlisted.set(name, { error, atMs: clock.monotonicMs() })
      for (const oldest of this.#unlisted.keys()) {
        if (this.#unlisted.size <= unlistedMax) break
        this.#unlisted.delete(oldest)
      }
      throw error
    }
  }
}

function isLarge(size: number | undefined): boolean {
  return size !== undefined && size > blobBytesMax
}

function encodeBlobs(root: CID, blobs: readonly BlobRef[]): Uint8Array {
  const pairs = blobs.map(({ cid, kind }) => [kind, cid.toString()])
  return Buffer.from(JSON.stringify([checkOf(root.bytes, pairs), ...pairs]))
}

/** Undefined for a list that is damaged. */
function decodeBlobs(key: Uint8Array, value: Uint8Array): string[] | undefined {
  return readable(() => {
    const list = JSON.parse(Buffer.from(value).toString()) as unknown
    if (!Array.isArray(list)) throw new TypeError('not a list')
    const [check, ...pairs] = list as unknown[]
    const isChecked = typeof check === 'string'
    if (isChecked && check !== checkOf(key, pairs)) throw new TypeError('not what was written')
    return (isChecked ? pairs : (list as unknown[])).map((pair) => {
      const [kind, cid] = pair as [unknown, unknown]
      if ((kind !== 'dag' && kind !== 'spine') || typeof cid !== 'string') throw new TypeError('not a blob')
      return CID.parse(cid).toString()
    })
  })
}

function checkOf(key: Uint8Array, pairs: readonly unknown[]): string {
  return createHash('sha256').update(key).update(JSON.stringify(pairs)).digest('hex').slice(0, checkDigits)
}
