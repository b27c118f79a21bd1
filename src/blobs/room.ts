import type { CID } from 'multiformats/cid'
import type { BlockStore } from '../store/index.js'
import {
  codeOf,
  Limiter,
  messageOf,
  type Bulk,
  type Clock,
  type Connections,
  type ContentRouting,
  type KeyValue,
  type Log,
  type NodeId,
  type Random,
} from '../base/index.js'
import { Announcer } from './announcer.js'
import { BlockSource } from './block-source.js'
import { carOf } from './car.js'
import { ByteBudget } from './byte-budget.js'
import { assertAccepted, keyOf, rawCode } from './cids.js'
import { blocksOf, kindOf } from './dag.js'
import { DraftBook } from './draft-book.js'
import { Exchange } from './exchange.js'
import { BlobFetch, type Arrivals } from './fetching.js'
import { totalBytesOfFile } from './file-shape.js'
import { buildFolder, foldersAmong, totalBytesBelow, type FolderNodes } from './folders.js'
import { HolderPool } from './holder-pool.js'
import { Holdings } from './holdings.js'
import { ImportDrafts } from './import-drafts.js'
import { importContent } from './importing.js'
import { decodeNode } from './nodes.js'
import { readFile } from './reading.js'
import { BlobRecords } from './records.js'
import { Responder } from './responder.js'
import { Scrubber } from './scrubber.js'
import { blobContentBytesMax, defaultSettings, type BlobSettings } from './settings.js'
import { SharedFetch } from './shared-fetch.js'
import { SmallFiles } from './small-files.js'
import {
  BlobError,
  type BlobRef,
  type BlobService,
  type BlobStats,
  type DropOptions,
  type FetchOptions,
  type FolderEntry,
  type FolderFile,
  type FolderItem,
  type HeldBlob,
  type Imported,
  type ImportManyOptions,
  type ImportOptions,
  type NamedFolder,
  type ReadMany,
  type ScrubControl,
  type SpreadImport,
} from './types.js'
import { collectBlobs, folderItems, rootNode } from './trees.js'
import { verifyBlob, type Verified } from './verifying.js'
import { WholeRead } from './whole-read.js'
import { Withheld } from './withheld.js'

export interface BlobsComponents {
  blocks: BlockStore
  /** This room's slice of `meta`. */
  meta: KeyValue
  bulk: Bulk
  routing: ContentRouting
  connections: Connections
  clock: Clock
  random: Random
  log: Log
}

export type BlobsInit = Partial<BlobSettings>

/** Imports that read their content at once, each holding two chunks at most; the others wait. Enough to share syncs. */
const importsAtOnce = 128
/** As long as an exchange about a deletion may take, and as much again. */
const withheldMsMax = 2 * 60_000

export class BlobRoom implements BlobService {
  readonly #components: BlobsComponents
  readonly #settings: BlobSettings
  readonly #records: BlobRecords
  readonly #holdings: Holdings
  readonly #exchange: Exchange
  readonly #responder: Responder
  readonly #importBudget: ByteBudget
  readonly #imports = new Limiter({ concurrency: importsAtOnce })
  readonly #drafts: DraftBook
  readonly #small: SmallFiles
  readonly #scrubber: Scrubber
  readonly #fetches = new Map<string, SharedFetch>()
  readonly #withheld = new Withheld()
  readonly #counters = { importedFiles: 0, importedBytes: 0, fetchedBlobs: 0, fetchedBlocks: 0, fetchedBytes: 0, servedBlocks: 0, servedBytes: 0 }

