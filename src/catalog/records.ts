import type { Clock, Hlc, KeyValue, Log, NodeId, Signer, WriteOperation } from '../base/index.js'
import { codeOf, Emitter, formatDuration, HlcClock, hlcSkewMsMax, hlcToMs, invariant, messageOf } from '../base/index.js'
import { ClockAgreement } from './clock-agreement.js'
import { DigestTree, hashOfPath } from './digest-tree.js'
import { Editing } from './editing.js'
import { covers } from './lineage.js'
import type { PathChange, Version } from './merge.js'
import { join, supersedes, viewOf } from './merge.js'
import { normalizePath } from './path.js'
import { PathLocks } from './path-locks.js'
import { newestOf, redated } from './redating.js'
import { decodeRecord, signedParts } from './record.js'
import type { TableEntry } from './record-table.js'
import { modifiedMaxOf, RecordTable } from './record-table.js'
import { damagedRoot } from './root-index.js'
import { SeenVersions } from './seen-versions.js'
import { Verifier } from './signing.js'
import type { CatalogChange, CatalogStats, Edit, FileRecord, Moved, Prepared } from './types.js'
import { CatalogError } from './types.js'
import { visibleOf } from './visible.js'

/** Paths that are dated anew in one write. */
const redatedAtOnce = 500
const redatingsMax = 8
/** Paths of which the rows of the index by content are looked at in one go. */
const mendedAtOnce = 500
/** An index that could not be made anew is left alone for so long: all paths are read for it. */
const mendAgainMs = 10 * 60_000
/** Entries of the future that are looked into at the start; where there are more, it is the clock and no damage. */
const unclearMax = 1000

export interface RecordsComponents {
  readonly meta: KeyValue
  readonly signer: Signer
  readonly clock: Clock
  readonly log: Log
  readonly isMember: (writer: NodeId, writtenMs: number) => boolean
}

export interface RecordsInit {
  readonly tombstoneLifetimeMs: number
}

interface Locked {
  readonly release: () => void
  readonly leaves: Map<string, Version[]>
  readonly sources: Map<string, string>
}

/** What became of versions that came from elsewhere. */
export interface Ingested {
  /** Now stored. */
  readonly accepted: number
  /** Not wanted: too far in the future, too old, or of nobody we know. */
  readonly refused: number
  /** Of those not stored, whether one was broken: not decodable, or not signed by whom it says. */
  readonly broken: boolean
}

export interface RecordsEvents {
  change: CatalogChange
  /** Signed here, and on disk. */
  written: readonly Version[]
}

/**
 * Versions of paths on one node: reads them, makes new ones, takes in those of others. Every change goes the same way:
 * lock the paths, read their leaves, compute the new ones, write all tables in one batch, bring the digests up to date,
 * tell listeners, unlock.
 */
export class Records {
  readonly events = new Emitter<RecordsEvents>()
  readonly digests = new DigestTree()
  readonly table: RecordTable
  readonly received: CatalogStats['received'] = { accepted: 0, known: 0, malformed: 0, badSignature: 0, notMember: 0, future: 0, expired: 0 }
  readonly clocks: ClockAgreement
  readonly counts = { files: 0, tombstones: 0, conflicts: 0 }
  readonly #components: RecordsComponents
  readonly #init: RecordsInit
  readonly #locks = new PathLocks()
  readonly #refused: SeenVersions
  readonly #verifier = new Verifier()
  #hlc: HlcClock
  /** False: there is no row of a conflict copy, nor one on its way. The counts are made of rows that nobody checks. */
  #mayHaveCopies = true
  /** When the index by content could not be made anew, elapsed time. */
  #unmendableAtMs: number | undefined

  private constructor(components: RecordsComponents, init: RecordsInit) {
    this.#components = components
    this.#init = init
    this.table = new RecordTable(components.meta)
    this.#hlc = new HlcClock(components.clock)
    this.#refused = new SeenVersions(components.clock)
    this.clocks = new ClockAgreement(components.clock)
  }

