// How a system outside of the mesh uses fencing tokens: a store of small values on disk that remembers with each value
// the token it was written under, and refuses a lower one. That is all there is to it. The lease keeps writers apart while
// clocks keep their bounds; this comparison keeps the data right when they do not: whoever froze, and wakes up believing
// in a lease that others have had since, comes with a lower token.
//
//   mesh-node lease run counter -- npx tsx scripts/fenced-store.ts FOLDER put counter 42     # token: MESH_LEASE_TOKEN
//   npx tsx scripts/fenced-store.ts FOLDER get counter
//
// The token must travel with every write, and be compared where the data is, in the same step as the write: asking first
// "is my lease still good?" and then writing leaves a gap in which one can freeze.
import { mkdirSync, readFileSync } from 'node:fs'
import { open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

export interface Stored {
  readonly token: number
  readonly value: string
}

export class StaleTokenError extends Error {
  readonly code = 'STALE_TOKEN'
  readonly current: number

  constructor(token: number, current: number) {
    super(`token ${String(token)} is lower than ${String(current)}, under which somebody has written already`)
    this.current = current
  }
}

/** Another process writes for milliseconds; longer means that it died there. */
const lockTries = 1000
const lockEveryMs = 5

/** One file per key, `{"token","value"}`, replaced whole; one writer at a time, whatever the number of processes. */
export class FencedStore {
  readonly #folder: string

  constructor(init: { folder: string }) {
    this.#folder = init.folder
    mkdirSync(init.folder, { recursive: true })
  }

  get(key: string): Stored | undefined {
    try {
      return JSON.parse(readFileSync(this.#file(key), 'utf8')) as Stored
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
      throw error
    }
  }

  /**
   * Writes if the token is not lower than that of the value which is there; equal is the same holder again. Durable when
   * it resolves. `change` is given what is there, so that reading, comparing and writing are one step. Throws STALE_TOKEN.
   */
  async put(key: string, token: number, change: (before: Stored | undefined) => string): Promise<Stored> {
    return this.#alone(key, async () => {
      const before = this.get(key)
      if (before !== undefined && token < before.token) throw new StaleTokenError(token, before.token)
      const next = { token, value: change(before) }
      const temporary = `${this.#file(key)}.new`
      const handle = await open(temporary, 'w')
      try {
        await handle.writeFile(JSON.stringify(next))
        await handle.sync()
      } finally {
        await handle.close()
      }
      await rename(temporary, this.#file(key))
      const folder = await open(this.#folder, 'r')
      await folder.sync().finally(async () => folder.close())
      return next
    })
  }

  async #alone<T>(key: string, work: () => Promise<T>): Promise<T> {
    const lock = `${this.#file(key)}.lock`
    for (let tries = 0; ; tries++) {
      try {
        await (await open(lock, 'wx')).close()
        break
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        if (tries >= lockTries) throw new Error(`${lock} is in the way; remove it if nobody writes`, { cause: error })
        await new Promise((resolve) => { setTimeout(resolve, lockEveryMs) })
      }
    }
    try {
      return await work()
    } finally {
      await rm(lock, { force: true })
    }
  }

  #file(key: string): string {
    return join(this.#folder, encodeURIComponent(key).replaceAll('.', '%2E'))
  }
}

async function main([folder, verb, key, value]: readonly string[]): Promise<number> {
  const token = Number(process.env.MESH_LEASE_TOKEN ?? 'none')
  if (folder === undefined || key === undefined || !(verb === 'get' || (verb === 'put' && value !== undefined && Number.isSafeInteger(token)))) {
    process.stderr.write('fenced-store FOLDER get KEY | fenced-store FOLDER put KEY VALUE (with MESH_LEASE_TOKEN set, as `lease run` does)\n')
    return 2
  }
  const store = new FencedStore({ folder })
  try {
    const stored = verb === 'get' ? store.get(key) : await store.put(key, token, () => value ?? '')
    if (stored === undefined) return 1
    process.stdout.write(`${JSON.stringify(stored)}\n`)
    return 0
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`)
    return 1
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) process.exitCode = await main(process.argv.slice(2))