  constructor(components: BlobsComponents, init: BlobsInit) {
    const { blocks, meta, bulk, routing, clock, log } = components
    const settings = { ...defaultSettings, ...init }
    this.#components = components
    this.#settings = settings
    this.#records = new BlobRecords(meta)
    this.#holdings = new Holdings({ blocks, records: this.#records, announcer: new Announcer(routing, log), clock, log }, settings.profile)
    this.#exchange = new Exchange(
      { bulk, clock },
      {
        bytesInFlightMax: settings.fetchBytesInFlightMax,
        openMs: settings.openMs,
        stallMs: settings.stallMs,
        idleMs: settings.streamIdleMs,
        avoidMs: settings.avoidMs,
      },
    )
    this.#importBudget = new ByteBudget(settings.importBytesInFlightMax)
    this.#drafts = new DraftBook({ blocks, clock, log })
    this.#small = new SmallFiles(
      { blocks, records: this.#records, holdings: this.#holdings, drafts: this.#drafts, random: components.random, connections: components.connections, pool: (blob, holders, signal) => this.#pool(blob, holders, signal, nobody) },
      settings.profile,
    )
    this.#scrubber = new Scrubber(
      { records: this.#records, clock, log, verify: (held, pace, signal) => this.#verifyHeld(held, { signal }, pace) },
      settings,
    )
    const onUnreadable = (cid: CID): void => {
      log.warn('a block could not be read for another node', { cid: cid.toString() })
      void blocks.verify(cid).catch(() => undefined)
    }
    const onServed = (count: number, bytes: number): void => {
      this.#counters.servedBlocks += count
      this.#counters.servedBytes += bytes
    }
    this.#responder = new Responder({ blocks, clock, log, withheld: this.#withheld, onServed, onUnreadable })
    bulk.register(this.#responder.protocol())
  }

  get scrub(): ScrubControl {
    return this.#scrubber
  }