  /**
   * One scan over the smallest table fills the digests and the counts, and finds the highest timestamp there is: our own
   * clock never goes below it, though the machine's may have been set back.
   */
  static async open(components: RecordsComponents, init: RecordsInit): Promise<Records> {
    const records = new Records(components, init)
    let last: Hlc = 0n
    const count = (pathHash: Uint8Array, entry: TableEntry): void => {
      for (const hash of entry.hashes) records.digests.toggle(pathHash, hash)
      if (entry.live) records.counts.files++
      else records.counts.tombstones++
      records.counts.conflicts += entry.copies
      if (entry.modifiedMax > last) last = entry.modifiedMax
    }
    const unclear: Uint8Array[] = []
    for await (const [pathHash, entry] of records.table.entries(new Uint8Array(0), undefined, (key) => unclear.push(key))) {
      // A time to come is rare, and one wrong bit of it would keep this node from writing: the leaves know whether it is so.
      if (entry.modifiedMax > records.#latest() && unclear.length < unclearMax) unclear.push(Uint8Array.from(pathHash))
      else count(pathHash, entry)
    }
    if (unclear.length > 0) for (const [pathHash, entry] of await records.table.mend(unclear)) count(pathHash, entry)
    records.#mayHaveCopies = await records.table.hasCopies()
    records.#hlc = new HlcClock(components.clock, last)
    if (records.isAhead()) {
      const aheadMs = hlcToMs(last) - components.clock.wallMs()
      components.log.warn('catalog: the clock was ahead when files were written here, or is behind now; other nodes do not take changes made here until one of them shows the same time as this one', { aheadMs })
    }
    return records
  }

  /** False: nothing is to be seen at any path but its winner. */
  get mayHaveCopies(): boolean {
    return this.#mayHaveCopies
  }

  async prepare(edits: readonly Edit[]): Promise<Prepared> {
    const normalized = edits.map(inNormalForm)
    this.checkClock()
    const { release, leaves, sources } = await this.#lockDated(normalized.map((edit) => edit.path))
    try {
      const editing = new Editing(leaves, sources, this.#components.signer, () => this.#hlc.now())
      const records = normalized.map((edit) => editing.apply(edit))
      const changes = editing.changes()
      const stored = new Set<Version>()
      for (const { after } of changes) for (const version of after) stored.add(version)
      const written = editing.signed.filter((version) => stored.has(version))
      return {
        records,
        operations: this.#operations(changes),
        published: once(() => {
          this.#settle(changes, true)
          release()
          this.events.emit('written', written)
        }),
        abandon: release,
      }
    } catch (error) {
      release()
      throw error
    }
  }

  async apply(edits: readonly Edit[]): Promise<FileRecord[]> {
    const prepared = await this.prepare(edits)
    try {
      await this.#components.meta.write(prepared.operations, { durable: true })
      prepared.published()
      return [...prepared.records]
    } finally {
      prepared.abandon()
    }
  }

  /**
   * Takes in versions as others sent them. Not durable by itself: whoever sent them has them still, and a crash that
   * takes them away takes them out of the digests too. Never rejects for what is in them.
   */
  async ingest(encoded: readonly Uint8Array[]): Promise<Ingested> {
    const { candidates, refused, malformed } = await this.#sift(encoded)
    const verified = await Promise.all(candidates.map(async (version) => this.#isSigned(version)))
    const byPath = new Map<string, Version[]>()
    let forged = 0
    for (const [i, version] of candidates.entries()) {
      const group = byPath.get(version.record.path)
      if (verified[i] !== true) forged++
      else if (group === undefined) byPath.set(version.record.path, [version])
      else group.push(version)
    }
    this.received.badSignature += forged
    const accepted = byPath.size === 0 ? 0 : await this.#mergeIn(byPath)
    return { accepted, refused, broken: malformed + forged > 0 }
  }

  /** There are versions here that others take for the future's. */
  isAhead(): boolean {
    return this.#hlc.last > this.#latest()
  }

  /**
   * Dates what is from the future anew; to be called when this machine's clock is known to be right. What is edited
   * meanwhile is dated anew before. Returns how many paths changed.
   */
  async redate(signal: AbortSignal): Promise<number> {
    for (let changed = 0, round = 0; ; round++) {
      let last: Hlc = 0n
      const [live, dead]: [string[], string[]] = [[], []]
      for await (const [, entry] of this.table.entries(new Uint8Array(0))) {
        signal.throwIfAborted()
        if (entry.modifiedMax > this.#latest()) (entry.live ? live : dead).push(entry.path)
        else if (entry.modifiedMax > last) last = entry.modifiedMax
      }
      if (this.isAhead()) this.#hlc = new HlcClock(this.#components.clock, last)
      // Deletions say where a file has moved to: those places first.
      const paths = [...live, ...dead]
      // Again for what was on its way to the disk; but not for ever.
      if (paths.length === 0 || round === redatingsMax) return changed
      for (let at = 0; at < paths.length; at += redatedAtOnce) {
        signal.throwIfAborted()
        await this.#redate(paths.slice(at, at + redatedAtOnce))
      }
      changed += paths.length
    }
  }

  /** Removes leaves without a trace: what a purge does, and a node that comes back after very long. */
  async forget(path: string, isToGo: (version: Version, leaves: readonly Version[]) => boolean): Promise<number> {
    const release = await this.#locks.acquire([path])
    try {
      const before = (await this.table.leaves([path]))[0] ?? []
      const after = before.filter((version) => !isToGo(version, before))
      if (after.length === before.length) return 0
      const changes = [{ path, pathHash: hashOfPath(path), before, after }]
      await this.#components.meta.write(this.#operations(changes), { durable: false })
      this.#settle(changes, false)
      return before.length - after.length
    } finally {
      release()
    }
  }

  /** Whether a path holds tombstones only, and all of them are past their lifetime. */
  isExpired(entry: TableEntry): boolean {
    return !entry.live && entry.copies === 0 && this.#isPastLifetime(entry.modifiedMax)
  }

  /**
   * All content that a record has. Where the index by content is damaged it is made anew from the leaves, and then a root may
   * come twice. Throws BAD_RECORD where that cannot be done, since there are leaves that cannot be read either: what these
   * have, nobody knows.
   */
  async *roots(): AsyncGenerator<{ cid: string; size: number }> {
    let damaged = 0
    const count = (): void => {
      damaged++
    }
    for await (const root of this.table.roots.roots(count)) yield root
    if (damaged === 0) return
    await this.#mendRoots()
    yield* this.table.roots.roots(() => {
      throw damagedRoot()
    })
  }

  /** So that a change can tell whether a file is the `only` one with its content. */
  async learnRoots(signal: AbortSignal): Promise<void> {
    try {
      await this.table.roots.read(signal)
    } catch (error) {
      // Whoever needs to know asks the disk, as until now.
      if (!signal.aborted) this.#components.log.debug('catalog: the index by content could not be read as a whole', { error: messageOf(error) })
    }
  }

  /** First what is missing, then away with what belongs to nothing: a crash in between loses no row. */
  async #mendRoots(): Promise<void> {
    const { clock, log, meta } = this.#components
    const nowMs = clock.monotonicMs()
    if (this.#unmendableAtMs !== undefined && nowMs - this.#unmendableAtMs < mendAgainMs) throw damagedRoot()
    const { roots } = this.table
    const counts = { written: 0, removed: 0, unreadable: 0 }
    const mend = async (paths: readonly string[]): Promise<void> => {
      const release = await this.#locks.acquire(paths)
      try {
        const operations: WriteOperation[] = []
        for (const [i, leaves] of (await this.table.wholeLeaves(paths)).entries()) {
          if (leaves === undefined) counts.unreadable++
          else operations.push(...(await roots.missing(paths[i] ?? '', leaves)))
        }
        if (operations.length > 0) await meta.write(operations, { durable: true })
        counts.written += operations.length
      } finally {
        release()
      }
    }
    let paths: string[] = []
    for await (const path of this.table.paths()) {
      if (paths.push(path) < mendedAtOnce) continue
      await mend(paths)
      paths = []
    }
    await mend(paths)
    const damaged = await roots.damaged()
    if (damaged.length > 0 && counts.unreadable > 0) {
      this.#unmendableAtMs = nowMs
      log.warn('catalog: rows of the index by content are damaged, and records as well: no content is let go of until these are written anew', { damaged: damaged.length, unreadable: counts.unreadable })
      throw damagedRoot()
    }
    const about = damaged.map((key) => roots.pathOf(key)).filter((path) => path !== undefined)
    const sources = (await this.table.copies(about)).flatMap((version) => version?.record.path ?? [])
    const release = await this.#locks.acquire([...about, ...sources])
    try {
      const operations = await roots.without(damaged)
      await meta.write(operations, { durable: true })
      counts.removed = operations.length
    } finally {
      release()
    }
    log.warn('catalog: the index by content was damaged, and is made anew', counts)
  }

  async settleUnreferenced(cid: string, dropped: boolean): Promise<boolean> {
    const release = await this.#locks.acquire((await this.table.byCid(cid)).flatMap((record) => [record.path, record.conflictOf ?? record.path]))
    try {
      // Under the locks of all that have it, nobody can lose it unseen between this look and the write.
      const wanted = (await this.table.byCid(cid)).length > 0
      if (wanted || dropped) await this.#components.meta.write([this.table.forgetUnreferenced(cid)], { durable: false })
      return !wanted
    } finally {
      release()
    }
  }

  /** Follows it from path to path: each move is later than the one before, so this ends. */
  async hasArrived(moved: Moved): Promise<boolean> {
    for (let next: Moved | undefined = moved; next !== undefined; ) {
      const at: Moved = next
      const [leaves = []] = await this.table.leaves([at.path])
      if (!leaves.some(({ record }) => covers(record.lineage, at))) return false
      next = leaves.map(({ record }) => record.moved).find((further) => further !== undefined && further.modified > at.modified)
    }
    return true
  }

  /** Hashes of versions in a bucket that were refused a short while ago: not worth fetching again yet. */
  refusedRecently(prefix: Uint8Array): readonly Uint8Array[] {
    return this.#refused.of(prefix)
  }

  /** The highest timestamp that others would take now. */
  #latest(): Hlc {
    return BigInt(Math.floor(this.#components.clock.wallMs()) + hlcSkewMsMax) << 16n
  }

  /** Throws CLOCK_AHEAD. */
  checkClock(): void {
    const ahead = this.clocks.aheadOf()
    if (ahead === undefined) return
    const { aheadMs, nodes, of } = ahead
    throw new CatalogError('CLOCK_AHEAD', `this machine's clock is ${formatDuration(aheadMs)} ahead of ${String(nodes)} of ${String(of)} other nodes, which would not take a change made here now: set it right, and try again in a minute or two`, { aheadMs, nodes, of })
  }

  /** As `#lock`, after what is later than our clock has come to be was dated anew. */
  async #lockDated(paths: readonly string[]): Promise<Locked> {
    for (;;) {
      const locked = await this.#lock(paths)
      const late: string[] = []
      for (const [path, leaves] of locked.leaves) if (modifiedMaxOf(leaves) > this.#hlc.last) late.push(path)
      if (late.length === 0) return locked
      locked.release()
      await this.#redate(late)
    }
  }

  async #redate(paths: readonly string[]): Promise<void> {
    const release = await this.#locks.acquire(paths)
    try {
      const stored = await this.table.leaves(paths)
      const changes: PathChange[] = []
      const written: Version[] = []
      const latest = this.#latest()
      for (const [i, path] of paths.entries()) {
        const before = stored[i] ?? []
        for (const { record } of before) if (record.modified <= latest) this.#hlc.observe(record.modified)
        if (modifiedMaxOf(before) <= latest) continue
        const targets = before.flatMap(({ record }) => (record.moved === undefined ? [] : [record.moved.path]))
        const found = new Map((await this.table.leaves(targets)).map((leaves, at) => [targets[at] ?? '', leaves]))
        const dated = redated(before, {
          signer: this.#components.signer,
          latest,
          now: () => this.#hlc.now(),
          movedTo: ({ path: target }) => newestOf(this.#components.signer.nodeId, found.get(target) ?? [], latest),
        })
        changes.push({ path, pathHash: hashOfPath(path), before, after: dated.after })
        written.push(...dated.written)
      }
      if (changes.length === 0) return
      await this.#components.meta.write(this.#operations(changes), { durable: true })
      this.#settle(changes, true)
      this.events.emit('written', written)
    } finally {
      release()
    }
  }

  /** What is neither broken, nor refused, nor here already. */
  async #sift(encoded: readonly Uint8Array[]): Promise<{ candidates: Version[]; refused: number; malformed: number }> {
    const now = this.#components.clock.wallMs()
    const decoded: Version[] = []
    for (const bytes of encoded) {
      try {
        decoded.push(decodeRecord(bytes))
      } catch (error) {
        if (codeOf(error) !== 'BAD_RECORD') throw error
      }
    }
    const malformed = encoded.length - decoded.length
    this.received.malformed += malformed
    let refused = 0
    const stored = await this.table.leaves(decoded.map(({ record }) => record.path))
    const candidates = decoded.filter((version, i) => {
      const { record } = version
      const writtenMs = hlcToMs(record.modified)
      const leaves = stored[i] ?? []
      if (isKnown(version, leaves)) {
        this.received.known++
        return false
      }
      if (writtenMs > now + hlcSkewMsMax) this.received.future++
      else if (!this.#components.isMember(record.writer, writtenMs)) this.received.notMember++
      else if (record.content === undefined && leaves.length === 0 && this.#isPastLifetime(record.modified)) this.received.expired++
      else return true
      const tooSoonMs = writtenMs - hlcSkewMsMax - now
      this.#refused.add(hashOfPath(record.path), version.hash, tooSoonMs > 0 ? tooSoonMs : undefined)
      refused++
      return false
    })
    return { candidates, refused, malformed }
  }

  async #isSigned(version: Version): Promise<boolean> {
    return this.#verifier.isSigned(version.record.writer, signedParts(version.bytes))
  }

  async #mergeIn(byPath: ReadonlyMap<string, Version[]>): Promise<number> {
    const paths = [...byPath.keys()]
    const release = await this.#locks.acquire(paths)
    try {
      const stored = await this.table.leaves(paths)
      const changes: PathChange[] = []
      let accepted = 0
      for (const [i, path] of paths.entries()) {
        const before = stored[i] ?? []
        const incoming = (byPath.get(path) ?? []).filter((version) => !isKnown(version, before))
        const after = join(before, incoming)
        const fresh = incoming.filter((version) => after.includes(version)).length
        if (fresh === 0) continue
        accepted += fresh
        for (const { record } of incoming) invariant(this.#hlc.observe(record.modified), 'versions from the future are sifted out')
        changes.push({ path, pathHash: hashOfPath(path), before, after })
      }
      if (changes.length > 0) await this.#components.meta.write(this.#operations(changes), { durable: false })
      this.#settle(changes, false)
      this.received.accepted += accepted
      return accepted
    } finally {
      release()
    }
  }

  /**
   * Locks paths, and for those at which a conflict copy is seen the path that it comes from too: an edit of the copy
   * changes that. Which those are is only sure under the lock.
   */
  async #lock(paths: readonly string[]): Promise<Locked> {
    const all = new Set(paths)
    for (;;) {
      const release = await this.#locks.acquire(all)
      try {
        const sources = new Map<string, string>()
        // Every put asks: where there are no conflict copies at all, nothing is read.
        const copies = this.#mayHaveCopies ? await this.table.copies(paths) : []
        for (const [i, version] of copies.entries()) {
          if (version !== undefined) sources.set(paths[i] ?? '', version.record.path)
        }
        const missing = [...sources.values()].filter((path) => !all.has(path))
        if (missing.length === 0) {
          const locked = [...all]
          const stored = await this.table.leaves(locked)
          return { release, sources, leaves: new Map(locked.map((path, i) => [path, stored[i] ?? []])) }
        }
        for (const path of missing) all.add(path)
      } catch (error) {
        release()
        throw error
      }
      release()
    }
  }

  #operations(changes: readonly PathChange[]): WriteOperation[] {
    this.#mayHaveCopies ||= changes.some(({ after }) => after.length > 1)
    const now = this.#components.clock.wallMs()
    return changes.flatMap((change) => this.table.replace(change, now))
  }

  /** Once it is on disk. */
  #settle(changes: readonly PathChange[], local: boolean): void {
    for (const { path, pathHash, before, after } of changes) {
      for (const { hash } of before) this.digests.toggle(pathHash, hash)
      for (const { hash } of after) this.digests.toggle(pathHash, hash)
      this.#count(before, -1)
      this.#count(after, 1)
      this.#announce(path, before, after, local)
    }
  }

  #count(leaves: readonly Version[], by: 1 | -1): void {
    if (leaves.length === 0) return
    const { winner, copies } = viewOf(leaves)
    if (winner?.record.content === undefined) this.counts.tombstones += by
    else this.counts.files += by
    this.counts.conflicts += by * copies.length
  }

  #announce(path: string, before: readonly Version[], after: readonly Version[], local: boolean): void {
    const old = new Map<string, FileRecord>()
    for (const { record } of visibleOf(path, before)) old.set(record.path, record)
    for (const { record } of visibleOf(path, after)) {
      const previous = old.get(record.path)
      old.delete(record.path)
      if (previous?.modified === record.modified && previous.writer === record.writer) continue
      const only = record.content !== undefined && record.conflictOf === undefined && this.table.roots.isOnly(record.content.cid)
      this.events.emit('change', { path: record.path, previous, current: record, local, only })
    }
    if (old.size === 0) return
    const winner = after[0]?.record
    for (const previous of old.values()) {
      const current = winner?.content === undefined && winner?.path === previous.path ? winner : { ...previous, content: undefined }
      this.events.emit('change', { path: previous.path, previous, current, local, only: false })
    }
  }

  #isPastLifetime(modified: Hlc): boolean {
    return hlcToMs(modified) < this.#components.clock.wallMs() - this.#init.tombstoneLifetimeMs
  }
}

function inNormalForm(edit: Edit): Edit {
  const path = normalizePath(edit.path)
  return path === edit.path ? edit : { ...edit, path }
}

/** Here already, or superseded by what is. */
function isKnown(version: Version, leaves: readonly Version[]): boolean {
  return leaves.some((leaf) => Buffer.compare(leaf.hash, version.hash) === 0 || supersedes(leaf.record, version.record))
}

function once(run: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    run()
  }
}
