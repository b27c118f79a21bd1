import { CID } from 'multiformats/cid'
import { codeOf, CommonError, withDeadline } from '../base/index.js'
import type { Clock, NodeId } from '../base/index.js'
import { BlobError } from '../blobs/index.js'
import type { BlobService } from '../blobs/index.js'
import { CatalogError, normalizeFolder } from '../catalog/index.js'
import type { Catalog, FileEntry, Files, FolderItem, Put, PutOptions as CatalogPutOptions } from '../catalog/index.js'
import type {
  FileInfo, FolderEntry, ListEntry, Priority, PutFolderResult, PutOptions, PutResult, VerifyResult,
} from '../client/index.js'
import type { NodeFiles, OpenContent, Signalled } from '../gateways/http/index.js'
import type { ReplicaCount, Replication } from '../replication/index.js'
import type { Activity } from './activity.js'
import type { FolderNames } from './folder-names.js'
import type { Intake } from './intake.js'

export interface NodeFilesComponents {
  self: NodeId
  files: Files
  catalog: Catalog
  blobs: BlobService
  replication: Replication
  intake: Intake
  /** Told while somebody puts or reads. */
  activity: Activity
  folders: FolderNames
  clock: Clock
  /** Members that are up now, this node included: more copies than that there cannot be. */
  nodesUp: () => number
  /** The token of a lease of this node, asked again and again; throws STALE_TOKEN when the node cannot vouch for it. */
  writerUnder: (leaseId: string, options: Signalled) => Promise<() => bigint>
}

/** How long `put --wait` waits for other nodes. */
const waitMsMax = 60_000
/** A question in passing (`stat`): a file that is not here may have to be asked for its parts. */
const lookupMs = 1_500
/** Reads that brought new blobs here are told together: what they mean is read from the disk. */
const tellMs = 1_000
/** A smaller file is one blob; most larger ones are, too, but one look at their root tells. */
const singleBytesMax = 8 * 2 ** 20
/** dag-pb: what UnixFS folders are. A raw CID names bytes. */
const folderCode = 0x70
/** A beginning of a CID that is shorter than this names too many. All of ours begin alike (`bafybei`, `bafkrei`). */
const prefixMin = 10

/** What the API does with files, as calls of the catalog and of blobs. */
export class ApiFiles implements NodeFiles {
  readonly #components: NodeFilesComponents
  #telling = false

  constructor(components: NodeFilesComponents) {
    this.#components = components
  }

