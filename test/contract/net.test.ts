import assert from 'node:assert/strict'
import { CodedError, CommonError, abortReason, codeOf, seededRandom } from '../../src/base/index.js'
import type { ByteStream, NodeId, RpcMethod } from '../../src/base/index.js'
import type { Net } from '../../src/net/types.js'
import { VirtualClock } from '../simulation/net-clock.js'
import { SimulatedNetwork, idOf } from '../simulation/net-twin.js'
import { FakeMesh, addressOf, startNode, stopAll, until } from '../unit/net/fixture.js'

/** What the suite needs of a world: nodes that can reach each other, and time that passes. */
interface World {
  /** Started and connected to each other. */
  nodes(count: number): Promise<Net[]>
  /** Waits for the promise while the world's time passes. */
  settle<T>(promise: Promise<T>): Promise<T>
  until(condition: () => boolean, what: string): Promise<void>
  stop(): Promise<void>
}

function realWorld(): World {
  const mesh = new FakeMesh('contract')
  return {
    async nodes(count) {
      const nets: Net[] = []
      for (let i = 0; i < count; i++) nets.push(await startNode(mesh, `contract ${i}`))
      for (const [i, net] of nets.entries()) for (const other of nets.slice(0, i)) await net.dial(addressOf(other))
      await until(() => nets.every((net) => net.connected().length === count - 1), 'all connected')
      return nets
    },
    settle: (promise) => promise,
    until: (condition, what) => until(condition, what),
    stop: stopAll,
  }
}

function simulatedWorld(): World {
  const clock = new VirtualClock()
  const world = new SimulatedNetwork({ clock, random: seededRandom(7) })
  return {
    async nodes(count) {
      const nets = Array.from({ length: count }, (_, i) => world.node(idOf(i)))
      await clock.until(() => nets.every((net) => net.connected().length === count - 1), 10_000)
      return nets
    },
    settle: (promise) => clock.outcome(promise),
    until: (condition, what) => clock.until(condition, 60_000, what),
    stop: async () => undefined,
  }
}

const row = (name: string, handle: RpcMethod['handle'], more: Partial<RpcMethod> = {}): RpcMethod => ({
  name: `test.${name}`, requestBytesMax: 1000, responseBytesMax: 1000, inFlightMax: 16, handle, ...more,
})
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const nothing = new Uint8Array(0)

