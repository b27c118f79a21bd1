import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { Slot } from '../rounds/memory.js'
import { decodeSlots, encodeSlot, slotBytes } from '../rounds/memory.js'

/** The second small file of round 11. Knows the number of the last batch that anybody may have been told of. */
export interface MemoryFile {
  /** Undefined: there was none yet. */
  read(): Promise<number | undefined>
  /** Durable when it resolves. Called one at a time. */
  put(sequence: number): Promise<void>
  close(): Promise<void>
}

/** On a file beside the database (not in it: what loses the one must not lose the other). */
export class SlottedMemoryFile implements MemoryFile {
  readonly #path: string
  #handle: FileHandle | undefined
  #last: Slot = { sequence: 0, generation: 0 }

  constructor(init: { path: string }) {
    this.#path = init.path
  }

  async read(): Promise<number | undefined> {
    const handle = await this.#open()
    const { buffer, bytesRead } = await handle.read(new Uint8Array(2 * slotBytes), 0, 2 * slotBytes, 0)
    const slot = decodeSlots(buffer.subarray(0, bytesRead))
    if (slot !== undefined) this.#last = slot
    return slot?.sequence
  }

  async put(sequence: number): Promise<void> {
    const handle = await this.#open()
    const slot = { sequence, generation: this.#last.generation + 1 }
    // The other slot than the last: a torn write leaves the last one whole.
    await handle.write(encodeSlot(slot), 0, slotBytes, (slot.generation % 2) * slotBytes)
    await handle.datasync()
    this.#last = slot
  }

  async close(): Promise<void> {
    await this.#handle?.close()
    this.#handle = undefined
  }

  async #open(): Promise<FileHandle> {
    // 'a+' would append whatever the offset; so r+ where there is a file, w+ where there is none.
    this.#handle ??= await open(this.#path, 'r+').catch(async () => open(this.#path, 'wx+', 0o600))
    return this.#handle
  }
}