  async put(path: string, content: AsyncIterable<Uint8Array>, options: PutOptions & Signalled & { size?: number | undefined }): Promise<PutResult> {
    const { activity, clock, files, intake, self } = this.#components
    const startedMs = clock.monotonicMs()
    const { size, replicas, signal } = options
    const put = await activity.during(async () =>
      intake.store(
        content,
        { size, priority: options.priority ?? 'normal', replicas, signal },
        async (bytes, spread) => files.put(path, bytes, { ...(await this.#putOptions(options)), spread }),
        ({ cid }) => cid,
      ))
    const holders = options.wait === true ? await this.#waitForCopies(put.path ?? path, put.replicas, options.signal) : [self]
    return {
      cid: put.cid,
      size: put.size,
      path: put.path ?? path,
      priority: put.priority,
      blobs: put.blobs.length,
      replicas: { wanted: put.replicas, have: holders.length, holders },
      elapsedMs: clock.monotonicMs() - startedMs,
    }
  }

  async putFolder(path: string, entries: AsyncIterable<FolderEntry>, options: PutOptions & Signalled): Promise<PutFolderResult> {
    const { activity, catalog, clock, files, folders, self, intake } = this.#components
    const startedMs = clock.monotonicMs()
    const base = normalizeFolder(path)
    const wasThere = base === '/' || (await catalog.isFolder(base))
    const done: PutFolderResult['entries'] = []
    const failed: NonNullable<PutFolderResult['failed']> = []
    let last: Put | undefined
    let size = 0
    let blobs = 0
    const room = async (bytes: number): ReturnType<Intake['room']> => intake.room(bytes, options.signal)
    for await (const item of activity.while(files.putFolder(path, itemsOf(entries, intake, options), { ...(await this.#putOptions(options)), room }))) {
      if (item.put === undefined) {
        failed.push({ path: `${path === '/' ? '' : path}/${item.relativePath}`, ...item.error })
        continue
      }
      last = item.put
      size += item.put.size
      blobs += item.put.blobs.length
      done.push({ path: item.put.path ?? item.relativePath, cid: item.put.cid, size: item.put.size })
    }
    const [first] = failed
    if (last === undefined && first !== undefined) throw new CatalogError(first.code as 'BAD_PATH', first.message, { path: first.path })
    const wanted = last?.replicas ?? 0
    let holders = [self]
    if (options.wait === true) {
      // Every file, one after the other: they are copied side by side all the same. Told is the least of them.
      let fewest: NodeId[] | undefined
      for (const file of done) {
        const here = await this.#waitForCopies(file.path, wanted, options.signal)
        if (fewest === undefined || here.length < fewest.length) fewest = here
      }
      holders = fewest ?? holders
    }
    // All that is in a new folder has just gone through our hands.
    const cid = wasThere
      ? (await folders.summary(base, options.signal)).cid
      : await folders.nameOf(base, done.map((file) => ({ path: file.path.slice(base.length + 1), cid: CID.parse(file.cid), size: file.size })), options.signal)
    return {
      cid: cid?.toString() ?? null,
      size,
      path,
      priority: last?.priority ?? options.priority ?? 'normal',
      blobs,
      replicas: { wanted, have: holders.length, holders },
      elapsedMs: clock.monotonicMs() - startedMs,
      files: done.length,
      entries: done,
      failed,
    }
  }

  async open(target: string, options: Signalled): Promise<OpenContent> {
    const { activity, blobs, files, self } = this.#components
    const { cid, record } = await files.resolve(await this.#reference(target))
    const folder = record === undefined ? await this.#folderOf(cid, options.signal) : undefined
    if (folder !== undefined) throw new CatalogError('IS_FOLDER', `that is the folder ${folder}: say where it should go with -o FOLDER`, { cid: cid.toString(), path: folder })
    const size = record?.content?.size ?? (await this.#fileSize(cid, options.signal))
    const holders = [...new Set([record?.owner, record?.writer])].filter((peer): peer is NodeId => peer !== undefined && peer !== self)
    return {
      size,
      cid: cid.toString(),
      read: (range, signal, { isLent = false } = {}) => activity.while(
        this.#told({ cid, size, isWhole: range === undefined }, blobs.read(cid, { signal, holders, isLent, ...(range === undefined ? {} : { offset: range.from, length: range.to - range.from + 1 }) }), signal)),
    }
  }

  async readMany(paths: readonly string[], options: Signalled): Promise<readonly (Uint8Array | undefined)[]> {
    const { activity, blobs, catalog, replication, self } = this.#components
    const records = await Promise.all(paths.map(async (path) => catalog.get(path).catch(() => undefined)))
    const holders = new Set<NodeId>()
    const cids = new Map<number, CID>()
    for (const [i, record] of records.entries()) {
      if (record?.content === undefined || record.content.size > smallBytesMax) continue
      cids.set(i, CID.parse(record.content.cid))
      // Files that lie side by side have their copies in the same places, mostly: for the others there is `open`.
      for (const peer of [record.owner, record.writer, ...(holders.size === 0 ? replication.copiesAtHand(record.content.cid) : [])]) if (peer !== self) holders.add(peer)
      replication.used(record.content.cid)
    }
    const { contents, brought } = await activity.during(async () => blobs.readMany([...cids.values()], { holders: [...holders], ...signalled(options) }))
    if (brought > 0) this.#tellSoon()
    const found = new Map([...cids.keys()].map((i, at) => [i, contents[at]]))
    return paths.map((_, i) => found.get(i))
  }

  async stat(target: string, options: Signalled): Promise<FileInfo> {
    const { blobs, catalog, files } = this.#components
    const reference = await this.#reference(target)
    if (!reference.startsWith('/') && (await catalog.byCid(reference)).length === 0) {
      const folder = await this.#folderOf(CID.parse(reference), options.signal)
      return folder === undefined ? this.#statOfContent(reference, options) : this.#statOfFolder(folder, options.signal)
    }
    const entry = await files.stat(reference)
    if (entry.type === 'dir') return this.#statOfFolder(entry.path, options.signal)
    const { have, holders } = await this.#copiesOf(entry.path, entry.cid, options.signal)
    const cid = CID.parse(entry.cid)
    // The list of a large file's blobs needs its upper nodes; asked only where they are at hand.
    const parts = (await blobs.held(cid)) === undefined ? undefined : await blobs.blobsOf(cid, { ...signalled(options) })
    return {
      path: entry.path,
      type: 'file',
      cid: entry.cid,
      size: entry.size,
      priority: entry.priority,
      blobs: parts?.length ?? Math.max(1, Math.ceil(entry.size / 2 ** 30)),
      replicas: { wanted: entry.replicas, have, holders },
      owner: entry.owner,
      pinned: entry.pinned,
      modified: entry.modifiedMs,
      token: entry.token.toString(),
    }
  }

  async *list(path: string, options: { recursive: boolean }): AsyncIterable<ListEntry> {
    for await (const entry of this.#components.files.ls(path, options)) yield await this.#listed(entry)
  }

  async *pins(): AsyncIterable<ListEntry> {
    const { files } = this.#components
    for await (const entry of files.ls('/', { recursive: true })) if (entry.type === 'file' && entry.pinned) yield await this.#listed(entry)
    for (const cid of await files.pins()) {
      yield { path: cid, type: 'file', cid, size: 0, priority: null, replicas: { wanted: 1, have: 1 }, modified: null, pinned: true }
    }
  }

  async remove(path: string, options: { recursive: boolean }): Promise<{ removed: number }> {
    return this.#components.files.rm(path, options)
  }

  /** A target that ends in a slash is a folder to move into. */
  async move(from: string, to: string): Promise<{ moved: number }> {
    const target = to.endsWith('/') && to !== from ? to + from.slice(from.replace(/\/+$/, '').lastIndexOf('/') + 1) : to
    return this.#components.files.mv(from.replace(/(?<=.)\/+$/, ''), target.replace(/(?<=.)\/+$/, ''))
  }

  async update(target: string, change: { priority?: Priority; replicas?: number; pinned?: boolean }): Promise<{ changed: number }> {
    const { files } = this.#components
    let changed = 0
    if (change.priority !== undefined) ({ changed } = await files.setPriority(target, change.priority))
    if (change.replicas !== undefined) ({ changed } = await files.setReplicas(target, change.replicas))
    if (change.pinned !== undefined) {
      await files.pin(target, change.pinned)
      changed = Math.max(changed, 1)
    }
    return { changed }
  }

  async pinContent(target: string, pinned: boolean, options: Signalled): Promise<{ changed: number }> {
    const { files, replication } = this.#components
    const reference = await this.#reference(target)
    if (reference.startsWith('/')) return this.update(reference, { pinned })
    const wasPinned = await files.isPinned(reference)
    // First of all, so that nothing of it goes while the rest is fetched.
    await files.pin(reference, pinned, signalled(options))
    if (!pinned) return { changed: Number(wasPinned) }
    try {
      await this.#bring(CID.parse(reference), options.signal)
    } catch (error) {
      if (!wasPinned) await files.pin(reference, false)
      throw error
    }
    replication.heldChanged()
    return { changed: Number(!wasPinned) }
  }

  /** All blobs of it here, after room was made for them. */
  async #bring(cid: CID, signal: AbortSignal | undefined): Promise<void> {
    const { blobs, replication } = this.#components
    const missing = []
    for (const ref of await blobs.blobsOf(cid, signalled({ signal }))) if ((await blobs.held(ref.cid)) === undefined) missing.push(ref)
    if (missing.length === 0) return
    const { size } = await blobs.describe(cid, signalled({ signal }))
    const room = await replication.reserve(size, signal)
    try {
      for (const ref of missing) await blobs.fetch(ref, signalled({ signal }))
    } finally {
      await room.release()
    }
  }

  async exportCar(target: string, options: Signalled): Promise<AsyncIterable<Uint8Array>> {
    const { blobs, folders } = this.#components
    const { cid, folder } = await this.#resolve(target, options.signal)
    return folder === undefined ? blobs.exportCar(cid, signalled(options)) : blobs.exportFolderCar(folders.files(folder), signalled(options))
  }

  async *verify(target: string | undefined, options: Signalled): AsyncIterable<VerifyResult> {
    const { folders } = this.#components
    if (target === undefined) {
      yield* this.#verified(undefined, options)
      return
    }
    const { cid, folder } = await this.#resolve(target, options.signal)
    if (folder === undefined) yield* this.#verified(cid, options)
    else for await (const file of folders.files(folder)) yield* this.#verified(file.cid, options)
  }

  async *#verified(root: CID | undefined, options: Signalled): AsyncIterable<VerifyResult> {
    for await (const { cid, ok, healed, error } of this.#components.blobs.verify(root, signalled(options))) {
      yield { cid: cid.toString(), ok, healed, ...(error === undefined ? {} : { error }) }
    }
  }

  /** `folder`: the path of the folder that has this CID, or that was named. Throws NOT_FOUND. */
  async #resolve(target: string, signal: AbortSignal | undefined): Promise<{ cid: CID; folder: string | undefined }> {
    const { catalog, files, folders } = this.#components
    const reference = await this.#reference(target)
    if (reference.startsWith('/')) {
      const entry = await files.stat(reference)
      if (entry.type === 'file') return { cid: CID.parse(entry.cid), folder: undefined }
      const { cid } = await folders.summary(entry.path, signal)
      if (cid === null) throw new CatalogError('IS_FILE', `in ${entry.path} there are files where folders are, too: move them away first`, { path: entry.path })
      return { cid, folder: entry.path }
    }
    const cid = CID.parse(reference)
    return { cid, folder: (await catalog.byCid(reference)).length > 0 ? undefined : await this.#folderOf(cid, signal) }
  }

  /** The folder with this CID, unless it is content that is here. */
  async #folderOf(cid: CID, signal: AbortSignal | undefined): Promise<string | undefined> {
    const { blobs, folders } = this.#components
    if (cid.code !== folderCode || (await blobs.held(cid)) !== undefined) return undefined
    return folders.find(cid, signal)
  }

  /** A path, a CID, or the unique beginning of the CID of a catalogued file. */
  async #reference(target: string): Promise<string> {
    if (target.startsWith('/')) return target
    try {
      return CID.parse(target).toString()
    } catch (error) {
      const found = new Set<string>()
      if (new RegExp(`^[a-z2-7]{${String(prefixMin)},}$`).test(target)) {
        for await (const { cid } of this.#components.catalog.roots()) if (cid.startsWith(target)) found.add(cid)
      }
      const [only] = found
      if (only !== undefined && found.size === 1) return only
      if (found.size > 1) throw new BlobError('BAD_CID', `${target} could be any of ${String(found.size)} CIDs`, { cid: target, found: [...found].slice(0, 8) })
      throw new BlobError('BAD_CID', `"${target.slice(0, 100)}" is no CID; a path begins with a slash`, { cid: target.slice(0, 100) }, { cause: error })
    }
  }

  async #fileSize(cid: CID, signal: AbortSignal | undefined): Promise<number> {
    const { type, size } = await this.#components.blobs.describe(cid, signalled({ signal }))
    if (type === 'folder') throw new CatalogError('IS_FOLDER', `${cid.toString()} is a folder of another tool; get its files one by one`, { cid: cid.toString() })
    return size
  }

  async #statOfContent(cid: string, options: Signalled): Promise<FileInfo> {
    const { blobs } = this.#components
    const root = CID.parse(cid)
    const { type, size } = await blobs.describe(root, signalled(options))
    const { have, holders } = await this.#copiesOf(cid, cid, options.signal)
    return {
      path: null, type: type === 'file' ? 'file' : 'dir', cid, size, priority: null, blobs: (await blobs.blobsOf(root, signalled(options))).length,
      replicas: { wanted: 0, have, holders }, owner: null, pinned: await this.#components.files.isPinned(cid), modified: null, token: '0',
    }
  }

  async #statOfFolder(path: string, signal: AbortSignal | undefined): Promise<FileInfo> {
    const { cid, files, size, modifiedMs, priority, replicas, pinned } = await this.#components.folders.summary(path, signal)
    return {
      path, type: 'dir', cid: cid?.toString() ?? null, size, priority, blobs: 0, replicas: { wanted: replicas ?? 0, have: 0, holders: [] }, owner: null, pinned,
      modified: modifiedMs, token: '0', files,
    }
  }

  async #listed(entry: FileEntry): Promise<ListEntry> {
    if (entry.type === 'dir') {
      return { path: entry.path, type: 'dir', cid: null, size: 0, priority: null, replicas: { wanted: 0, have: 0 }, modified: null, pinned: false }
    }
    const have = this.#components.replication.copiesAtHand(entry.cid).length
    return {
      path: entry.path, type: 'file', cid: entry.cid, size: entry.size, priority: entry.priority,
      replicas: { wanted: entry.replicas, have }, modified: entry.modifiedMs, pinned: entry.pinned,
    }
  }

  async #putOptions(options: PutOptions & Signalled): Promise<CatalogPutOptions> {
    const said = filePutOptions(options)
    return options.lease === undefined ? said : { ...said, token: await this.#components.writerUnder(options.lease, signalled(options)) }
  }

  /** Until as many nodes have it as were asked for, or as there are. Throws DEADLINE: it is safe here all the same. */
  async #waitForCopies(path: string, wanted: number, signal: AbortSignal | undefined): Promise<NodeId[]> {
    const { clock, nodesUp, replication } = this.#components
    const target = (): number => Math.min(wanted, nodesUp())
    const enough = new AbortController()
    let last: ReplicaCount | undefined
    try {
      await withDeadline(clock, waitMsMax, signal, async (inner) =>
        replication.wait(path, AbortSignal.any([inner, enough.signal]), (count) => {
          last = count
          if (count.have >= target()) enough.abort(new CommonError('ABORTED', 'as many as there are nodes'))
        }))
    } catch (error) {
      if (!enough.signal.aborted) {
        if (codeOf(error) !== 'DEADLINE' || signal?.aborted === true) throw error
        throw new CommonError('DEADLINE', `it is stored here, but only ${String(last?.have ?? 1)} of ${String(target())} nodes have it yet`, { path, have: last?.have ?? 1, wanted: target() })
      }
    }
    return last?.holders ?? []
  }

  /** Exact where that can be found out quickly, else by what is known of the root. */
  async #copiesOf(target: string, root: string, signal: AbortSignal | undefined): Promise<{ have: number; holders: NodeId[] }> {
    const { clock, replication } = this.#components
    try {
      return await withDeadline(clock, lookupMs, signal, async () => replication.replicasOf(target))
    } catch (error) {
      signal?.throwIfAborted()
      if (codeOf(error) === undefined) throw error
      const holders = replication.copiesAtHand(root)
      return { have: holders.length, holders }
    }
  }

  /** A whole read of what was not here leaves it here: a copy that others should know of. */
  async *#told({ cid, size, isWhole }: { cid: CID; size: number; isWhole: boolean }, chunks: AsyncIterable<Uint8Array>, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
    const { blobs, replication } = this.#components
    const wasHeld = (await blobs.held(cid)) !== undefined
    if (wasHeld) replication.used(cid.toString())
    if (wasHeld || !isWhole) {
      yield* chunks
      return
    }
    // Asked now, while its upper nodes are at hand: should only parts of it find room here, nothing else tells what they are.
    const parts = size > singleBytesMax ? blobs.blobsOf(cid, signalled({ signal })).catch(() => []) : undefined
    try {
      yield* chunks
    } finally {
      // Also where it broke off: what came until then is here.
      const found = parts === undefined ? [] : await parts
      if (found.length > 1) replication.heldChanged({ root: cid.toString(), blobs: found.map((ref) => ref.cid.toString()) })
      else this.#tellSoon()
    }
  }

  #tellSoon(): void {
    if (this.#telling) return
    this.#telling = true
    this.#components.clock.setTimer(tellMs, () => {
      this.#telling = false
      this.#components.replication.heldChanged()
    })
  }
}

