import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { seededRandom, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import type { Store, StoreInit } from '../../../src/store/index.js'
import { openStore } from '../../../src/store/index.js'

export const components = { clock: systemClock, random: systemRandom, log: silentLog }

export function cidOf(bytes: Uint8Array, codec = 0x55): CID {
  return CID.createV1(codec, Digest.create(0x12, createHash('sha256').update(bytes).digest()))
}

export interface Block {
  cid: CID
  bytes: Uint8Array
}

const made = new Map<string, Block>()

/** The same number gives the same block. */
export function block(number: number, size = 1000): Block {
  const name = `${String(number)} ${String(size)}`
  const known = made.get(name)
  if (known !== undefined) return known
  const bytes = seededRandom(number + 1).bytes(Math.min(size, 4096))
  const whole = new Uint8Array(size)
  for (let offset = 0; offset < size; offset += bytes.length) whole.set(bytes.subarray(0, Math.min(bytes.length, size - offset)), offset)
  const one = { cid: cidOf(whole), bytes: whole }
  made.set(name, one)
  return one
}

export function blocks(count: number, size = 1000, from = 0): Block[] {
  return Array.from({ length: count }, (_, i) => block(from + i, size))
}

/** Small buffers: tests fill them, and a slow disk is not asked for more than it must. */
export async function openHome(home: string, init: Partial<StoreInit> = {}): Promise<Store> {
  return openStore(components, { home, writeBufferBytes: 4 * 1024 * 1024, ...init })
}

export async function putAll(store: Store, all: readonly Block[], id = 'draft', operations: Parameters<Awaited<ReturnType<Store['blocks']['draft']>>['commit']>[0] = []): Promise<void> {
  const draft = await store.blocks.draft(id)
  await Promise.all(all.map(async ({ cid, bytes }) => draft.put(cid, bytes)))
  await draft.commit(operations)
}

/** A home that is deleted at the end, and the stores that were opened in it are closed before. */
export class Home {
  readonly #stores: Store[] = []
  path = ''

  async make(): Promise<void> {
    this.path = await mkdtemp(join(tmpdir(), 'mesh-store-'))
  }

  async open(init: Partial<StoreInit> = {}): Promise<Store> {
    return this.openAt(this.path, init)
  }

  async openAt(path: string, init: Partial<StoreInit> = {}): Promise<Store> {
    const store = await openHome(path, init)
    this.#stores.push(store)
    return store
  }

  async remove(): Promise<void> {
    await Promise.allSettled(this.#stores.splice(0).map(async (store) => store.close()))
    await rm(this.path, { recursive: true, force: true })
  }
}

export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    bytes += entry.isDirectory() ? await folderBytes(path) : (await stat(path)).size
  }
  return bytes
}

export async function collect<T>(all: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of all) items.push(item)
  return items
}

/** Polls, since what is waited for happens in the background; fails after `withinMs`. */
export async function until(what: string, condition: () => Promise<boolean> | boolean, withinMs = 10_000): Promise<void> {
  const endMs = systemClock.monotonicMs() + withinMs
  while (!(await condition())) {
    if (systemClock.monotonicMs() > endMs) throw new Error(`not within ${String(withinMs)} ms: ${what}`)
    await systemClock.sleep(10)
  }
}
