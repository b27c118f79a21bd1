import assert from 'node:assert/strict'
import fc from 'fast-check'
import { BoundedQueue, CommonError, GroupCommit, Limiter, backoffMs, codeOf, forEachLimit, mapInOrder, raceAbort, seededRandom, shuffled, systemClock, withDeadline, withSignals } from '../../../src/base/index.js'

const tick = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('base: limiter', () => {
  it('never runs more than its limit and keeps order of arrival', async () => {
    const limiter = new Limiter({ concurrency: 3 })
    let running = 0
    let most = 0
    const started: number[] = []
    await Promise.all(
      Array.from({ length: 50 }, async (_, i) =>
        limiter.run(async () => {
          started.push(i)
          most = Math.max(most, ++running)
          await tick()
          running--
        }),
      ),
    )
    assert.equal(most, 3)
    assert.deepEqual(started, [...started].sort((a, b) => a - b))
    assert.equal(limiter.running, 0)
  })

  it('refuses past queueMax, and a waiter that is cancelled leaves its place', async () => {
    const limiter = new Limiter({ concurrency: 1, queueMax: 1 })
    let release = (): void => undefined
    const first = limiter.run(async () => new Promise<void>((resolve) => (release = resolve)))
    const controller = new AbortController()
    const second = limiter.run(async () => undefined, controller.signal)
    await assert.rejects(limiter.run(async () => undefined), (error) => codeOf(error) === 'OVERLOADED')
    controller.abort(new CommonError('ABORTED', 'enough'))
    await assert.rejects(second, (error) => codeOf(error) === 'ABORTED')
    const third = limiter.run(async () => 'ran')
    release()
    await first
    assert.equal(await third, 'ran')
  })

  it('a failing piece of work frees its place', async () => {
    const limiter = new Limiter({ concurrency: 1 })
    await assert.rejects(limiter.run(async () => Promise.reject(new Error('no'))))
    assert.equal(await limiter.run(async () => 1), 1)
  })
})

describe('base: forEachLimit', () => {
  it('handles every item once, within the limit', async () => {
    const seen: number[] = []
    let running = 0
    let most = 0
    await forEachLimit(Array.from({ length: 100 }, (_, i) => i), 7, async (i) => {
      most = Math.max(most, ++running)
      await tick()
      seen.push(i)
      running--
    })
    assert.equal(most, 7)
    assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i))
  })

  it('rejects with the first error after what runs has ended', async () => {
    let running = 0
    await assert.rejects(
      forEachLimit([1, 2, 3, 4, 5], 2, async (i) => {
        running++
        await tick()
        running--
        if (i === 2) throw new Error('two')
      }),
      /two/,
    )
    assert.equal(running, 0)
  })
})

describe('base: mapInOrder', () => {
  async function* count(to: number): AsyncGenerator<number> {
    for (let i = 0; i < to; i++) {
      await tick()
      yield i
    }
  }

  it('keeps the order, works ahead within its limit', async () => {
    let running = 0
    let most = 0
    const got: number[] = []
    for await (const item of mapInOrder(count(60), 5, async (i) => {
      most = Math.max(most, ++running)
      for (let turns = (i * 7) % 5; turns >= 0; turns--) await tick()
      running--
      return i
    })) {
      got.push(item)
    }
    assert.deepEqual(got, Array.from({ length: 60 }, (_, i) => i))
    assert.ok(most > 1 && most <= 5, String(most))
  })

  it('ends with the first error, after what runs, and when the consumer leaves', async () => {
    const got: number[] = []
    await assert.rejects(async () => {
      for await (const item of mapInOrder(count(20), 4, async (i) => {
        await tick()
        if (i === 7) throw new Error('seven')
        return i
      })) {
        got.push(item)
      }
    }, /seven/)
    assert.deepEqual(got, [0, 1, 2, 3, 4, 5, 6])
    let running = 0
    for await (const item of mapInOrder(count(20), 4, async (i) => {
      running++
      await tick()
      running--
      return i
    })) {
      if (item === 3) break
    }
    assert.equal(running, 0)
  })
})

describe('base: bounded queue', () => {
  it('delivers everything in order and never holds more than its capacity', async () => {
    const queue = new BoundedQueue<number>(4)
    let most = 0
    const produce = (async () => {
      for (let i = 0; i < 500; i++) {
        await queue.push(i)
        most = Math.max(most, queue.size)
      }
      queue.end()
    })()
    const got: number[] = []
    for await (const item of queue) {
      got.push(item)
      if (item % 7 === 0) await tick()
    }
    await produce
    assert.deepEqual(got, Array.from({ length: 500 }, (_, i) => i))
    assert.ok(most <= 4)
  })

  it('a consumer that leaves does not leave the producer waiting', async () => {
    const queue = new BoundedQueue<number>(1)
    const produce = (async () => {
      for (let i = 0; ; i++) await queue.push(i)
    })()
    for await (const item of queue) if (item === 3) break
    await assert.rejects(produce)
  })

  it('passes an error on at once', async () => {
    const queue = new BoundedQueue<number>(8)
    await queue.push(1)
    queue.fail(new Error('broken'))
    await assert.rejects(async () => {
      for await (const item of queue) assert.fail(`got ${String(item)}`)
    }, /broken/)
  })
})

