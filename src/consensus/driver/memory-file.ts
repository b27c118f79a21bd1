import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { Slot } from '../rounds/memory.js'
import { decodeSlots, encodeSlot, slotAt, slotFileBytes, slotsAt } from '../rounds/memory.js'

/** The second small file of round 11. Has the last batches that anybody may have been told of, or at least their numbers. */
export interface MemoryFile {
  /** In the order in which they were put; empty if there was none yet. */
  read(): Promise<readonly Slot[]>
  /** Durable when it resolves. Called one at a time. A batch has `slotBatchBytesMax` at most. */
  put(sequence: number, batch?: Uint8Array): Promise<void>
  close(): Promise<void>
}

/**
 * A write that returns when it is on disk is one way through the thread pool, not two; Linux keeps the promise as fdatasync
 * does. macOS does not (its drives reorder), and Windows has no such flag: there the file is synced after the write.
 */
const syncedWrites = process.platform === 'linux' ? constants.O_DSYNC : 0

/** On a file beside the database (not in it: what loses the one must not lose the other). */
export class SlottedMemoryFile implements MemoryFile {
  readonly #path: string
  #handle: FileHandle | undefined
  #last: Slot = { sequence: 0, generation: 0 }

  constructor(init: { path: string }) {
    this.#path = init.path
  }

  async read(): Promise<readonly Slot[]> {
    const handle = await this.#open()
    const { buffer, bytesRead } = await handle.read(new Uint8Array(slotFileBytes), 0, slotFileBytes, 0)
    const slots = decodeSlots(buffer.subarray(0, bytesRead))
    this.#last = slots[slots.length - 1] ?? this.#last
    // At its full length from the start: a write that makes a file longer costs a second one, of its length.
    if (bytesRead < slotFileBytes) {
      await handle.write(new Uint8Array(slotFileBytes - Math.max(bytesRead, slotsAt)), 0, null, Math.max(bytesRead, slotsAt))
      await handle.sync()
    }
    return slots
  }

  async put(sequence: number, batch?: Uint8Array): Promise<void> {
    const handle = await this.#open()
    const slot: Slot = { sequence, generation: this.#last.generation + 1, ...(batch === undefined ? {} : { batch }) }
    const bytes = encodeSlot(slot)
    // The slot after the last: a torn write leaves the others whole.
    await handle.write(bytes, 0, bytes.length, slotAt(slot.generation))
    if (syncedWrites === 0) await handle.datasync()
    this.#last = { sequence, generation: slot.generation }
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
  }

  async #open(): Promise<FileHandle> {
    // Not made and opened in one: a file that is there must not be emptied.
    this.#handle ??= await open(this.#path, constants.O_RDWR | syncedWrites).catch(async () => {
      const flags = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL
      return open(this.#path, flags | syncedWrites, 0o600)
    })
    return this.#handle
  }
}
