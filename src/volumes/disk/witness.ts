import type { AppendLog, KeyValue, WriteOperation } from '../../base/index.js'
import { RecordWriter } from './bytes.js'
import { framed, unframed } from './segments.js'

/**
 * What was synced, told in a second place. A log cannot say where it ended: if damage takes its last rows, LevelDB leaves
 * them out, and what is left looks like a log that was never longer. Where nobody else has a copy, writes that a flush
 * covered would be gone without a word. So the last synced row of each segment is written to the other database, durably,
 * about once a second; a start that does not find it counts the segment as damaged.
 *
 * What was synced within the last second or so before the power went may not have been told yet: of that nothing is known.
 * Told only until the next checkpoint: what came before is in the index, which misses its rows when they are read.
 *
 * Road not taken: telling it with every sync. Each flush would wait for two disks' worth of syncs.
 */
export class Witness {
  readonly #log: AppendLog
  readonly #meta: KeyValue
  /** By key of a segment: its last row since the last sync began. */
  #written = new Map<Uint8Array, number>()
  /** By key in hex. Synced, and not told yet. */
  #synced = new Map<string, number>()
  /** On disk in the other database. */
  readonly #told = new Map<string, number>()
  /** Last rows that a replay found, of those that it should. */
  readonly #found = new Map<string, number>()

  constructor(components: { log: AppendLog; meta: KeyValue }) {
    this.#log = components.log
    this.#meta = components.meta.slice('w')
  }

  /** The last row that was told of; 0 for none. */
  get lastPosition(): number {
    return Math.max(0, ...this.#told.values())
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.#meta.entries()) {
      try {
        this.#told.set(hexOf(key), unframed(value, 'a witness').position)
      } catch {
        // One that cannot be read says nothing, and is written over.
      }
    }
  }

  found(segment: Uint8Array, position: number): void {
    if (this.#told.size === 0) return
    const key = hexOf(segment)
    if (this.#told.has(key)) this.#found.set(key, Math.max(position, this.#found.get(key) ?? 0))
  }

  /** Segments of which synced rows after the mark are not in the log any more. */
  missing(mark: number): Uint8Array[] {
    const missing = [...this.#told].filter(([key, position]) => position > mark && (this.#found.get(key) ?? 0) < position)
    this.#found.clear()
    return missing.map(([key]) => Uint8Array.from(Buffer.from(key, 'hex')))
  }

  written(segment: Uint8Array, position: number): void {
    this.#written.set(segment, position)
  }

  /** Syncs the log. */
  async sync(): Promise<void> {
    const written = this.#written
    if (written.size > 0) this.#written = new Map()
    try {
      await this.#log.sync()
    } catch (error) {
      for (const [segment, position] of written) if (!this.#written.has(segment)) this.#written.set(segment, position)
      throw error
    }
    for (const [segment, position] of written) raise(this.#synced, hexOf(segment), position)
  }

  /** Durable when it resolves. */
  async tell(): Promise<void> {
    if (this.#synced.size === 0) return
    const told = this.#synced
    this.#synced = new Map()
    try {
      await this.#meta.write([...told].map(([key, position]) => this.#meta.put(Buffer.from(key, 'hex'), framed(position, new RecordWriter()))), { durable: true })
    } catch (error) {
      for (const [key, position] of told) raise(this.#synced, key, position)
      throw error
    }
    for (const [key, position] of told) raise(this.#told, key, position)
  }

  /** Everything up to the mark is in the index. What to write with that. */
  forget(mark: number): WriteOperation[] {
    for (const [segment, position] of this.#written) if (position <= mark) this.#written.delete(segment)
    for (const [key, position] of this.#synced) if (position <= mark) this.#synced.delete(key)
    const gone = [...this.#told].filter(([, position]) => position <= mark)
    for (const [key] of gone) this.#told.delete(key)
    return gone.map(([key]) => this.#meta.del(Buffer.from(key, 'hex')))
  }
}

function raise(positions: Map<string, number>, key: string, position: number): void {
  positions.set(key, Math.max(position, positions.get(key) ?? 0))
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}
