import type { Database } from './database.js'

/**
 * Point reads of `meta`, many in one. Each call into LevelDB costs the event loop the hand-over to a thread and back
 * (30 µs and more on a busy machine), and storing one small file asks some twenty questions; so while reads are under
 * way, whatever is asked meanwhile is gathered into the next one. Who asks alone is served at once.
 *
 * Road not taken: `getSync` is faster still while everything is in memory, and stops the whole node for a disk's seek
 * when it is not.
 */
export class Lookups {
  readonly #database: Database
  #waiting: Waiting[] = []
  #running = 0

  constructor(components: { database: Database }) {
    this.#database = components.database
  }

  /** A read sees every write that was answered before it was asked. */
  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ key, resolve, reject })
      if (this.#waiting.length === 1 && this.#running < runningMax) queueMicrotask(() => { this.#next() })
    })
  }

  /** In the order of `keys`. Few of them go with others' questions; many are a call of their own. */
  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    if (keys.length <= fewKeys) return Promise.all(keys.map(async (key) => this.get(key)))
    return this.#database.read(async (level) => level.getMany(keys))
  }

  #next(): void {
    if (this.#waiting.length === 0 || this.#running >= runningMax) return
    const group = this.#waiting.splice(0, keysMax)
    this.#running++
    this.#read(group).finally(() => {
      this.#running--
      this.#next()
    }).catch(() => undefined)
  }

  async #read(group: readonly Waiting[]): Promise<void> {
    try {
      const values = await this.#database.read(async (level) => level.getMany(group.map(({ key }) => key)))
      for (const [i, { resolve }] of group.entries()) resolve(values[i])
    } catch (error) {
      for (const { reject } of group) reject(error)
    }
  }
}

interface Waiting {
  key: Uint8Array
  resolve: (value: Uint8Array | undefined) => void
  reject: (error: unknown) => void
}

/** Two keep a disk with a queue busy; more would only make the groups smaller. */
const runningMax = 2
/** From here on a call of one's own costs less than waiting in line. */
const fewKeys = 8
/** One call into LevelDB must not take long: others wait for its thread. */
const keysMax = 256
