import type { KeyRange, KeyValue, WriteOperation } from '../../../src/base/index.js'

/** The ordered store in memory: sorted keys, atomic writes, iterators that see the moment they began. */
export class MemoryKeyValue implements KeyValue {
  readonly #prefix: Buffer
  readonly #data: { keys: Buffer[]; values: Map<string, Uint8Array> }
  /** Set to make the next writes fail. */
  failWrites = false
  writes = 0
  readonly #root: MemoryKeyValue

  constructor(parent?: MemoryKeyValue, prefix = '') {
    this.#root = parent === undefined ? this : parent.#root
    this.#data = parent === undefined ? { keys: [], values: new Map() } : parent.#data
    this.#prefix = Buffer.concat([parent === undefined ? Buffer.alloc(0) : parent.#prefix, Buffer.from(prefix)])
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#data.values.get(this.#full(key).toString('latin1'))
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return Promise.all(keys.map(async (key) => this.get(key)))
  }

  async *entries(range: KeyRange = {}): AsyncIterable<readonly [Uint8Array, Uint8Array]> {
    const { keys, values } = this.#data
    const low = range.gte ?? range.gt
    let at = low === undefined ? this.#find(this.#prefix) : this.#find(this.#full(low))
    const found: [Uint8Array, Uint8Array][] = []
    for (; at < keys.length && found.length < (range.limit ?? Number.POSITIVE_INFINITY); at++) {
      const full = keys[at]!
      if (!full.subarray(0, this.#prefix.length).equals(this.#prefix)) break
      const key = full.subarray(this.#prefix.length)
      if (range.gt !== undefined && Buffer.compare(key, range.gt) <= 0) continue
      if (range.lt !== undefined && Buffer.compare(key, range.lt) >= 0) break
      if (range.lte !== undefined && Buffer.compare(key, range.lte) > 0) break
      found.push([key, values.get(full.toString('latin1'))!])
    }
    yield* found
  }

  put(key: Uint8Array, value: Uint8Array): WriteOperation {
    return { type: 'put', key: this.#full(key), value: Uint8Array.from(value) }
  }

  del(key: Uint8Array): WriteOperation {
    return { type: 'del', key: this.#full(key) }
  }

  async write(operations: readonly WriteOperation[]): Promise<void> {
    await Promise.resolve()
    if (this.#root.failWrites) throw Object.assign(new Error('the disk is full'), { code: 'NO_SPACE' })
    this.#root.writes++
    const { keys, values } = this.#data
    for (const operation of operations) {
      const key = Buffer.from(operation.key)
      const text = key.toString('latin1')
      const has = values.has(text)
      if (operation.type === 'put') {
        if (!has) keys.splice(this.#find(key), 0, key)
        values.set(text, operation.value)
      } else if (has) {
        keys.splice(this.#find(key), 1)
        values.delete(text)
      }
    }
  }

  slice(prefix: string): KeyValue {
    return new MemoryKeyValue(this, prefix)
  }

  /** All of it, to compare two nodes by. */
  dump(): string[] {
    return this.#data.keys.map((key) => `${key.toString('latin1')}=${Buffer.from(this.#data.values.get(key.toString('latin1'))!).toString('hex')}`)
  }

  #full(key: Uint8Array): Buffer {
    return Buffer.concat([this.#prefix, key])
  }

  #find(key: Uint8Array): number {
    const { keys } = this.#data
    let low = 0
    let high = keys.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (Buffer.compare(keys[middle]!, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
