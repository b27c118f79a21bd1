import type { AppendLog, Clock, KeyValue, Log, Random } from '../base/index.js'
import { Limiter } from '../base/index.js'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { AppendFiles } from './append-log.js'
import { importOldLog } from './append-import.js'
import { BlockLog } from './block-log.js'
import { Blocks } from './block-store.js'
import { textBytes } from './bytes.js'
import { accelerateChecksums } from './checksums.js'
import { Database } from './database.js'
import { Footprint } from './footprint.js'
import { HeldBlocks } from './held.js'
import { isWholeBlock } from './hashing.js'
import { prefixOf } from './keyspace.js'
import type { LedgerRecord } from './ledger.js'
import { openLogFolder } from './log-folder.js'
import { Lookups } from './lookups.js'
import { MetaSlice } from './meta.js'
import { Reclaimer } from './reclaimer.js'
import { count } from './recount.js'
import { draftsOnDisk, recover } from './recovery.js'
import type { StoreLimits } from './settings.js'
import { storeLimits } from './settings.js'
import { Transactions } from './transactions.js'
import { StoreError } from './types.js'
import type { AppendLogInit, BackgroundStatus, Recount, RecoveryReport, Store, StoreTotals, StoreUsage } from './types.js'

export interface StoreComponents {
  clock: Clock
  random: Random
  log: Log
}

export interface StoreInit extends Partial<StoreLimits> {
  /** The node's folder. The store makes `blocks`, `meta` and `logs` in it, and nothing else. */
  home: string
  /** Asked before each block is accepted, with its size; what it throws is what the put throws. For reservations. */
  admit?: (bytes: number) => void
}

const mebibyte = 1024 * 1024
/** The folder of the logs, each in one of its own. */
const logsName = 'logs'
const blocksName = 'blocks'
/** Fewer reads of `meta` than these map little: a read touches a page of 4 KiB, most of them the same. */
const restReadsMin = 500
/** A node that is used now and then does not open its index anew in every break. */
const restPauseMs = 5 * 60_000

/**
 * Opens the store in `init.home`, makes it if it is not there, and repairs what a crash left behind.
 * Throws LOCKED, NO_SPACE, CORRUPT, DISK.
 */
export async function openStore(components: StoreComponents, init: StoreInit): Promise<Store> {
  const limits = storeLimits(withoutUndefined(init))
  const log = components.log.child('store')
  await mkdir(init.home, { recursive: true })
  accelerateChecksums()
  // `meta` first: its lock is the home's.
  const meta = new Database(
    { clock: components.clock, log },
    // Small values that compress well. 8 MiB of cache hold the index of 100,000 blocks; 4 MiB of buffer twice is cheap.
    { folder: join(init.home, 'meta'), compression: true, writeBufferBytes: 4 * mebibyte, fileBytes: 2 * mebibyte, cacheBytes: 8 * mebibyte, reopenFreeBytes: 4 * mebibyte },
  )
  const blocks = new Database(
    { clock: components.clock, log },
    // Bytes of blocks do not compress, and are not worth a cache of LevelDB's: the system has them in its own.
    { folder: join(init.home, 'blocks'), compression: false, writeBufferBytes: limits.writeBufferBytes, fileBytes: limits.writeBufferBytes, cacheBytes: mebibyte, reopenFreeBytes: 4 * mebibyte },
  )
  const opened: { close: () => Promise<void> }[] = []
  try {
    for (const database of [meta, blocks]) {
      await database.open()
      opened.push(database)
    }
    const folder = await openLogFolder(components, join(init.home, logsName, blocksName))
    const files = await AppendFiles.open({ random: components.random, log, folder, admit: async () => Promise.resolve(() => undefined) }, { isWhole: isWholeBlock })
    opened.push(files)
    const { ledger, report } = await recover({ blocks, files, meta, log })
    return new LevelStore({ ...components, log, blocks, meta, files }, { home: init.home, limits, ledger, report, draftsOnDisk: await draftsOnDisk(meta), admit: init.admit })
  } catch (error) {
    for (const database of opened.reverse()) await database.close().catch(() => undefined)
    throw error
  }
}