describe('base: group commit', () => {
  it('answers each caller after its own batch, keeps order, never splits a caller, shares batches', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 40 }), async (sizes) => {
        const batches: string[][] = []
        const commit = new GroupCommit<string>({
          operationsMax: 8,
          write: async (operations) => {
            await tick()
            batches.push(operations)
          },
        })
        await Promise.all(
          sizes.map(async (size, i) => {
            const mine = Array.from({ length: size }, (_, j) => `${String(i)}.${String(j)}`)
            await commit.commit(mine)
            const batch = batches.find((operations) => operations.includes(mine[0] ?? ''))
            assert.ok(batch !== undefined && mine.every((operation) => batch.includes(operation)))
          }),
        )
        const expected = sizes.flatMap((size, i) => Array.from({ length: size }, (_, j) => `${String(i)}.${String(j)}`))
        assert.deepEqual(batches.flat(), expected)
        assert.ok(batches.every((batch) => batch.length <= 8))
        await commit.idle()
      }),
      { numRuns: 50 },
    )
  })

  it('a batch that fails rejects its callers only', async () => {
    let fail = true
    const commit = new GroupCommit<number>({
      operationsMax: 1,
      write: async () => {
        if (fail) {
          fail = false
          throw new Error('disk')
        }
      },
    })
    const outcomes = await Promise.allSettled([commit.commit([1]), commit.commit([2])])
    assert.deepEqual(outcomes.map((outcome) => outcome.status), ['rejected', 'fulfilled'])
  })
})

describe('base: deadlines', () => {
  it('rejects with DEADLINE, and tells the work', async () => {
    let told = false
    await assert.rejects(
      withDeadline(systemClock, 5, undefined, async (signal) => {
        signal.addEventListener('abort', () => (told = true))
        return new Promise(() => undefined)
      }),
      (error) => codeOf(error) === 'DEADLINE',
    )
    assert.ok(told)
  })

  it("rejects with the caller's reason", async () => {
    const controller = new AbortController()
    const work = withDeadline(systemClock, 10_000, controller.signal, async () => new Promise(() => undefined))
    controller.abort(new CommonError('ABORTED', 'changed my mind'))
    await assert.rejects(work, /changed my mind/)
    await assert.rejects(raceAbort(Promise.reject(new Error('late')), controller.signal), /changed my mind/)
  })
})

describe('base: one of several signals', () => {
  it('aborts with the first, whoever it is, and with one that has aborted already', async () => {
    for (const which of [0, 1]) {
      const controllers = [new AbortController(), new AbortController()]
      const aborted = withSignals([undefined, ...controllers.map(({ signal }) => signal)], async (signal) => {
        return new Promise<unknown>((resolve) => {
          signal.addEventListener('abort', () => {
            resolve(signal.reason)
          })
        })
      })
      controllers[which]?.abort(`by ${String(which)}`)
      assert.equal(await aborted, `by ${String(which)}`)
    }
    await withSignals([AbortSignal.abort('before'), new AbortController().signal], async (signal) => {
      assert.equal(signal.reason, 'before')
    })
  })

  it('leaves nothing behind at a signal that lives on', async () => {
    const { signal } = new AbortController()
    const listening = { now: 0 }
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
    signal.addEventListener = (...rest: Parameters<typeof add>) => {
      listening.now++
      add(...rest)
    }
    signal.removeEventListener = (...rest: Parameters<typeof remove>) => {
      listening.now--
      remove(...rest)
    }
    await withSignals([signal], async () => {
      assert.equal(listening.now, 1)
    })
    await assert.rejects(withSignals([signal], async () => Promise.reject(new Error('no'))), /no/)
    assert.equal(listening.now, 0)
    assert.deepEqual(Object.getOwnPropertySymbols(signal).filter((key) => String(key).includes('Dependant')), [])
  })
})

describe('base: chance', () => {
  it('the same seed gives the same stream, another seed another', () => {
    const draw = (seed: number): number[] => {
      const random = seededRandom(seed)
      return Array.from({ length: 20 }, () => random.below(1000))
    }
    assert.deepEqual(draw(7), draw(7))
    assert.notDeepEqual(draw(7), draw(8))
  })

  it('shuffled is a permutation, and backoff stays in its bounds', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(fc.integer()), fc.nat(40), (seed, items, attempt) => {
        const random = seededRandom(seed)
        assert.deepEqual(shuffled(items, random).sort((a, b) => a - b), [...items].sort((a, b) => a - b))
        const wait = backoffMs(attempt, { minMs: 10, maxMs: 5000 }, random)
        assert.ok(wait >= 0 && wait <= Math.min(5000, 10 * 2 ** attempt))
      }),
    )
  })
})
