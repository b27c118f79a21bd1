import { CID } from 'multiformats/cid'
import type { Imported } from '../blobs/index.js'
import { BoundedQueue, codeOf, hlcToMs, invariant, messageOf, textOfNewCid } from '../base/index.js'
import type {
  FileEntry,
  Files,
  FilesComponents,
  FilesInit,
  FolderItem,
  FolderItemPut,
  Put,
  PutFolderOptions,
  PutOptions,
  Resolved,
} from './files-types.js'
import { Garbage } from './garbage.js'
import { forEachGathered } from './gathering.js'
import { foldersAbove, normalizeFolder, normalizePath, parentOf } from './path.js'
import { parseCid, readable } from './record.js'
import type { Edit, FileContent, FileRecord, Prepared, Priority } from './types.js'
import { CatalogError } from './types.js'

const tableReplicas: Record<Priority, number> = { critical: 5, high: 3, normal: 2, low: 1, expendable: 1 }

const defaults = {
  defaultReplicas: (priority: Priority): number => tableReplicas[priority],
  // Long enough for an undo that races the removal through gossip; with the interval, and the ten seconds or so that
  // replication takes, space is back within the minute that people watch for.
  garbageDelayMs: 20_000,
  garbageIntervalMs: 10_000,
  // A durable write is shared by all that wait for it: the more files are under way, the fewer syncs a file costs.
  folderConcurrency: 128,
}

/** Edits in one batch: 20,000 operations or so, a few MB. */
const editsPerBatch = 1000
/** Small files in one write: enough to share all that a write costs, and some 5 ms in which nothing else happens. */
const groupFilesMax = 128
const groupBytesMax = 1 << 20
/** While two wait for the disk, another is made: with one of them fewer, nothing was made for a fifth of the time. */
const groupsAtOnce = 3
/** A move is two edits, and is worth a larger batch: people expect all of it or nothing. */
const movesPerBatch = 5000
/** Files below a folder that change while it is moved. */
const movesRetriesMax = 5

export function createFiles(components: FilesComponents, init: FilesInit = {}): Files {
  const { defaultReplicas: given } = init
  const defaultReplicas = typeof given === 'function' ? given : (priority: Priority): number => given?.[priority] ?? tableReplicas[priority]
  return new MeshFiles(components, { ...defaults, ...init, defaultReplicas })
}

/** What is known when many files are put into one folder, so that it is not looked up again for each. */
interface Checked {
  /** Folders that are no files. */
  readonly folders: Set<string>
  /** There was nothing in the folder before, nor has anybody else put anything there since: its folders are in `folders`. */
  isNew: boolean
  /** Paths that are being put. */
  readonly own: Set<string>
}

/** A small file of a group, and what is said of it but for the name of its content. */
interface SmallFile {
  readonly item: FolderItem
  readonly bytes: Uint8Array
  readonly path: string
  readonly content: Partial<FileContent>
}

class MeshFiles implements Files {
  readonly #components: FilesComponents
  readonly #init: typeof defaults
  readonly #garbage: Garbage

  constructor(components: FilesComponents, init: typeof defaults) {
    this.#components = components
    this.#init = init
    this.#garbage = new Garbage(components, init)
  }

  async put(path: string | undefined, content: AsyncIterable<Uint8Array>, options: PutOptions = {}): Promise<Put> {
    return this.#put(path, content, options, { folders: new Set(), isNew: false, own: new Set() })
  }

