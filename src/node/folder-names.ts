import { CID } from 'multiformats/cid'
import { codeOf, hlcToMs } from '../base/index.js'
import type { BlobService, FolderFile } from '../blobs/index.js'
import type { Catalog, FileRecord } from '../catalog/index.js'
import type { Priority } from '../storage-policy/index.js'

export interface FolderNamesComponents {
  catalog: Catalog
  blobs: Pick<BlobService, 'nameFolder'>
}

export interface FolderSummary {
  /** Null where files and a folder have the same path (after two nodes made both): UnixFS cannot say that. */
  cid: CID | null
  files: number
  /** Content bytes. */
  size: number
  /** Unix ms of the newest change in it; null for an empty root. */
  modifiedMs: number | null
  /** Of all files in it, or null where they differ, or there are none. */
  priority: Priority | null
  replicas: number | null
  pinned: boolean
}

/** CIDs told lately: enough for whoever copies one from a `put` or `stat` and asks for it. */
const toldMax = 1024
/** Folders of a search that are remembered: some 100 bytes each. */
const foundMax = 20_000

/**
 * CIDs of folders, both ways. The catalog is all there is of a folder, so its CID is worked out from the files in it when
 * somebody asks: nothing is stored that would be stale with the next change. That also works backwards: a CID is looked
 * for among those told lately, then among all folders there are now. Road not taken: storing UnixFS nodes with each put,
 * which would be a write for every folder above every file, and garbage at once.
 */
export class FolderNames {
  readonly #components: FolderNamesComponents
  /** CID → path, the newest last. A hint: the folder may have changed. */
  readonly #told = new Map<string, string>()
  /** Counts changes of the catalog, so that a search is not made twice over the same. */
  #version = 0
  #found: { version: number; paths: Map<string, string> } | undefined
  #searching: Promise<Map<string, string>> | undefined

  constructor(components: FolderNamesComponents) {
    this.#components = components
    components.catalog.on('change', () => {
      this.#version++
      this.#found = undefined
    })
  }

  /** `path` in its normal form. */
  async summary(path: string, signal: AbortSignal | undefined): Promise<FolderSummary> {
    const summary: FolderSummary = { cid: null, files: 0, size: 0, modifiedMs: null, priority: null, replicas: null, pinned: false }
    const said = { priorities: new Set<Priority>(), replicas: new Set<number>(), unpinned: 0 }
    const records = async function* (this: FolderNames): AsyncGenerator<FolderFile> {
      for await (const record of this.#components.catalog.list(path)) {
        summary.files++
        summary.size += record.content?.size ?? 0
        summary.modifiedMs = Math.max(summary.modifiedMs ?? 0, hlcToMs(record.modified))
        if (record.content !== undefined) {
          said.priorities.add(record.content.priority)
          said.replicas.add(record.content.replicas)
          if (!record.content.pinned) said.unpinned++
        }
        yield* fileOf(record, path)
      }
    }
    summary.cid = await this.#name(path, records.call(this), signal)
    summary.priority = onlyOf(said.priorities)
    summary.replicas = onlyOf(said.replicas)
    summary.pinned = summary.files > 0 && said.unpinned === 0
    return summary
  }

  /** Of files that are known to be all there is in a folder. */
  async nameOf(path: string, files: Iterable<FolderFile>, signal: AbortSignal | undefined): Promise<CID | null> {
    return this.#name(path, files, signal)
  }

  /** The files of a folder, as `blobs` wants them. */
  async *files(path: string): AsyncGenerator<FolderFile> {
    for await (const record of this.#components.catalog.list(path)) yield* fileOf(record, path)
  }

  /** The folder that has this CID now. */
  async find(cid: CID, signal: AbortSignal | undefined): Promise<string | undefined> {
    const text = cid.toString()
    const told = this.#told.get(text)
    if (told !== undefined && (await this.#isStill(told, cid, signal))) return told
    const found = (await this.#allFolders()).get(text)
    return found !== undefined && (await this.#isStill(found, cid, signal)) ? found : undefined
  }

  async #isStill(path: string, cid: CID, signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.#name(path, this.files(path), signal))?.equals(cid) === true
  }

  async #name(path: string, files: Iterable<FolderFile> | AsyncIterable<FolderFile>, signal: AbortSignal | undefined): Promise<CID | null> {
    try {
      const { cid } = await this.#components.blobs.nameFolder(files, signal === undefined ? {} : { signal })
      this.#remember(cid.toString(), path)
      return cid
    } catch (error) {
      if (codeOf(error) === 'BAD_CID') return null
      throw error
    }
  }

  #remember(cid: string, path: string): void {
    this.#told.delete(cid)
    this.#told.set(cid, path)
    for (const oldest of this.#told.keys()) {
      if (this.#told.size <= toldMax) break
      this.#told.delete(oldest)
    }
  }

  async #allFolders(): Promise<Map<string, string>> {
    if (this.#found?.version === this.#version) return this.#found.paths
    this.#searching ??= this.#search().finally(() => {
      this.#searching = undefined
    })
    return this.#searching
  }

  async #search(): Promise<Map<string, string>> {
    const { blobs, catalog } = this.#components
    const version = this.#version
    // In path order what is in a folder follows the file of the same name, if there is one: which then has no place.
    const placed = async function* (): AsyncGenerator<FolderFile> {
      let before: FileRecord | undefined
      for await (const record of catalog.list('/')) {
        if (before !== undefined && !record.path.startsWith(`${before.path}/`)) yield* fileOf(before, '/')
        before = record
      }
      if (before !== undefined) yield* fileOf(before, '/')
    }
    const { folders } = await blobs.nameFolder(placed())
    const paths = new Map([...folders].map(([path, cid]) => [cid.toString(), `/${path}`]))
    if (paths.size <= foundMax && version === this.#version) this.#found = { version, paths }
    return paths
  }
}

function* fileOf({ path, content }: FileRecord, folder: string): Generator<FolderFile> {
  if (content !== undefined) yield { path: path.slice(folder === '/' ? 1 : folder.length + 1), cid: CID.parse(content.cid), size: content.size }
}

function onlyOf<T>(values: ReadonlySet<T>): T | null {
  const [only] = values
  return values.size === 1 && only !== undefined ? only : null
}