interface LevelStoreComponents extends StoreComponents {
  blocks: Database
  meta: Database
  /** Of large blocks. */
  files: AppendFiles
}

interface LevelStoreInit {
  home: string
  limits: StoreLimits
  ledger: LedgerRecord
  report: RecoveryReport
  draftsOnDisk: readonly string[]
  admit: ((bytes: number) => void) | undefined
}

class LevelStore implements Store {
  readonly #components: StoreComponents
  readonly #home: string
  readonly blocks: Blocks
  readonly recovery: RecoveryReport
  readonly #databases: { blocks: Database; meta: Database }
  readonly #blockFiles: AppendFiles
  /** Opened when they are first asked for. */
  readonly #appendLogs = new Map<string, Promise<AppendFiles>>()
  readonly #appendLogsOpen = new Map<string, AppendFiles>()
  readonly #log: BlockLog
  readonly #held = new HeldBlocks()
  readonly #transactions: Transactions
  readonly #lookups: Lookups
  readonly #footprint: Footprint
  readonly #reclaimer: Reclaimer
  /** A recount reads everything: one is enough. */
  readonly #recounts = new Limiter({ concurrency: 1, queueMax: 8 })
  #closing: Promise<void> | undefined
  #restNotBeforeMs = 0

  constructor({ clock, random, log, blocks, meta, files }: LevelStoreComponents, init: LevelStoreInit) {
    const { limits } = init
    this.#components = { clock, random, log }
    this.#home = init.home
    this.recovery = init.report
    this.#databases = { blocks, meta }
    this.#blockFiles = files
    this.#appendLogsOpen.set(blocksName, files)
    this.#log = new BlockLog(
      { clock, database: blocks, files },
      {
        sequenceNext: init.ledger.sequenceNext,
        mappedBytesMax: limits.mappedBytesMax,
        queuedBytesMax: limits.queuedBytesMax,
        groupBytesMax: Math.floor(limits.writeBufferBytes / 2),
        onActive: () => {
          this.#reclaimer.wake(false)
        },
      },
    )
    this.#lookups = new Lookups({ database: meta })
    this.#transactions = new Transactions({ database: meta, log: this.#log, lookups: this.#lookups }, { ledger: init.ledger })
    this.#footprint = new Footprint(
      { clock, blocks, meta, log: this.#log, appended: this.#appendLogsOpen },
      {
        logsFolder: this.#logsFolder,
        ownLog: blocksName,
        limitBytes: limits.limitBytes,
        freshMs: limits.usageFreshMs,
        moveBytesMax: 2 * limits.writeBufferBytes,
        ...(init.admit === undefined ? {} : { admit: init.admit }),
      },
    )
    this.#reclaimer = new Reclaimer(
      { clock, log, meta, blockLog: this.#log, transactions: this.#transactions, footprint: this.#footprint },
      { quietMs: limits.quietMs, garbageShareMin: limits.garbageShareMin, movedBytesPerSecond: limits.movedBytesPerSecond, unitBytesMax: limits.writeBufferBytes },
    )
    this.blocks = new Blocks(
      {
        database: meta,
        log: this.#log,
        held: this.#held,
        transactions: this.#transactions,
        admit: async (bytes) => this.#footprint.admit(bytes),
        onGarbage: () => {
          this.#reclaimer.wake(true)
        },
      },
      { ...limits, draftsOnDisk: init.draftsOnDisk },
    )
    if (init.ledger.reclaimableBytes > 0) this.#reclaimer.wake(true)
  }

  meta(name: string): KeyValue {
    return new MetaSlice({ database: this.#databases.meta, transactions: this.#transactions, lookups: this.#lookups }, { prefix: textBytes(prefixOf(name)) })
  }

  async appendLog(name: string, init: AppendLogInit): Promise<AppendLog> {
    prefixOf(name)
    if (this.#closing !== undefined) throw new StoreError('CLOSED', 'the store is closed')
    let opening = this.#appendLogs.get(name)
    if (opening === undefined) {
      opening = this.#openAppendLog(name, init)
      this.#appendLogs.set(name, opening)
      opening.catch(() => this.#appendLogs.delete(name))
    }
    return opening
  }

  get #logsFolder(): string {
    return join(this.#home, logsName)
  }

  async #openAppendLog(name: string, init: AppendLogInit): Promise<AppendFiles> {
    const { clock, random, log } = this.#components
    const components = { random, log, admit: async (bytes: number) => this.#footprint.admit(bytes) }
    const folder = await openLogFolder({ clock }, join(this.#logsFolder, name))
    await importOldLog({ clock, log }, { home: this.#home, prefix: textBytes(prefixOf(name)), folder, open: async () => AppendFiles.open({ ...components, folder }, init) })
    const files = await AppendFiles.open({ ...components, folder }, init)
    this.#appendLogsOpen.set(name, files)
    await this.#footprint.measure()
    return files
  }

  async usage(): Promise<StoreUsage> {
    const total = await this.#footprint.totalBytes()
    const { liveBytes, draftBytes, reclaimableBytes, blocks, quarantined } = this.#transactions.ledger
    const drafts = draftBytes + this.#held.bytes
    // Bytes that were accepted and have not reached a file yet are ahead of what the files say.
    const logBytes = this.#footprint.roomLogBytes()
    const metadataBytes = Math.max(0, total - logBytes - liveBytes - drafts - reclaimableBytes)
    return {
      totalBytes: liveBytes + drafts + reclaimableBytes + logBytes + metadataBytes,
      liveBytes,
      draftBytes: drafts,
      reclaimableBytes,
      logBytes,
      metadataBytes,
      blocks,
      quarantined,
    }
  }

  async reclaim(signal?: AbortSignal): Promise<void> {
    await this.#reclaimer.reclaim(signal)
  }

  async recount(signal?: AbortSignal): Promise<Recount> {
    return this.#recounts.run(async () => {
      const { meta } = this.#databases
      let ledger: StoreTotals | undefined
      const counted = await count(meta, async (takeView) => {
        // In a turn of its own no batch is half way: ledger and snapshot are of the same moment.
        await this.#transactions.run({
          durable: false,
          operations: [],
          prepare: async () => {
            const { liveBytes, draftBytes, reclaimableBytes, blocks, quarantined } = this.#transactions.ledger
            ledger = { liveBytes, draftBytes, reclaimableBytes, blocks, quarantined }
            await takeView()
          },
        })
      }, signal)
      const totals = ledger ?? counted
      const agrees = (Object.keys(counted) as (keyof StoreTotals)[]).every((field) => counted[field] === totals[field])
      return { ledger: totals, counted, agrees }
    }, signal)
  }

  limit(bytes: number): void {
    this.#footprint.setLimit(bytes)
  }

  boundBytes(): number {
    return this.#footprint.boundBytes()
  }

  pause(): void {
    this.#reclaimer.pause()
  }

  resume(): void {
    this.#reclaimer.resume()
  }

  async rest(): Promise<void> {
    if (this.#closing !== undefined) return
    const { meta } = this.#databases
    const { clock } = this.#components
    await this.#log.rest()
    // The tables of `meta` are small and read all the time: only now and then, and its log becomes a table each time.
    if (meta.reads < restReadsMin || clock.monotonicMs() < this.#restNotBeforeMs) return
    if (await meta.reopenIfSafe({ unused: true })) this.#restNotBeforeMs = clock.monotonicMs() + restPauseMs
  }

  background(): BackgroundStatus {
    return this.#reclaimer.status()
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close()
    await this.#closing
  }

  async #close(): Promise<void> {
    const { blocks, meta } = this.#databases
    try {
      for (const opening of this.#appendLogs.values()) await (await opening.catch(() => undefined))?.close()
      await this.#reclaimer.stop()
      await this.blocks.park()
      await this.#transactions.idle()
      await this.#log.idle()
      await this.#log.flush()
      await this.#transactions.seal()
    } finally {
      // Also on a full disk: what could not be written is found by the next start.
      // Also when nobody asked for it: LevelDB opens a database by itself soon after it is made, and locks its folder.
      await this.#blockFiles.close()
      await blocks.close()
      await meta.close()
    }
  }
}

/** `{ limitBytes: undefined }` means the default, as leaving it out does. */
function withoutUndefined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>
}