  async *putFolder(folder: string, items: AsyncIterable<FolderItem>, options: PutFolderOptions = {}): AsyncGenerator<FolderItemPut> {
    const base = normalizeFolder(folder)
    const done = new BoundedQueue<FolderItemPut>(this.#init.folderConcurrency)
    const leaving = new AbortController()
    const signal = options.signal === undefined ? leaving.signal : AbortSignal.any([options.signal, leaving.signal])
    const checked: Checked = { folders: new Set(), isNew: base !== '/', own: new Set() }
    const inBase = `${base}/`
    const unlisten = this.#components.catalog.on('change', ({ path }) => {
      if (path.startsWith(inBase) && !checked.own.has(path)) checked.isNew = false
    })
    const one = async ({ relativePath, content, store }: FolderItem): Promise<void> => {
      // What comes with a way of its own to be stored is waited for by its archive: that way has to be gone, if only to fail.
      if (store === undefined) signal.throwIfAborted()
      const putOne = async (bytes: AsyncIterable<Uint8Array>, more: Pick<PutOptions, 'spread'> = {}): Promise<Put> =>
        this.#put(below(base, relativePath), bytes, { ...options, ...more, signal }, checked)
      try {
        const put = await (store === undefined ? putOne(content) : store(putOne))
        await done.push({ relativePath, put }, signal)
      } catch (error) {
        // A cancelled folder ends; a file that cannot be read or named does not end the others.
        signal.throwIfAborted()
        await done.push({ relativePath, error: toldOf(error) }, signal)
      }
    }
    const many = async (group: readonly FolderItem[]): Promise<void> => {
      signal.throwIfAborted()
      const outcomes = group.length === 1 ? new Map<FolderItem, FolderItemPut>() : await this.#putMany(base, group, { ...options, signal }, checked)
      for (const outcome of outcomes.values()) await done.push(outcome, signal)
      for (const item of group) if (!outcomes.has(item)) await one(item)
    }
    const all = async (): Promise<void> => {
      if (checked.isNew && (await this.#components.catalog.isFolder(base))) checked.isNew = false
      const { folderConcurrency } = this.#init
      const gathering = { itemsMax: groupFilesMax, bytesMax: groupBytesMax, groupsAtOnce, worksAtOnce: folderConcurrency, bytesOf: ({ bytes }: FolderItem) => bytes?.length }
      await forEachGathered(items, gathering, { one, many })
    }
    const working = all().then(
      () => done.end(),
      (error: unknown) => done.fail(error),
    )
    try {
      yield* done
    } finally {
      leaving.abort(new CatalogError('NOT_FOUND', 'nobody listens any more'))
      await working
      unlisten()
    }
  }

  async resolve(ref: string): Promise<Resolved> {
    if (!ref.startsWith('/')) {
      const cid = parseCid(ref)
      const [record] = await this.#components.catalog.byCid(cid.toString())
      return { cid, record }
    }
    const record = await this.#file(normalizePath(ref))
    return { cid: CID.parse(record.content?.cid ?? ''), record }
  }

  async *ls(folder: string, options: { recursive?: boolean } = {}): AsyncGenerator<FileEntry> {
    const { catalog } = this.#components
    const path = normalizeFolder(folder)
    let found = path === '/'
    const file = path === '/' ? undefined : await catalog.get(path)
    if (file !== undefined) {
      found = true
      yield entryOf(file)
    }
    if (options.recursive === true) {
      for await (const record of catalog.list(path)) {
        found = true
        yield entryOf(record)
      }
    } else {
      for await (const child of catalog.children(path)) {
        found = true
        yield 'folder' in child ? { type: 'dir', path: child.folder } : entryOf(child.record)
      }
    }
    if (!found) throw notFound(path)
  }

  async stat(ref: string): Promise<FileEntry> {
    const { catalog } = this.#components
    if (ref.startsWith('/')) {
      const path = normalizeFolder(ref)
      const record = path === '/' ? undefined : await catalog.get(path)
      if (record !== undefined) return entryOf(record)
      if (await catalog.isFolder(path)) return { type: 'dir', path }
      throw notFound(path)
    }
    const { record, cid } = await this.resolve(ref)
    if (record === undefined) throw new CatalogError('NOT_FOUND', `no file in the catalog has the root ${cid.toString()}`, { cid: cid.toString() })
    return entryOf(record)
  }

  async rm(path: string, options: { recursive?: boolean; token?: bigint; signal?: AbortSignal } = {}): Promise<{ removed: number }> {
    const { catalog } = this.#components
    const folder = normalizeFolder(path)
    // A variable that is not set is how people come to say so, and all that they and their friends have would be gone.
    if (folder === '/') throw new CatalogError('BAD_PATH', 'that is all that everybody has in the mesh: name a file or a folder in it', { path: '/' })
    const record = await catalog.get(folder)
    const isFolder = await catalog.isFolder(folder)
    if (record === undefined && !isFolder) throw notFound(folder)
    if (isFolder && options.recursive !== true && record === undefined) {
      throw new CatalogError('IS_FOLDER', `${folder} is a folder: remove it with all that is in it by --recursive (-r)`, { path: folder })
    }
    const token = options.token === undefined ? {} : { token: options.token }
    let removed = 0
    if (record !== undefined) removed += await this.#applyPresent([{ path: folder, content: 'deleted', ...token }])
    if (options.recursive !== true) return { removed }
    for (;;) {
      options.signal?.throwIfAborted()
      const edits: Edit[] = []
      for await (const one of catalog.list(folder)) {
        edits.push({ path: one.path, content: 'deleted', ...token })
        if (edits.length >= editsPerBatch) break
      }
      if (edits.length === 0) return { removed }
      removed += await this.#applyPresent(edits)
    }
  }

  async mv(from: string, to: string, options: { overwrite?: boolean; signal?: AbortSignal } = {}): Promise<{ moved: number }> {
    const { catalog } = this.#components
    const source = normalizePath(from)
    const target = normalizePath(to)
    let moved = 0
    for (let attempt = 0; ; attempt++) {
      options.signal?.throwIfAborted()
      const file = await catalog.get(source)
      const isFolder = await catalog.isFolder(source)
      if (file === undefined && !isFolder) {
        if (moved > 0) return { moved }
        throw notFound(source)
      }
      if (source === target) return { moved }
      if (isFolder && target.startsWith(`${source}/`)) {
        throw new CatalogError('BAD_PATH', `${source} cannot be moved into itself`, { path: target })
      }
      await this.#checkFoldersAbove(target, new Set(), source)
      if (file !== undefined && !isFolder && (await catalog.isFolder(target))) {
        throw new CatalogError('IS_FOLDER', `${target} is a folder`, { path: target })
      }
      const records = file === undefined ? [] : [file]
      let more = false
      if (isFolder) {
        for await (const record of catalog.list(source)) {
          more = records.length >= movesPerBatch
          if (more) break
          records.push(record)
        }
      }
      // Files before conflict copies: moving a copy away writes to the file that it is a copy of.
      records.sort((a, b) => Number(a.conflictOf !== undefined) - Number(b.conflictOf !== undefined))
      const edits = records.flatMap((record) => moveEdits(record, normalizePath(target + record.path.slice(source.length)), options.overwrite === true))
      try {
        await catalog.apply(edits)
      } catch (error) {
        // Somebody wrote to one of them since we looked: look again.
        const code = codeOf(error)
        if ((code !== 'CHANGED' && code !== 'NOT_FOUND') || attempt >= movesRetriesMax) throw error
        continue
      }
      moved += edits.length / 2
      if (!more) return { moved }
      attempt = 0
    }
  }

  async setPriority(path: string, priority: Priority): Promise<{ changed: number }> {
    const { defaultReplicas } = this.#init
    return this.#change(path, (content) => ({
      priority,
      // What a priority stands for may depend on the room there was, so the published number counts too.
      ...([defaultReplicas(content.priority), tableReplicas[content.priority]].includes(content.replicas) ? { replicas: defaultReplicas(priority) } : {}),
    }))
  }

  async setReplicas(path: string, replicas: number): Promise<{ changed: number }> {
    return this.#change(path, () => ({ replicas }))
  }

  async pin(ref: string, pinned: boolean, options: { signal?: AbortSignal } = {}): Promise<void> {
    if (ref.startsWith('/')) await this.#change(ref, () => ({ pinned }))
    else if (pinned) await this.#garbage.pin(parseCid(ref), options.signal)
    else await this.#garbage.unpin(parseCid(ref))
  }

  async pins(): Promise<string[]> {
    return this.#garbage.pins()
  }

  async isPinned(blob: string): Promise<boolean> {
    return this.#garbage.isPinned(parseCid(blob).toString())
  }

  async isNeeded(blob: string): Promise<boolean> {
    return this.#garbage.isNeeded(parseCid(blob).toString())
  }

  async mayBeWanted(blob: string, signal: AbortSignal): Promise<boolean> {
    return this.#garbage.mayBeWanted(parseCid(blob).toString(), signal)
  }

  async run(signal: AbortSignal): Promise<void> {
    await this.#garbage.run(signal)
  }

  async collectGarbage(signal: AbortSignal): Promise<number> {
    return this.#garbage.collect(signal)
  }

  async #put(path: string | undefined, content: AsyncIterable<Uint8Array>, options: PutOptions, checked: Checked): Promise<Put> {
    const { catalog, blobs, clock } = this.#components
    const startedMs = clock.monotonicMs()
    const { token: given } = options
    const token = typeof given === 'function' ? given : (): bigint | undefined => given
    token()
    if (path !== undefined) catalog.checkClock()
    const target = path === undefined ? undefined : normalizePath(path)
    if (target !== undefined) checked.own.add(target)
    const current = target === undefined ? undefined : await this.#checkPlace(target, options, checked)
    const priority = options.priority ?? current?.content?.priority ?? 'normal'
    const isSaid = options.priority !== undefined || current === undefined
    const replicas = options.replicas ?? (isSaid ? this.#init.defaultReplicas(priority) : undefined)
    const under: { prepared: Prepared | undefined } = { prepared: undefined }
    let letGo: () => void = () => undefined
    const operations = async (imported: Imported): Promise<Prepared['operations']> => {
      under.prepared?.abandon()
      letGo()
      letGo = this.#garbage.hold(imported)
      const known = this.#garbage.remember(imported)
      if (target === undefined) return known
      const more = { priority: options.priority, replicas: options.spread?.()?.replicas ?? replicas, pinned: options.pinned }
      const edit: Edit = { path: target, content: { cid: imported.cid.toString(), size: imported.size, ...present(more) } }
      under.prepared = await catalog.prepare({ ...edit, ...present({ token: token(), ifAbsent: options.ifAbsent }) })
      return [...known, ...under.prepared.operations]
    }
    try {
      const imported = await blobs.import(content, { operations, ...present({ signal: options.signal, onProgress: options.onProgress, spread: options.spread }) })
      if (target !== undefined) invariant(under.prepared, 'an import asks for the operations that go with it')
      under.prepared?.published()
      const lapse = lapseOf(token)
      if (lapse !== undefined) throw writtenUnder(lapse, target)
      const record = under.prepared?.records[0]
      if (target === undefined && options.pinned === true) await this.#garbage.pin(imported.cid, options.signal)
      return {
        cid: imported.cid.toString(),
        size: imported.size,
        path: target,
        priority: record?.content?.priority ?? priority,
        replicas: record?.content?.replicas ?? replicas ?? this.#init.defaultReplicas(priority),
        blobs: imported.blobs,
        record,
        elapsedMs: clock.monotonicMs() - startedMs,
      }
    } finally {
      under.prepared?.abandon()
      letGo()
      if (target !== undefined) checked.own.delete(target)
    }
  }

  /**
   * Small files in one write, and what became of them. Left out are all if anything goes wrong, and what is doubtful in
   * itself, as a path that is there twice: those are for `#put`, which tells what is wrong with which.
   */
  async #putMany(base: string, items: readonly FolderItem[], options: PutFolderOptions, checked: Checked): Promise<Map<FolderItem, FolderItemPut>> {
    const { catalog, blobs, clock, log } = this.#components
    const startedMs = clock.monotonicMs()
    const { signal, token: given } = options
    const token = typeof given === 'function' ? given : (): bigint | undefined => given
    const group = apart(base, items, checked.folders)
    const letGo: (() => void)[] = []
    let prepared: Prepared | undefined
    let room: { release: () => Promise<void> } | undefined
    try {
      token()
      catalog.checkClock()
      for (const path of group.keys()) checked.own.add(path)
      const all: SmallFile[] = []
      const doubtful: Promise<void>[] = []
      const ofNew = this.#saidOfNew(options)
      for (const [path, { item, bytes }] of group) {
        if (isClear(path, checked)) all.push({ item, bytes, path, content: ofNew })
        else doubtful.push(this.#saidOf(path, options, checked).then((content) => {
          if (content !== undefined) all.push({ item, bytes, path, content })
        }))
      }
      await Promise.all(doubtful)
      if (all.length === 0) return new Map()
      room = await options.room?.(all.reduce((sum, { bytes }) => sum + bytes.length, 0))
      const prepare = async (imported: readonly Imported[]): Promise<Prepared> => {
        letGo.push(this.#garbage.hold(...imported))
        const said = present({ token: token(), ifAbsent: options.ifAbsent })
        return catalog.prepare(imported.map(({ cid, size }, i): Edit => ({ path: all[i]?.path ?? '', content: { ...all[i]?.content, cid: textOfNewCid(cid), size }, ...said })))
      }
      const operations = async (imported: readonly Imported[]): Promise<Prepared['operations']> => (prepared = await prepare(imported)).operations
      const imported = await blobs.importMany(all.map(({ bytes }) => bytes), { operations, ...present({ signal }) })
      const records = publish(prepared)
      const elapsedMs = clock.monotonicMs() - startedMs
      const lapse = lapseOf(token)
      const outcomes = new Map<FolderItem, FolderItemPut>()
      for (const [i, { item, path }] of all.entries()) {
        const made = imported[i]
        const record = records[i]
        invariant(made !== undefined && record?.content !== undefined, 'each content has its import and its record')
        const { cid, size, priority, replicas } = record.content
        const { relativePath } = item
        if (lapse === undefined) outcomes.set(item, { relativePath, put: { cid, size, path, priority, replicas, blobs: made.blobs, record, elapsedMs } })
        else outcomes.set(item, { relativePath, error: toldOf(writtenUnder(lapse, path)) })
        options.onProgress?.({ bytes: made.size, total: made.size })
      }
      return outcomes
    } catch (error) {
      signal?.throwIfAborted()
      log.debug('files: a group of small files is put one by one', { files: items.length, error: messageOf(error) })
      return new Map()
    } finally {
      abandon(prepared)
      for (const one of letGo) one()
      for (const path of group.keys()) checked.own.delete(path)
      await room?.release()
    }
  }

  /** What is said of a file that is new. */
  #saidOfNew({ priority, replicas, pinned }: PutOptions): Partial<FileContent> {
    return present({ priority, replicas: replicas ?? this.#init.defaultReplicas(priority ?? 'normal'), pinned })
  }

  /** What is said of a file of a group but its name; undefined if it is for `#put` to say why it cannot be. */
  async #saidOf(path: string, options: PutOptions, checked: Checked): Promise<Partial<FileContent> | undefined> {
    try {
      const current = await this.#checkPlace(path, options, checked)
      if (current === undefined || options.priority !== undefined) return this.#saidOfNew(options)
      return present({ replicas: options.replicas, pinned: options.pinned })
    } catch (error) {
      if (codeOf(error) === undefined) throw error
      return undefined
    }
  }

  /** Where a file may go: not where a folder is, nor below a file. Returns the file that is there. */
  async #checkPlace(path: string, options: PutOptions, checked: Checked): Promise<FileRecord | undefined> {
    const { catalog } = this.#components
    await this.#checkFoldersAbove(path, checked.folders)
    // Where there is only what comes with it, nothing is asked: the record is made on what is there all the same.
    const current = checked.isNew ? undefined : await catalog.get(path)
    if (current !== undefined && options.ifAbsent === true) throw new CatalogError('EXISTS', `there is a file at ${path} already`, { path })
    const mayBeFolder = current === undefined && (!checked.isNew || checked.folders.has(path))
    if (mayBeFolder && (await catalog.isFolder(path))) throw new CatalogError('IS_FOLDER', `${path} is a folder`, { path })
    return current
  }

  /** `moving`: a file that will be gone. Two nodes that do not see each other may still make both: then both are kept. */
  async #checkFoldersAbove(path: string, checked: Set<string>, moving?: string): Promise<void> {
    for (const folder of foldersAbove(path)) {
      // Those above it were looked at with it.
      if (checked.has(folder)) break
      if (folder !== moving && (await this.#components.catalog.get(folder)) !== undefined) {
        throw new CatalogError('IS_FILE', `${folder} is a file, so nothing can be in it`, { path: folder })
      }
    }
    for (const folder of foldersAbove(path)) checked.add(folder)
  }

  async #file(path: string): Promise<FileRecord> {
    const record = await this.#components.catalog.get(path)
    if (record !== undefined) return record
    if (await this.#components.catalog.isFolder(path)) throw new CatalogError('IS_FOLDER', `${path} is a folder`, { path })
    throw notFound(path)
  }

  /** Changes a file, or every file of a folder. */
  async #change(path: string, change: (content: FileContent) => Partial<FileContent>): Promise<{ changed: number }> {
    const { catalog } = this.#components
    const folder = normalizeFolder(path)
    const file = folder === '/' ? undefined : await catalog.get(folder)
    let edits: Edit[] = []
    let changed = 0
    const add = async (record: FileRecord): Promise<void> => {
      if (record.content === undefined) return
      edits.push({ path: record.path, content: change(record.content) })
      if (edits.length < editsPerBatch) return
      changed += await this.#applyPresent(edits)
      edits = []
    }
    if (file !== undefined) await add(file)
    else for await (const record of catalog.list(folder)) await add(record)
    changed += await this.#applyPresent(edits)
    if (changed === 0) throw notFound(folder)
    return { changed }
  }

  /** All of it, but for what somebody else has deleted meanwhile. Returns how many. */
  async #applyPresent(edits: readonly Edit[]): Promise<number> {
    const { catalog } = this.#components
    if (edits.length === 0) return 0
    try {
      await catalog.apply(edits)
      return edits.length
    } catch (error) {
      if (codeOf(error) !== 'NOT_FOUND') throw error
      if (edits.length === 1) return 0
    }
    const half = Math.ceil(edits.length / 2)
    return (await this.#applyPresent(edits.slice(0, half))) + (await this.#applyPresent(edits.slice(half)))
  }
}