  stats(): BlobStats {
    const { framingErrors, corruptReceived, streams, inFlightBytes, avoided } = this.#exchange
    const fetched = { fetchedBlobs: this.#counters.fetchedBlobs + this.#small.fetched.blobs, fetchedBlocks: this.#counters.fetchedBlocks + this.#small.fetched.blobs, fetchedBytes: this.#counters.fetchedBytes + this.#small.fetched.bytes }
    return { ...this.#counters, ...fetched, framingErrors, corruptReceived, streamsNow: streams, inFlightBytesNow: inFlightBytes, avoidedNow: avoided }
  }

  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#exchange.close(), { once: true })
    try {
      await this.#holdings.recover()
    } catch (error) {
      this.#components.log.warn('clearing up after the last run did not end', { reason: messageOf(error) })
    }
    await Promise.all([this.#scrubber.run(signal), this.#drafts.run(signal, this.#settings.draftKeepMs)])
    await Promise.all([...this.#fetches.values()].map((fetch) => fetch.settled()))
  }

  async import(content: AsyncIterable<Uint8Array>, options: ImportOptions = {}): Promise<Imported> {
    return asked(options.signal, () => this.#imports.run(() => this.#import(content, options), options.signal))
  }

  async #import(content: AsyncIterable<Uint8Array>, options: ImportOptions): Promise<Imported> {
    const given = options.spread
    const spread = typeof given === 'function' ? given : (): SpreadImport | undefined => given
    const drafts = new ImportDrafts({ holdings: this.#holdings, drafts: this.#drafts, random: this.#components.random }, { spread })
    try {
      const progress = { bytes: 0 }
      const { linksMax, chunkBytes } = this.#settings.profile
      const made = await importContent(content, drafts, {
        profile: this.#settings.profile,
        budget: this.#importBudget,
        signal: options.signal,
        blobLeaves: () => {
          const blobBytes = spread()?.blobBytes
          return blobBytes === undefined ? undefined : Math.min(linksMax, Math.max(1, Math.floor(blobBytes / chunkBytes)))
        },
        onBytes: (bytes) => {
          progress.bytes += bytes
          options.onProgress?.({ ...progress })
        },
      })
      options.signal?.throwIfAborted()
      const imported: Imported = { cid: made.cid, size: made.size, blobs: drafts.blobsWith(made) }
      await spread()?.beforeEnd(imported.blobs)
      const operations = (await options.operations?.(imported)) ?? []
      options.signal?.throwIfAborted()
      await drafts.finish(made, operations)
      this.#counters.importedFiles++
      this.#counters.importedBytes += made.size
      return imported
    } catch (error) {
      await drafts.giveUp()
      throw error
    }
  }

  async importMany(contents: readonly Uint8Array[], options: ImportManyOptions = {}): Promise<Imported[]> {
    return asked(options.signal, () => this.#imports.run(async () => {
      const imported = await this.#small.importMany(contents, options)
      this.#counters.importedFiles += imported.length
      for (const { size } of imported) this.#counters.importedBytes += size
      return imported
    }, options.signal))
  }

  async readMany(cids: readonly CID[], options: FetchOptions = {}): Promise<ReadMany> {
    return asked(options.signal, async () => this.#small.readMany(cids, options))
  }

  async importFolder(entries: Iterable<FolderEntry> | AsyncIterable<FolderEntry>, options: ImportOptions = {}): Promise<Imported> {
    return asked(options.signal, async () => {
      const source = this.#source({})
      let size = 0
      const totalBytesOf = async ({ cid }: FolderEntry): Promise<number> => {
        options.signal?.throwIfAborted()
        assertAccepted(cid)
        const bytes = await source.get(cid, 0, cid)
        const node = decodeNode(cid, bytes)
        if (node.type === 'file') size += node.contentBytes
        else for await (const item of this.readFolder(cid)) size += item.size
        return totalBytesBelow(cid, bytes)
      }
      const drafts = new ImportDrafts({ holdings: this.#holdings, drafts: this.#drafts, random: this.#components.random })
      try {
        const { root, nodes } = await buildFolder(entries, totalBytesOf)
        const made = new Map(nodes.map(({ cid, bytes }) => [keyOf(cid), bytes]))
        const folders = foldersAmong(root, made)
        for (const [index, folder] of folders.entries()) {
          for (const cid of folder.nodes) await drafts.put(index, cid, made.get(keyOf(cid)) ?? new Uint8Array(0))
          if (index < folders.length - 1) await drafts.complete(index, folder.root, 0, 'spine')
        }
        const imported: Imported = { cid: root, size, blobs: folders.map((folder): BlobRef => ({ cid: folder.root, kind: 'spine' })) }
        const operations = (await options.operations?.(imported)) ?? []
        options.signal?.throwIfAborted()
        await drafts.finish({ cid: root, size, last: { index: folders.length - 1, root }, spine: false }, operations, 'spine')
        return imported
      } catch (error) {
        await drafts.giveUp()
        throw error
      } finally {
        source.close()
      }
    })
  }

  async nameFolder(files: Iterable<FolderFile> | AsyncIterable<FolderFile>, options: FetchOptions = {}): Promise<NamedFolder> {
    return asked(options.signal, async () => {
      const { root, folders } = await this.#folderOver(files, options)
      return { cid: root, folders }
    })
  }

  /** A file that is here says what is below it; of another, its size does. */
  async #folderOver(files: Iterable<FolderFile> | AsyncIterable<FolderFile>, options: FetchOptions): Promise<FolderNodes> {
    const source = this.#source(options)
    const { profile } = this.#settings
    const totalBytesOfTree = async ({ cid, size }: FolderFile): Promise<number> => {
      const bytes = await source.local(cid)
      // What was spread has another shape; but a folder is to have the same name everywhere, also where the file is not.
      return bytes instanceof Uint8Array && !isSpread(cid, bytes) ? totalBytesBelow(cid, bytes) : totalBytesOfFile(size, profile)
    }
    const totalBytesOf = (file: FolderFile): number | Promise<number> => {
      options.signal?.throwIfAborted()
      assertAccepted(file.cid)
      return file.cid.code === rawCode ? file.size : totalBytesOfTree(file)
    }
    try {
      return await buildFolder(files, totalBytesOf)
    } finally {
      source.close()
    }
  }

  async describe(root: CID, options: FetchOptions = {}): Promise<{ type: 'file' | 'folder'; size: number }> {
    return this.#withSource(root, options, async (source) => {
      const node = await rootNode(source, root)
      return { type: node.type, size: node.type === 'file' ? node.contentBytes : 0 }
    })
  }

  async blobsOf(root: CID, options: FetchOptions = {}): Promise<BlobRef[]> {
    return this.#withSource(root, options, async (source) => {
      const found = new Map<string, BlobRef>()
      await collectBlobs(root, source, this.#settings.profile, found)
      return [...found.values()]
    })
  }

  async fetch(ref: BlobRef, options: FetchOptions = {}): Promise<HeldBlob> {
    return asked(options.signal, async () => (await this.#beginFetch(ref, options)).done)
  }

  /** `done` is only ever awaited by the caller; it does not go unhandled before. */
  async #beginFetch(ref: BlobRef, options: FetchOptions): Promise<{ arrivals: Arrivals | undefined; done: Promise<HeldBlob> }> {
    assertAccepted(ref.cid)
    for (;;) {
      options.signal?.throwIfAborted()
      const held = await this.#holdings.keep(ref.cid)
      const wrong = held?.kind ?? this.#fetches.get(keyOf(ref.cid))?.kind ?? ref.kind
      if (wrong !== ref.kind) throw new BlobError('BAD_CID', `${ref.cid.toString()} was asked for as a ${ref.kind} and is a ${wrong}`, { cid: ref.cid.toString(), kind: wrong })
      if (held !== undefined) return { arrivals: undefined, done: Promise.resolve(held) }
      const shared = this.#sharedFetch(ref, options)
      if (!shared.abandoned) {
        const done = shared.join(options)
        done.catch(() => undefined)
        return { arrivals: shared.arrivals, done }
      }
      await shared.settled()
    }
  }

  async *read(root: CID, options: FetchOptions & { offset?: number; length?: number; isLent?: boolean } = {}): AsyncGenerator<Uint8Array> {
    const { offset = 0, length = Number.MAX_SAFE_INTEGER, isLent = false, signal } = options
    assertAccepted(root)
    const badRange = (size?: number): BlobError =>
      new BlobError('BAD_RANGE', `no range of ${length} bytes at ${offset}${size === undefined ? '' : ` in ${size}`}`, { offset, length, size: size ?? null })
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) throw badRange()
    const source = this.#source(options)
    let whole: WholeRead | undefined
    try {
      // A raw root is a blob for certain: kept, it is fetched once and not looked at first.
      if (root.code === rawCode && offset === 0 && options.length === undefined && !(await this.#components.blocks.has(root))) {
        await this.#keep(root, options)
      }
      const node = await rootNode(source, root)
      if (node.type === 'folder') throw new BlobError('BAD_CID', `${root.toString()} is a folder`, { cid: root.toString(), type: 'folder' })
      if (offset > node.contentBytes) throw badRange(node.contentBytes)
      const wanted = Math.min(length, node.contentBytes - offset)
      const isWhole = offset === 0 && wanted === node.contentBytes && root.code !== rawCode
      if (isWhole && (await this.#records.held(root)) === undefined) whole = this.#wholeRead(root, kindOf(node, this.#settings), source, options)
      const reading = whole
      const get = reading === undefined ? source.get.bind(source) : reading.get.bind(reading)
      yield* readFile(root, node, {
        offset,
        length: wanted,
        readAheadBytes: this.#settings.readAheadBytes,
        blobContentBytesMax: blobContentBytesMax(this.#settings.profile),
        isLent,
        get,
      })
      await whole?.finished()
    } catch (error) {
      throw asBlobError(error, signal)
    } finally {
      await whole?.close()
      source.close()
    }
  }

  async *readFolder(root: CID, options: FetchOptions = {}): AsyncGenerator<FolderItem> {
    assertAccepted(root)
    const source = this.#source(options)
    try {
      const node = await rootNode(source, root)
      if (node.type !== 'folder') throw new BlobError('BAD_CID', `${root.toString()} is a file`, { cid: root.toString(), type: 'file' })
      yield* folderItems(root, node, source)
    } catch (error) {
      throw asBlobError(error, options.signal)
    } finally {
      source.close()
    }
  }

  held(cid: CID): Promise<HeldBlob | undefined> {
    return this.#records.held(cid)
  }

  heldMany(cids: readonly CID[]): Promise<(HeldBlob | undefined)[]> {
    return this.#records.heldMany(cids)
  }

  list(): AsyncIterable<HeldBlob> {
    return this.#records.list()
  }

  async drop(cid: CID, options: DropOptions = {}): Promise<void> {
    assertAccepted(cid)
    const source = this.#source({})
    try {
      await this.#holdings.drop(cid, (node) => source.get(node, 0, cid), options.stillUnwanted)
    } finally {
      source.close()
    }
  }

  whenServed(cid: CID, listener: (content: Uint8Array) => void): () => void {
    return cid.code === rawCode ? this.#responder.watch(cid, listener) : () => undefined
  }

  async withhold(cid: CID): Promise<() => void> {
    assertAccepted(cid)
    const held = await this.#records.held(cid)
    if (held === undefined) return () => undefined
    const source = this.#source({})
    try {
      const { leaves, nodes } = await blocksOf(held, blobContentBytesMax(this.#settings.profile), (node) => source.get(node, 0, cid))
      const lift = this.#withheld.add([...leaves, ...nodes])
      // Whoever forgets to lift it keeps nobody from reading for longer than this.
      const cancel = this.#components.clock.setTimer(withheldMsMax, lift)
      return () => {
        cancel()
        lift()
      }
    } finally {
      source.close()
    }
  }

  async *verify(root: CID | undefined, options: FetchOptions = {}): AsyncGenerator<Verified> {
    const progress = { bytes: 0 }
    const pace = async (bytes: number): Promise<void> => {
      progress.bytes += bytes
      options.onProgress?.({ ...progress })
    }
    try {
      if (root === undefined) {
        for await (const held of this.#records.list()) yield* this.#verifyHeld(held, options, pace)
        return
      }
      for (const { cid } of await this.blobsOf(root, options)) {
        const held = await this.#records.held(cid)
        if (held !== undefined) yield* this.#verifyHeld(held, options, pace)
      }
    } catch (error) {
      throw asBlobError(error, options.signal)
    }
  }

  exportCar(root: CID, options: FetchOptions = {}): AsyncIterable<Uint8Array> {
    return this.#exportCar(root, new Map(), options)
  }

  async *exportFolderCar(files: Iterable<FolderFile> | AsyncIterable<FolderFile>, options: FetchOptions = {}): AsyncGenerator<Uint8Array> {
    const { root, nodes } = await asked(options.signal, async () => this.#folderOver(files, options))
    yield* this.#exportCar(root, new Map(nodes.map(({ cid, bytes }) => [keyOf(cid), bytes])), options)
  }

  /** `made`: blocks that are in no store. */
  async *#exportCar(root: CID, made: ReadonlyMap<string, Uint8Array>, options: FetchOptions): AsyncGenerator<Uint8Array> {
    assertAccepted(root)
    const source = this.#source(options)
    try {
      const get = async (cid: CID, blob: CID): Promise<Uint8Array> => made.get(keyOf(cid)) ?? source.get(cid, 0, blob)
      yield* carOf(root, get, blobContentBytesMax(this.#settings.profile))
    } catch (error) {
      throw asBlobError(error, options.signal)
    } finally {
      source.close()
    }
  }

  #verifyHeld(held: HeldBlob, options: FetchOptions, pace: (bytes: number) => Promise<void>): AsyncGenerator<Verified> {
    const { blocks } = this.#components
    return verifyBlob(
      held,
      { blocks, pool: (blob, holders, signal) => this.#pool(blob, holders, signal), isHeld: async (cid) => (await this.#records.held(cid)) !== undefined },
      { profile: this.#settings.profile, holders: options.holders ?? [], signal: options.signal, pace },
    )
  }

  #sharedFetch(ref: BlobRef, options: FetchOptions): SharedFetch {
    const key = keyOf(ref.cid)
    const running = this.#fetches.get(key)
    if (running !== undefined) return running
    const shared: SharedFetch = new SharedFetch(
      ref.kind,
      this.#pool(ref.cid, options.holders ?? [], undefined),
      async (self, pool) => {
        try {
          return await this.#fetchBlob(ref, self, pool)
        } finally {
          if (this.#fetches.get(key) === self) this.#fetches.delete(key)
        }
      },
    )
    this.#fetches.set(key, shared)
    return shared
  }

  async #fetchBlob(ref: BlobRef, shared: SharedFetch, pool: HolderPool): Promise<HeldBlob> {
    const { blocks } = this.#components
    const draft = await this.#drafts.openFetch(ref)
    const fetching = new BlobFetch(
      { blocks, draft, pool },
      { ref, settings: this.#settings, onProgress: (progress) => shared.progress(progress), onContent: (bytes) => shared.content(bytes) },
      shared.arrivals,
    )
    try {
      const size = await fetching.run()
      const held = await this.#holdings.hold(draft, ref, size)
      this.#drafts.closed(draft)
      this.#counters.fetchedBlobs++
      return held
    } catch (error) {
      // What is here already is kept for the next try, unless it is of no use.
      const useless = fetching.fetched.blocks === 0 || codeOf(error) === 'BAD_CID'
      await this.#drafts.pause(draft, useless)
      throw error
    } finally {
      this.#counters.fetchedBlocks += fetching.fetched.blocks
      this.#counters.fetchedBytes += fetching.fetched.bytes
    }
  }

  /** Fetches a blob to have it; a full disk must not keep anybody from reading it through. */
  async #keep(root: CID, options: FetchOptions): Promise<void> {
    try {
      await this.fetch({ cid: root, kind: 'dag' }, options)
    } catch (error) {
      if (codeOf(error) !== 'NO_SPACE') throw error
    }
  }

  #wholeRead(root: CID, kind: BlobRef['kind'], source: BlockSource, options: FetchOptions): WholeRead {
    return new WholeRead(
      {
        source,
        fetch: (ref, signal) => this.#beginFetch(ref, { ...options, signal }),
        blobs: async () => {
          const found = new Map<string, BlobRef>()
          await collectBlobs(root, source, this.#settings.profile, found)
          return [...found.values()]
        },
      },
      { spine: kind === 'spine' ? root : undefined, signal: options.signal },
    )
  }

  #pool(blob: CID, holders: readonly NodeId[], signal: AbortSignal | undefined, routing: Pick<ContentRouting, 'findProviders'> = this.#components.routing): HolderPool {
    const { connections, clock, random, log } = this.#components
    return new HolderPool({ exchange: this.#exchange, routing, connections, clock, random, log }, { blob, holders, settings: this.#settings, signal })
  }

  #source(options: FetchOptions): BlockSource {
    const { blocks, log } = this.#components
    return new BlockSource(
      { blocks, log, pool: (blob, holders, signal) => this.#pool(blob, holders, signal) },
      { holders: options.holders ?? [], signal: options.signal },
    )
  }

  async #withSource<T>(root: CID, options: FetchOptions, work: (source: BlockSource) => Promise<T>): Promise<T> {
    return asked(options.signal, async () => {
      assertAccepted(root)
      const source = this.#source(options)
      try {
        return await work(source)
      } finally {
        source.close()
      }
    })
  }
}

/** For whoever asks the holders that are known, and no others. */
const nobody: Pick<ContentRouting, 'findProviders'> = {
  async *findProviders() {
    // None.
  },
}

function isSpread(cid: CID, bytes: Uint8Array): boolean {
  const node = decodeNode(cid, bytes)
  return node.type === 'file' && node.spread
}

/** Runs `work` for a caller: what comes out is a BlobError, whatever went wrong beneath. */
async function asked<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    signal?.throwIfAborted()
    return await work()
  } catch (error) {
    throw asBlobError(error, signal)
  }
}

function asBlobError(error: unknown, signal: AbortSignal | undefined): unknown {
  if (error instanceof BlobError) return error
  const code = codeOf(error)
  if (signal?.aborted === true || code === 'ABORTED') return new BlobError('ABORTED', 'the operation was cancelled', {}, { cause: error })
  if (code === 'NO_SPACE' || code === 'ENOSPC') return new BlobError('NO_SPACE', messageOf(error), {}, { cause: error })
  // Anything else (a closed store, a callback's own error) keeps its own code.
  return error
}

