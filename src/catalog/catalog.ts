import { messageOf } from '../base/index.js'
import { News, newsBytesMax } from './news.js'
import { folderRange, normalizeFolder, normalizePath } from './path.js'
import { purge } from './purge.js'
import { Records } from './records.js'
import { Synchronizer } from './synchronizer.js'
import type {
  Catalog,
  CatalogChange,
  CatalogComponents,
  CatalogInit,
  CatalogNetwork,
  CatalogStats,
  Edit,
  FileRecord,
  Moved,
  Prepared,
} from './types.js'

const defaults: Required<CatalogInit> = {
  tombstoneLifetimeMs: 180 * 86_400_000,
  gossipDelayMs: 75,
  gossipRecordsPerSecondMax: 200,
  antiEntropyIntervalMs: 60_000,
  purgeIntervalMs: 3_600_000,
}

/** Opens the catalog that is in `meta`. It works from then on, with or without a network: that is given to `run`. */
export async function openCatalog(components: CatalogComponents, init: CatalogInit = {}): Promise<Catalog> {
  const { meta, clock, random, log } = components
  const settings = { ...defaults, ...init }
  const records = await Records.open(components, settings)
  const synchronizer = new Synchronizer({ records, meta: meta.slice('x/'), clock, random, log }, settings)
  await synchronizer.load()
  return new MeshCatalog(components, settings, records, synchronizer)
}

class MeshCatalog implements Catalog {
  readonly #components: CatalogComponents
  readonly #init: Required<CatalogInit>
  readonly #records: Records
  readonly #synchronizer: Synchronizer
  #news: News | undefined

  constructor(components: CatalogComponents, init: Required<CatalogInit>, records: Records, synchronizer: Synchronizer) {
    this.#components = components
    this.#init = init
    this.#records = records
    this.#synchronizer = synchronizer
  }

  async get(path: string): Promise<FileRecord | undefined> {
    return this.#records.table.get(normalizePath(path))
  }

  async *list(folder: string): AsyncGenerator<FileRecord> {
    for await (const [, record] of this.#records.table.visible(folderRange(normalizeFolder(folder)))) yield record
  }

  async *children(folder: string): AsyncGenerator<{ folder: string } | { record: FileRecord }> {
    const path = normalizeFolder(folder)
    const range = folderRange(path)
    const nameAt = path === '/' ? 1 : path.length + 1
    let from: Uint8Array | undefined = range.gte
    while (from !== undefined) {
      const gte: Uint8Array = from
      from = undefined
      for await (const [, record] of this.#records.table.visible({ gte, lt: range.lt })) {
        const slash = record.path.indexOf('/', nameAt)
        if (slash === -1) {
          yield { record }
          continue
        }
        // One look into a folder is enough, however much is in it: on with what comes after it.
        const below = record.path.slice(0, slash)
        yield { folder: below }
        from = folderRange(below).lt
        break
      }
    }
  }

  async isFolder(path: string): Promise<boolean> {
    const folder = normalizeFolder(path)
    if (folder === '/') return true
    const { table, mayHaveCopies } = this.#records
    // Every put asks: where there are no conflict copies at all, one iterator instead of two.
    if (!mayHaveCopies) return table.hasFile(folderRange(folder))
    for await (const [key] of table.visible(folderRange(folder))) return key.length > 0
    return false
  }

  async byCid(cid: string): Promise<FileRecord[]> {
    return this.#records.table.byCid(cid)
  }

  async byCids(cids: readonly string[]): Promise<ReadonlyMap<string, readonly FileRecord[]>> {
    return this.#records.table.byCids(cids)
  }

  roots(): AsyncIterable<{ cid: string; size: number }> {
    return this.#records.roots()
  }

  unreferenced(): AsyncIterable<{ cid: string; size: number; sinceMs: number; moved: Moved | undefined }> {
    return this.#records.table.unreferenced()
  }

  async isUnreferenced(cid: string): Promise<boolean> {
    return this.#records.table.isUnreferenced(cid)
  }

  async hasArrived(moved: Moved): Promise<boolean> {
    return this.#records.hasArrived(moved)
  }

  async settle(cid: string, dropped: boolean): Promise<boolean> {
    return this.#records.settleUnreferenced(cid, dropped)
  }

  checkClock(): void {
    this.#records.checkClock()
  }

  async prepare(edits: Edit | readonly Edit[]): Promise<Prepared> {
    return this.#records.prepare('path' in edits ? [edits] : edits)
  }

  async apply(edits: readonly Edit[]): Promise<FileRecord[]> {
    return this.#records.apply(edits)
  }

  on(name: 'change', listener: (change: CatalogChange) => void): () => void {
    return this.#records.events.on(name, listener)
  }

  async run(network: CatalogNetwork, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#components
    const news = new News(
      {
        records: this.#records,
        topic: network.gossip.topic('catalog', { messageBytesMax: newsBytesMax }),
        clock,
        log,
        onBehind: (peer, theirRoot) => this.#synchronizer.hear(peer, theirRoot),
      },
      this.#init,
    )
    this.#news = news
    for (const method of this.#synchronizer.methods()) network.rpc.register(method)
    await Promise.all([
      news.run(signal),
      this.#records.learnRoots(signal),
      this.#synchronizer.run(network, signal, () => news.announce()),
      this.#purgeNowAndThen(signal),
    ])
  }

  stats(): CatalogStats {
    const { counts, received } = this.#records
    return {
      ...counts,
      lastSyncMs: this.#synchronizer.lastSyncMs,
      returning: this.#synchronizer.isReturning,
      clockAhead: this.#records.clocks.aheadOf(),
      received: { ...received },
      sent: { records: 0, announcements: 0, ...this.#news?.sent, ...this.#synchronizer.sent },
    }
  }

  async #purgeNowAndThen(signal: AbortSignal): Promise<void> {
    const { clock, log, random } = this.#components
    const isOver = (): boolean => signal.aborted
    while (!isOver()) {
      try {
        await clock.sleep(this.#init.purgeIntervalMs * (0.5 + random.float()), signal)
        // Who does not know what was deleted meanwhile must not forget what it deleted itself.
        if (this.#synchronizer.isReturning) continue
        const purged = await purge({ records: this.#records, clock }, this.#init.tombstoneLifetimeMs, signal)
        if (purged > 0) log.info('catalog: old deletions forgotten', { purged })
      } catch (error) {
        if (!isOver()) log.warn('catalog: a purge failed, and will be tried again', { error: messageOf(error) })
      }
    }
  }
}