/** Small files by path, but for those that may be in each other's way, and those that have no path. */
function apart(base: string, items: readonly FolderItem[], checked: ReadonlySet<string>): Map<string, { item: FolderItem; bytes: Uint8Array }> {
  const group = new Map<string, { item: FolderItem; bytes: Uint8Array }>()
  const folders = new Set<string>()
  for (const item of items) {
    const path = readable(() => normalizePath(below(base, item.relativePath)))
    if (path === undefined || item.bytes === undefined || group.has(path) || folders.has(path) || checked.has(path)) continue
    // What was above another file of the group is no file of it, nor is what is above that.
    if (!folders.has(parentOf(path))) {
      const above = foldersAbove(path)
      if (above.some((folder) => group.has(folder))) continue
      for (const folder of above) folders.add(folder)
    }
    group.set(path, { item, bytes: item.bytes })
  }
  return group
}

/** Whether a path that is no folder (see `apart`) is where `#checkPlace` would ask nothing, and let a new file be put. */
function isClear(path: string, { folders, isNew }: Checked): boolean {
  return isNew && folders.has(parentOf(path))
}

function publish(prepared: Prepared | undefined): Prepared['records'] {
  invariant(prepared, 'an import asks for the operations that go with it')
  prepared.published()
  return prepared.records
}