for (const [name, make] of [['the real network', realWorld], ['its simulated twin', simulatedWorld]] as const) {
  describe(`contract of net: ${name}`, () => {
    let world: World
    let a: Net
    let b: Net
    let c: Net

    before(async () => {
      world = make()
      ;[a, b, c] = (await world.nodes(3)) as [Net, Net, Net]
    })
    after(() => world.stop())

    const rejects = async (promise: Promise<unknown>, code: string): Promise<CodedError> => {
      const error = await world.settle(promise.then(() => undefined, (error: unknown) => error))
      assert.equal(codeOf(error), code, String(error))
      return error as CodedError
    }

    describe('connections', () => {
      it('knows who is connected, and not itself', () => {
        assert.deepEqual(new Set(a.connected()), new Set([b.self, c.self]))
        assert.equal(a.isConnected(b.self), true)
        assert.equal(a.isConnected(a.self), false)
      })

      it('measures the round trip', () => world.until(() => (a.rttMs(b.self) ?? 0) > 0, 'a round trip'))

      it('says what is no address', async () => {
        await rejects(a.dial('localhost:4700'), 'BAD_ADDRESS')
        await rejects(a.dial(a.addresses()[0]!), 'BAD_ADDRESS')
      })
    })

    describe('rpc', () => {
      it('answers, also with nothing', async () => {
        b.rpc.register(row('echo', async (body) => body))
        assert.deepEqual(await world.settle(a.rpc.request(b.self, 'test.echo', bytes('hello'), { deadlineMs: 5000 })), bytes('hello'))
        assert.deepEqual(await world.settle(a.rpc.request(b.self, 'test.echo', nothing, { deadlineMs: 5000 })), nothing)
      })

      it('tells the handler who asks', async () => {
        let from: NodeId | undefined
        b.rpc.register(row('who', async (_, context) => {
          from = context.from
          return nothing
        }))
        await world.settle(c.rpc.request(b.self, 'test.who', nothing, { deadlineMs: 5000 }))
        assert.equal(from, c.self)
      })

      it('matches a thousand answers in flight', async () => {
        b.rpc.register(row('double', async (body) => bytes(String(2 * Number(new TextDecoder().decode(body))))))
        const answers = await world.settle(Promise.all(Array.from({ length: 1000 }, (_, i) => a.rpc.request(b.self, 'test.double', bytes(String(i)), { deadlineMs: 10_000 }))))
        answers.forEach((answer, i) => assert.equal(new TextDecoder().decode(answer), String(2 * i)))
      })

      it('passes on the code, sentence and facts of an error', async () => {
        b.rpc.register(row('fail', async () => {
          throw new CodedError('NOT_HOLDER', 'ask somebody else', { asked: true, list: ['x'] })
        }))
        const error = await rejects(a.rpc.request(b.self, 'test.fail', nothing, { deadlineMs: 5000 }), 'NOT_HOLDER')
        assert.equal(error.name, 'RemoteError')
        assert.equal(error.message, 'ask somebody else')
        assert.deepEqual({ ...error.facts }, { asked: true, list: ['x'] })
      })

      it('does not show the insides of a failure', async () => {
        b.rpc.register(row('bug', async () => {
          throw new Error('secret path /home/x')
        }))
        const error = await rejects(a.rpc.request(b.self, 'test.bug', nothing, { deadlineMs: 5000 }), 'INTERNAL')
        assert.ok(!error.message.includes('secret'))
      })

      it('says what it does not know and what is too long', async () => {
        await rejects(a.rpc.request(b.self, 'test.unknown', nothing, { deadlineMs: 5000 }), 'UNKNOWN_METHOD')
        await rejects(a.rpc.request(b.self, 'test.echo', new Uint8Array(1001), { deadlineMs: 5000 }), 'BAD_INPUT')
        b.rpc.register(row('long', async () => new Uint8Array(1001)))
        await rejects(a.rpc.request(b.self, 'test.long', nothing, { deadlineMs: 5000 }), 'INTERNAL')
      })

      it('keeps deadlines on both sides', async () => {
        let aborted: unknown
        b.rpc.register(row('slow', (_, { signal }) => new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = signal.reason
            reject(abortReason(signal))
          })
        })))
        await rejects(a.rpc.request(b.self, 'test.slow', nothing, { deadlineMs: 100 }), 'DEADLINE')
        await world.until(() => aborted !== undefined, 'the handler hears of it')
      })

      it('cancels', async () => {
        let started = false
        let aborted = false
        b.rpc.register(row('cancelled', (_, { signal }) => new Promise((_resolve, reject) => {
          started = true
          signal.addEventListener('abort', () => {
            aborted = true
            reject(abortReason(signal))
          })
        })))
        const controller = new AbortController()
        const asked = a.rpc.request(b.self, 'test.cancelled', nothing, { deadlineMs: 60_000, signal: controller.signal })
        asked.catch(() => undefined)
        await world.until(() => started, 'the handler runs')
        controller.abort(new CommonError('ABORTED', 'never mind'))
        await rejects(asked, 'ABORTED')
        await world.until(() => aborted, 'the handler hears of it')
      })

      it('runs as many of one method as its row allows; others do not wait for them', async () => {
        let running = 0
        let most = 0
        const release: (() => void)[] = []
        b.rpc.register(row('held', async () => {
          most = Math.max(most, ++running)
          await new Promise<void>((resolve) => release.push(resolve))
          running--
          return nothing
        }, { inFlightMax: 3 }))
        const asked = Array.from({ length: 10 }, () => a.rpc.request(b.self, 'test.held', nothing, { deadlineMs: 60_000 }))
        await world.until(() => running === 3, 'three run')
        assert.deepEqual(await world.settle(a.rpc.request(b.self, 'test.echo', bytes('x'), { deadlineMs: 5000 })), bytes('x'))
        let done = false
        const all = Promise.all(asked).then(() => (done = true))
        await world.until(() => {
          release.shift()?.()
          return done
        }, 'all done')
        await all
        assert.equal(most, 3)
      })

      it('says when the peer is not there', async () => {
        await rejects(a.rpc.request(idOf(99), 'test.echo', nothing, { deadlineMs: 5000 }), 'UNAVAILABLE')
      })

      it('refuses a second method of the same name', () => {
        assert.throws(() => b.rpc.register(row('echo', async (body) => body)), (error) => codeOf(error) === 'BAD_INPUT')
      })
    })

    describe('bulk', () => {
      const collect = async (stream: ByteStream): Promise<Uint8Array> => {
        const chunks: Uint8Array[] = []
        for await (const chunk of stream.received) chunks.push(chunk)
        return new Uint8Array(Buffer.concat(chunks))
      }

      it('carries bytes both ways, each direction closed by itself', async () => {
        b.bulk.register({ id: '/mesh/test-reverse/1', inboundMax: 2, handle: async (stream) => stream.send((await collect(stream)).reverse()) })
        const sent = seededRandom(1).bytes(700_000)
        const stream = await world.settle(a.bulk.open(b.self, '/mesh/test-reverse/1', {}))
        const back = await world.settle((async () => {
          await stream.send([sent.subarray(0, 10), sent.subarray(10, 300_000)])
          await stream.send(sent.subarray(300_000))
          await stream.closeSend()
          return collect(stream)
        })())
        assert.deepEqual(back, sent.toReversed())
      })

      it('a reader may take the head first and the rest later', async () => {
        b.bulk.register({ id: '/mesh/test-head/1', inboundMax: 2, handle: async (stream) => {
          let head: Uint8Array | undefined
          for await (const chunk of stream.received) {
            head = chunk
            break
          }
          const rest = await collect(stream)
          await stream.send(bytes(String((head?.length ?? 0) + rest.length)))
        } })
        const stream = await world.settle(a.bulk.open(b.self, '/mesh/test-head/1', {}))
        const answer = await world.settle((async () => {
          await stream.send(new Uint8Array(100_000))
          await stream.closeSend()
          return collect(stream)
        })())
        assert.equal(new TextDecoder().decode(answer), '100000')
      })

      it('waits while the other side does not read', async () => {
        let go: () => void = () => undefined
        const gate = new Promise<void>((resolve) => (go = resolve))
        b.bulk.register({ id: '/mesh/test-slow/1', inboundMax: 2, handle: async (stream) => {
          await gate
          await collect(stream)
        } })
        const stream = await world.settle(a.bulk.open(b.self, '/mesh/test-slow/1', {}))
        let sent = 0
        let over = false
        const sending = (async () => {
          for (; sent < 512; sent++) await stream.send(new Uint8Array(64 * 1024))
          await stream.closeSend()
          over = true
        })()
        // Time passes with something else: round trips.
        for (let i = 0; i < 20; i++) await world.settle(a.rpc.request(b.self, 'test.echo', nothing, { deadlineMs: 5000 }))
        assert.equal(over, false)
        assert.ok(sent < 400, `${sent} of 64 KiB were taken`)
        go()
        await world.settle(sending)
      })

      it('an abort reaches the other side', async () => {
        let seen: unknown
        let aborted = false
        b.bulk.register({ id: '/mesh/test-abort/1', inboundMax: 2, handle: async (stream, signal) => {
          signal.addEventListener('abort', () => (aborted = true))
          await collect(stream).catch((error: unknown) => (seen = error))
        } })
        const stream = await world.settle(a.bulk.open(b.self, '/mesh/test-abort/1', {}))
        await world.settle(stream.send(bytes('half')))
        stream.abort(new Error('changed my mind'))
        await world.until(() => seen !== undefined && aborted, 'the other side hears of it')
        assert.ok(seen instanceof CodedError)
        await world.settle(assert.rejects(stream.send(bytes('more'))))
      })

      it('a handler that fails aborts the stream: half an answer never looks whole', async () => {
        b.bulk.register({ id: '/mesh/test-broken/1', inboundMax: 2, handle: async (stream) => {
          await stream.send(bytes('half'))
          throw new Error('disk on fire')
        } })
        // The abort may come with the first words of the stream: then it was never open.
        const asked = a.bulk.open(b.self, '/mesh/test-broken/1', {}).then(async (stream) => collect(stream))
        const outcome = await world.settle(asked.then(() => 'complete', (error: unknown) => error))
        assert.ok(outcome instanceof CodedError, String(outcome))
      })

      it('a signal aborts it', async () => {
        const controller = new AbortController()
        const stream = await world.settle(a.bulk.open(b.self, '/mesh/test-reverse/1', { signal: controller.signal }))
        const reading = collect(stream).then(() => 'complete', (error: unknown) => error)
        controller.abort(new CommonError('ABORTED', 'enough'))
        assert.equal(codeOf(await world.settle(reading)), 'ABORTED')
      })

      it('refuses more streams than the protocol allows', async () => {
        let open = 0
        const gate: (() => void)[] = []
        b.bulk.register({ id: '/mesh/test-few/1', inboundMax: 2, handle: async (stream) => {
          open++
          await new Promise<void>((resolve) => gate.push(resolve))
          await stream.send(bytes('ok'))
        } })
        const outcomes = Array.from({ length: 4 }, async () => {
          const stream = await a.bulk.open(b.self, '/mesh/test-few/1', {})
          await stream.closeSend().catch(() => undefined)
          return collect(stream)
        }).map((promise) => promise.then(() => 'ok', () => 'refused'))
        await world.until(() => open === 2, 'two are open')
        const ended: string[] = []
        for (const outcome of outcomes) void outcome.then((text) => ended.push(text))
        await world.until(() => ended.length === 2, 'two are refused')
        for (const release of gate) release()
        assert.deepEqual((await world.settle(Promise.all(outcomes))).sort(), ['ok', 'ok', 'refused', 'refused'])
        assert.equal(open, 2)
      })
    })

    describe('gossip', () => {
      it('reaches all others, from its author, once each', async () => {
        const heard = new Map<NodeId, string[]>()
        for (const net of [a, b, c]) {
          net.gossip.topic('quota', { messageBytesMax: 100 }).subscribe((message, from) => {
            heard.set(net.self, [...(heard.get(net.self) ?? []), `${new TextDecoder().decode(message)} of ${from}`])
            return 'accept'
          })
        }
        let round = 0
        const topic = a.gossip.topic('quota', { messageBytesMax: 100 })
        // As rooms do: said again until heard, each time a little different.
        const timer = setInterval(() => void topic.publish(bytes(`round ${++round}`)).catch(() => undefined), 50)
        try {
          await topic.publish(bytes('round 0'))
          await world.until(() => [b, c].every((net) => heard.has(net.self)), 'b and c hear')
        } finally {
          clearInterval(timer)
        }
        assert.equal(heard.has(a.self), false)
        for (const list of heard.values()) {
          assert.equal(new Set(list).size, list.length)
          assert.ok(list.every((line) => line.endsWith(`of ${a.self}`)))
        }
      })

      it('refuses what is too long', async () => {
        await rejects(a.gossip.topic('quota', { messageBytesMax: 100 }).publish(new Uint8Array(101)), 'BAD_INPUT')
      })
    })

    describe('content routing', () => {
      const cid = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
      const find = async (net: Net, wanted: string): Promise<NodeId[]> => {
        const found: NodeId[] = []
        for await (const holder of net.routing.findProviders(wanted, { signal: AbortSignal.timeout(5000) })) found.push(holder)
        return found
      }

      it('finds who provides, never itself, each once', async () => {
        assert.deepEqual(await world.settle(find(c, cid)), [])
        await world.settle(Promise.all([a.routing.provide([cid]), b.routing.provide([cid, cid])]))
        const found = await world.settle(find(c, cid))
        assert.deepEqual(new Set(found), new Set([a.self, b.self]))
        assert.equal(found.length, 2)
        assert.deepEqual(await world.settle(find(a, cid)), [b.self])
      })

      it('is calm when asked again', async () => {
        await world.settle(a.routing.provide([cid]))
        await world.until(() => a.provideLagMs() === 0, 'nothing is late')
      })
    })
  })
}
