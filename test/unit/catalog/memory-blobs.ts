import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as digestOf } from 'multiformats/hashes/digest'
import { raceAbort } from '../../../src/base/index.js'
import type { HeldBlob, Imported, ImportManyOptions, ImportOptions } from '../../../src/blobs/index.js'
import type { FileBlobs } from '../../../src/catalog/index.js'
import type { MemoryKeyValue } from './memory-key-value.js'

export function rawCid(bytes: Uint8Array): CID {
  return CID.createV1(0x55, digestOf(0x12, createHash('sha256').update(bytes).digest()))
}

/** Blobs in memory: content is one blob, named by its hash; a content of several blobs is registered by hand. */
export class MemoryBlobs implements FileBlobs {
  readonly content = new Map<string, Uint8Array>()
  readonly several = new Map<string, { size: number; blobs: CID[] }>()
  blobsOfFails = false
  /** What `blobsOf` waits for, unless it is told to stop before. */
  beforeList: () => Promise<void> = async () => undefined
  /** Calls of `blobsOf`. */
  listed = 0
  dropped: string[] = []
  /** How many contents came with each call of `importMany`. */
  readonly groups: number[] = []
  /** Contents that are about to be written together, when `beforeCommit` is called. */
  committing = 0
  beforeCommit: () => Promise<void> = async () => undefined
  readonly #meta: MemoryKeyValue

  constructor(meta: MemoryKeyValue) {
    this.#meta = meta
  }

  async import(content: AsyncIterable<Uint8Array>, options: ImportOptions = {}): Promise<Imported> {
    const chunks = []
    for await (const chunk of content) {
      options.signal?.throwIfAborted()
      chunks.push(chunk)
    }
    const bytes = Buffer.concat(chunks)
    const cid = rawCid(bytes)
    const several = this.several.get(cid.toString())
    const imported: Imported = {
      cid,
      size: several?.size ?? bytes.length,
      blobs: several === undefined ? [{ cid, kind: 'dag' }] : [...several.blobs.map((one) => ({ cid: one, kind: 'dag' as const })), { cid, kind: 'spine' as const }],
    }
    const operations = (await options.operations?.(imported)) ?? []
    this.committing = 1
    await this.beforeCommit()
    await this.#meta.write(operations)
    for (const blob of imported.blobs) this.content.set(blob.cid.toString(), bytes)
    return imported
  }

  async importMany(contents: readonly Uint8Array[], options: ImportManyOptions = {}): Promise<Imported[]> {
    const imported = contents.map((bytes): Imported => {
      const cid = rawCid(bytes)
      return { cid, size: bytes.length, blobs: [{ cid, kind: 'dag' }] }
    })
    const operations = (await options.operations?.(imported)) ?? []
    this.committing = contents.length
    await this.beforeCommit()
    await this.#meta.write(operations)
    for (const [i, { cid }] of imported.entries()) this.content.set(cid.toString(), contents[i] ?? new Uint8Array(0))
    this.groups.push(contents.length)
    return imported
  }

  async blobsOf(root: CID, options: { signal?: AbortSignal } = {}): ReturnType<FileBlobs['blobsOf']> {
    this.listed++
    await raceAbort(this.beforeList(), options.signal)
    if (this.blobsOfFails) throw Object.assign(new Error('nobody has it'), { code: 'NO_HOLDERS' })
    const several = this.several.get(root.toString())
    return several === undefined ? [{ cid: root, kind: 'dag' }] : [...several.blobs.map((cid) => ({ cid, kind: 'dag' as const })), { cid: root, kind: 'spine' as const }]
  }

  async held(cid: CID): Promise<HeldBlob | undefined> {
    const bytes = this.content.get(cid.toString())
    return bytes === undefined ? undefined : { cid, kind: 'dag', bytes: bytes.length, blocks: 1, heldSinceMs: 0 }
  }

  async drop(cid: CID, options: { stillUnwanted?: () => Promise<boolean> } = {}): Promise<void> {
    if (options.stillUnwanted !== undefined && !(await options.stillUnwanted())) return
    this.content.delete(cid.toString())
    this.dropped.push(cid.toString())
  }
}

export async function* bytesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}
