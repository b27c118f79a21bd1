import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { forEachGathered } from '../../../src/catalog/gathering.js'

/** Numbers below 100 are small, and count as many bytes as they say; others stand alone. */
const init = { bytesOf: (item: number) => (item < 100 ? item : undefined), itemsMax: 4, bytesMax: 50, groupsAtOnce: 2, worksAtOnce: 8 }

async function* from(items: readonly number[]): AsyncGenerator<number> {
  yield* items
}

/** Work that ends when it is told to, in any order. */
class Manual {
  readonly begun: number[][] = []
  readonly #ends: { end: () => void; fail: (error: Error) => void }[] = []
  running = 0
  most = 0

  async one(item: number): Promise<void> {
    await this.many([item])
  }

  async many(items: readonly number[]): Promise<void> {
    this.begun.push([...items])
    this.most = Math.max(this.most, ++this.running)
    try {
      await new Promise<void>((resolve, reject) => this.#ends.push({ end: resolve, fail: reject }))
    } finally {
      this.running--
    }
  }

  end(index: number): void {
    this.#ends[index]?.end()
  }

  fail(index: number, error: Error): void {
    this.#ends[index]?.fail(error)
  }

  /** Lets whatever begins come to its end until `working` does. */
  async finish(working: Promise<void>): Promise<void> {
    let over = false
    const watched = working.finally(() => (over = true))
    watched.catch(() => undefined)
    for (let i = 0; !over; i = 0) {
      for (; i < this.#ends.length; i++) this.end(i)
      await turn()
    }
    await watched
  }
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve))
}

describe('catalog: gathering', () => {
  it('begins with the first at once, and gathers what comes meanwhile', async () => {
    const work = new Manual()
    const working = forEachGathered(from([1, 2, 3]), init, work)
    await turn()
    assert.deepEqual(work.begun, [[1]])
    work.end(0)
    await turn()
    assert.deepEqual(work.begun, [[1], [2, 3]])
    await work.finish(working)
  })

  it('begins a second group beside the first when it is full, by number or by bytes, and no third', async () => {
    const work = new Manual()
    const working = forEachGathered(from([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), init, work)
    await turn()
    assert.deepEqual(work.begun, [[1], [2, 3, 4, 5]])
    work.end(1)
    await turn()
    assert.deepEqual(work.begun, [[1], [2, 3, 4, 5], [6, 7, 8, 9]])
    await work.finish(working)
    assert.deepEqual(work.begun.flat(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    assert.equal(work.most, 2)
    const large = new Manual()
    const both = forEachGathered(from([1, 30, 30, 30]), init, large)
    await turn()
    assert.deepEqual(large.begun, [[1], [30, 30]])
    await large.finish(both)
  })

  it('works on what is not small by itself, so many at once', async () => {
    const work = new Manual()
    const working = forEachGathered(from([100, 101, 102, 103]), { ...init, worksAtOnce: 3 }, work)
    await turn()
    assert.deepEqual(work.begun, [[100], [101], [102]])
    await work.finish(working)
    assert.deepEqual(work.begun, [[100], [101], [102], [103]])
    assert.equal(work.most, 3)
  })

  it('works on all that a source gave before it broke, and tells that it did', async () => {
    const work = new Manual()
    const source = async function* (): AsyncGenerator<number> {
      yield* [1, 2, 3]
      throw new Error('broken')
    }
    await assert.rejects(work.finish(forEachGathered(source(), init, work)), /broken/)
    assert.deepEqual(work.begun, [[1], [2, 3]])
  })

  it('ends with the first error, when what runs has ended, and leaves the source alone', async () => {
    const work = new Manual()
    let left = false
    const source = async function* (): AsyncGenerator<number> {
      try {
        for (;;) yield 100
      } finally {
        left = true
      }
    }
    let ended = false
    const working = forEachGathered(source(), { ...init, worksAtOnce: 2 }, work).finally(() => (ended = true))
    working.catch(() => undefined)
    await turn()
    work.fail(0, new Error('full'))
    await turn()
    assert.ok(left)
    assert.equal(ended, false)
    work.end(1)
    await assert.rejects(working, /full/)
  })
})