function abandon(prepared: Prepared | undefined): void {
  prepared?.abandon()
}

function toldOf(error: unknown): { code: string; message: string } {
  return { code: codeOf(error) ?? 'INTERNAL', message: messageOf(error) }
}

function below(base: string, relativePath: string): string {
  return `${base === '/' ? '' : base}/${relativePath}`
}

function moveEdits(record: FileRecord, target: string, overwrite: boolean): Edit[] {
  const { content, owner, path, modified, writer } = record
  if (content === undefined) return []
  return [
    { path: target, content: { ...content }, owner, ifAbsent: !overwrite },
    { path, content: 'deleted', ifVersion: { modified, writer }, movedTo: target },
  ]
}

function entryOf(record: FileRecord): FileEntry {
  const { path, content, owner, writer, modified, token, conflictOf } = record
  if (content === undefined) throw notFound(path)
  const { cid, size, priority, replicas, pinned } = content
  const entry = { type: 'file', path, cid, size, priority, replicas, pinned, owner, writer, modifiedMs: hlcToMs(modified), token } as const
  return conflictOf === undefined ? entry : { ...entry, conflictOf }
}

/** Why nobody can vouch for the lease any more; undefined as long as somebody can. */
function lapseOf(token: () => unknown): { error: unknown } | undefined {
  try {
    token()
    return undefined
  } catch (error) {
    return { error }
  }
}

/** It is written all the same, under its token, so whoever has the lease next overrides it; but nobody may count on it. */
function writtenUnder({ error }: { error: unknown }, path: string | undefined): CatalogError {
  return new CatalogError('STALE_TOKEN', `${path ?? 'it'} was written, but the lease was over before that was certain: ${messageOf(error)}`, { path: path ?? null, written: true }, { cause: error })
}

function notFound(path: string): CatalogError {
  return new CatalogError('NOT_FOUND', `there is nothing at ${path}`, { path })
}

/** Without what is undefined. */
function present<T extends object>(fields: T): { [Key in keyof T]?: Exclude<T[Key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as { [Key in keyof T]?: Exclude<T[Key], undefined> }
}
