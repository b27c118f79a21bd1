import assert from 'node:assert/strict'
import { RowReads } from '../../../src/volumes/disk/row-reads.js'

/** Answers what was asked when it is told to; a key that begins with 9 is damaged. */
class Log {
  readonly asked: number[][] = []
  readonly #answers: (() => void)[] = []

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const [value] = await this.#answered([key])
    return value
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#answered(keys)
  }

  answer(): void {
    for (const one of this.#answers.splice(0)) one()
  }

  async #answered(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    this.asked.push(keys.map((key) => key[0] ?? 0))
    await new Promise<void>((resolve) => { this.#answers.push(resolve) })
    if (keys.some((key) => key[0] === 9)) throw new Error('damaged')
    return keys.map((key) => (key[0] === 0 ? undefined : Uint8Array.of(key[0] ?? 0, 1)))
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

describe('reads of rows', () => {
  it('those of one moment go together, each with its own answer, and those that come meanwhile wait for a thread', async () => {
    const log = new Log()
    const reads = new RowReads({ log })
    const first = Array.from({ length: 10 }, async (_, i) => reads.get(Uint8Array.of(i === 9 ? 10 : i)))
    await turn()
    assert.deepEqual(log.asked, [[0, 1, 2], [3, 4, 5], [6, 7], [8, 10]])
    const second = Array.from({ length: 70 }, async (_, i) => reads.get(Uint8Array.of(100 + i)))
    await turn()
    assert.equal(log.asked.length, 4, 'all threads are busy')
    log.answer()
    assert.deepEqual(await Promise.all(first), [undefined, ...[1, 2, 3, 4, 5, 6, 7, 8, 10].map((n) => Buffer.of(n, 1))].map((value) => (value === undefined ? undefined : new Uint8Array(value))))
    await turn()
    assert.deepEqual(log.asked.slice(4).map((keys) => keys.length), [16, 16, 16, 16], 'no group is longer than it may be')
    log.answer()
    await turn()
    log.answer()
    assert.deepEqual((await Promise.all(second)).map((value) => value?.[0]), Array.from({ length: 70 }, (_, i) => 100 + i))
  })

  it('one alone is not held up', async () => {
    const log = new Log()
    const reads = new RowReads({ log })
    const one = reads.get(Uint8Array.of(5))
    await Promise.resolve()
    assert.deepEqual(log.asked, [[5]])
    log.answer()
    assert.deepEqual(await one, Uint8Array.of(5, 1))
  })

  it('a row that cannot be read fails its own read and no other', async () => {
    const log = new Log()
    const reads = new RowReads({ log })
    const all = Promise.allSettled([7, 9, 8, 6, 5, 4, 3, 2].map(async (n) => reads.get(Uint8Array.of(n))))
    for (let i = 0; i < 6; i++) {
      await turn()
      log.answer()
    }
    assert.deepEqual((await all).map((one) => one.status), ['fulfilled', 'rejected', ...Array.from({ length: 6 }, () => 'fulfilled')])
    const after = reads.get(Uint8Array.of(1))
    await turn()
    log.answer()
    assert.deepEqual(await after, Uint8Array.of(1, 1), 'threads are free again')
  })
})
