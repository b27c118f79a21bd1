import type { Clock } from '../../base/index.js'
import { Synced } from '../durable.js'
import type { AfterSync } from '../durable.js'
import type { Reply } from '../messages.js'
import { slotCount } from '../rounds/memory.js'
import type { Voter } from '../voter/voter.js'
import type { MemoryFile } from './memory-file.js'
import type { VoterDisk } from './voter-disk.js'

/** For more batches to share the database's sync. The second file has them meanwhile. */
const flushAfterMs = 50

export interface VoterWriterComponents {
  readonly disk: VoterDisk
  readonly memoryFile: MemoryFile
  readonly clock: Clock
}

export interface VoterWriterInit {
  readonly counters: { batches: number; batchChanges: number }
  /** The disk does not do as it should. Answered by `fail`. */
  readonly failed: (error: unknown) => void
}

/**
 * "Persist before send" for this node's voter: its batches go to disk one after the other, and a reply leaves when what it
 * tells of is there. Whatever comes while a batch is written shares the next one.
 */
export class VoterWriter {
  readonly #components: VoterWriterComponents
  readonly #init: VoterWriterInit
  #voter: Voter | undefined
  #held: { reply: AfterSync<Reply>; resolve: (reply: Reply) => void; reject: (error: Error) => void }[] = []
  #writing: Promise<void> | undefined
  /** Of the last batch that the second file has: only that may be told. */
  #synced = 0
  /** Of the last batch that was made ready for the database, and of the last that is in it. */
  #prepared = 0
  #stored = 0
  #flushing: Promise<void> | undefined
  #cancelFlush: (() => void) | undefined
  #syncMs = 0
  #hasFailed = false

  constructor(components: VoterWriterComponents, init: VoterWriterInit) {
    this.#components = components
    this.#init = init
  }

  /** How long a batch takes to be durable, smoothed. */
  get syncMs(): number {
    return this.#syncMs
  }

  /** From now on for this voter, whose batches up to `sequence` are on disk. Nothing of another is under way. */
  begin(voter: Voter, sequence: number): void {
    this.#voter = voter
    this.#synced = sequence
    this.#prepared = sequence
    this.#stored = sequence
  }

  /** Resolves when what the reply tells of is on disk; `write` has to be called after it. */
  async hold(reply: AfterSync<Reply>): Promise<Reply> {
    return new Promise<Reply>((resolve, reject) => { this.#held.push({ reply, resolve, reject }) })
  }

  /** Lets go what waits for nothing, and begins to write what there is. */
  write(): void {
    this.#release()
    if (this.#voter !== undefined) this.#writing ??= this.#writeAll(this.#voter)
  }

  /** Nothing is on its way to the disk. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
    while (!this.#hasFailed && this.#stored < this.#prepared) await this.#flush()
    this.#cancelFlush?.()
  }

  /** Replies that wait for the disk are never sent. */
  fail(error: Error): void {
    this.#hasFailed = true
    for (const { reject } of this.#held.splice(0)) reject(error)
  }

  /**
   * Batch after batch, as long as there is something. Durable is what the second file has; the database follows, some batches
   * at a time. What does not fit into the file goes to the database first, and its number to the file after it.
   */
  async #writeAll(voter: Voter): Promise<void> {
    const { clock, disk, memoryFile } = this.#components
    const { counters } = this.#init
    try {
      // Frames of the same turn get into the first batch, too.
      await Promise.resolve()
      for (let batch = voter.takeBatch(); batch !== undefined; batch = voter.takeBatch()) {
        const startedMs = clock.monotonicMs()
        // The slot that is written over next belongs to a batch that the database has. And what deletes looks there for what to delete.
        const needsAll = batch.changes.some((change) => change.kind === 'replace' || (change.kind === 'staged' && change.snapshot === undefined))
        while (this.#stored < this.#prepared && (needsAll || batch.sequence - this.#stored >= slotCount)) await this.#flush()
        const bytes = await disk.prepare(batch, voter.incarnation)
        this.#prepared = batch.sequence
        if (bytes === undefined) while (this.#stored < batch.sequence) await this.#flush()
        await memoryFile.put(batch.sequence, bytes)
        this.#synced = batch.sequence
        counters.batches++
        counters.batchChanges += batch.changes.length
        // Smoothed: one slow sync is no reason to wait longer for the next hour.
        this.#syncMs += (clock.monotonicMs() - startedMs - this.#syncMs) / 8
        this.#release()
        this.#scheduleFlush()
      }
    } catch (error) {
      this.#init.failed(error)
    } finally {
      // In the very turn in which it was seen that there is no more: what came later would find nobody to write it.
      this.#writing = undefined
    }
  }

  /** Soon, or now if half of the slots wait for it. */
  #scheduleFlush(): void {
    const waiting = this.#prepared - this.#stored
    if (waiting === 0 || this.#flushing !== undefined) return
    if (waiting >= slotCount / 2) this.#flush().catch((error: unknown) => { this.#init.failed(error) })
    else this.#cancelFlush ??= this.#components.clock.setTimer(flushAfterMs, () => { this.#flush().catch((error: unknown) => { this.#init.failed(error) }) })
  }

  /** Brings the database up to what was prepared when it began; one at a time. */
  async #flush(): Promise<void> {
    this.#cancelFlush?.()
    this.#cancelFlush = undefined
    this.#flushing ??= this.#flushOnce().finally(() => { this.#flushing = undefined })
    await this.#flushing
    this.#scheduleFlush()
  }

  async #flushOnce(): Promise<void> {
    const through = this.#prepared
    await this.#components.disk.flush()
    this.#stored = through
  }

  /** Lets all replies go whose state is on disk. */
  #release(): void {
    const synced = new Synced(this.#synced)
    const held = this.#held
    this.#held = []
    for (const one of held) {
      if (one.reply.through <= synced.through) one.resolve(one.reply.release(synced))
      else this.#held.push(one)
    }
  }
}