/** A file at most this large passes in one piece, in archives and of them, so that the next can be read while it is stored. */
const smallBytesMax = 1 << 18

async function* itemsOf(entries: AsyncIterable<FolderEntry>, intake: Intake, { priority = 'normal', replicas, signal }: PutOptions & Signalled): AsyncIterable<FolderItem> {
  for await (const entry of entries) {
    const relativePath = entry.path.replace(/^\.\//, '')
    if (entry.size > smallBytesMax) {
      const { content, skipRest, leave } = skippable(entry.content)
      const store: FolderItem['store'] = async (put) => {
        try {
          return await intake.store(content, { size: entry.size, priority, replicas, signal }, async (bytes, spread) => put(bytes, { spread }), ({ cid }) => cid)
        } finally {
          // Whoever waits for the next entry waits for the end of this one.
          if (signal?.aborted === true) leave()
          else await skipRest()
        }
      }
      yield { relativePath, content, store }
      continue
    }
    const bytes = entry.bytes ?? (await whole(entry.content))
    yield {
      relativePath,
      bytes,
      // Hardly ever asked for: most small files are put from their bytes, with others.
      get content() {
        return intake.through(chunksOf([bytes]), signal, bytes.length)
      },
    }
  }
}

async function whole(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const part of chunks) parts.push(part)
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

/** An entry of an archive that somebody stops reading ends the archive: `skipRest` reads what is left of it instead. */
function skippable(content: AsyncIterable<Uint8Array>): { content: AsyncIterable<Uint8Array>; skipRest: () => Promise<void>; leave: () => void } {
  const iterator = content[Symbol.asyncIterator]()
  return {
    content: { [Symbol.asyncIterator]: () => ({ next: async () => iterator.next() }) },
    skipRest: async () => {
      while ((await iterator.next()).done !== true);
    },
    leave: () => {
      Promise.resolve(iterator.return?.()).catch(() => undefined)
    },
  }
}

async function* chunksOf(parts: readonly Uint8Array[]): AsyncIterable<Uint8Array> {
  yield* parts
}

function filePutOptions(options: PutOptions & Signalled): { priority?: Priority; replicas?: number; pinned?: boolean; signal?: AbortSignal } {
  return {
    ...(options.priority === undefined ? {} : { priority: options.priority }),
    ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
    ...(options.pin === true ? { pinned: true } : {}),
    ...signalled(options),
  }
}

function signalled(options: Signalled): { signal?: AbortSignal } {
  return options.signal === undefined ? {} : { signal: options.signal }
}
