import assert from 'node:assert/strict'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Libp2p } from '@libp2p/interface'
import { CommonError, seededRandom, silentLog } from '../../../src/base/index.js'
import type { CallOptions, NodeId } from '../../../src/base/index.js'
import { Links } from '../../../src/net/links.js'
import { Pulse } from '../../../src/net/pulse.js'
import { RemoteError } from '../../../src/net/types.js'
import { VirtualClock } from '../../simulation/net-clock.js'
import { idOf } from '../../simulation/net-twin.js'

const peer = idOf(1)
const second = 1000

function setUp() {
  const clock = new VirtualClock()
  const world = { answers: true, busy: false, heardMs: undefined as number | undefined, pings: 0, givenUp: [] as number[] }
  const pulse = new Pulse(
    {
      clock,
      random: seededRandom(5),
      rpc: {
        register: () => undefined,
        request: async (_peer: NodeId, _method: string, _body: Uint8Array, { deadlineMs }: CallOptions) => {
          world.pings++
          if (world.busy) throw new CommonError('OVERLOADED', 'too many requests to this peer are under way')
          await clock.sleep(world.answers ? 5 : deadlineMs)
          if (!world.answers) throw new CommonError('DEADLINE', 'no answer')
          return new Uint8Array(0)
        },
      },
      measured: () => undefined,
      giveUp: () => world.givenUp.push(clock.monotonicMs()),
      heardMs: () => world.heardMs,
    },
    { pingMs: 10 * second, deadlineMs: 10 * second },
  )
  return { clock, world, pulse }
}

describe('net: pulse', () => {
  it('a connection whose peer connects once more is asked at once, and given up soon if nobody answers there', async () => {
    const { clock, world, pulse } = setUp()
    pulse.add(peer)
    await clock.advance(60 * second)
    assert.deepEqual(world.givenUp, [])
    world.answers = false
    pulse.suspect(peer)
    await clock.advance(11 * second)
    assert.equal(world.givenUp.length, 1)
  })

  it('and kept if somebody does, also where one question is lost', async () => {
    const { clock, world, pulse } = setUp()
    pulse.add(peer)
    await clock.advance(60 * second)
    world.answers = false
    pulse.suspect(peer)
    await clock.advance(2 * second)
    world.answers = true
    await clock.advance(600 * second)
    assert.deepEqual(world.givenUp, [])
  })

  it('a dead connection is found while so much is under way that no question gets out; a busy one is not taken for dead', async () => {
    const { clock, world, pulse } = setUp()
    pulse.add(peer)
    await clock.advance(60 * second)
    world.busy = true
    for (let i = 0; i < 60; i++) {
      world.heardMs = clock.monotonicMs()
      await clock.advance(second)
    }
    assert.deepEqual(world.givenUp, [])
    await clock.advance(60 * second)
    assert.ok(world.givenUp.length > 0)
  })

  it('what the peer itself answers is a sign of life, whatever it is', async () => {
    const { clock, world, pulse } = setUp()
    pulse.remove(peer)
    const overloaded = new Pulse(
      {
        clock, random: seededRandom(5), measured: () => undefined, heardMs: () => undefined, giveUp: () => world.givenUp.push(clock.monotonicMs()),
        rpc: { register: () => undefined, request: async () => Promise.reject(new RemoteError('OVERLOADED', 'too many requests of yours')) },
      },
      { pingMs: 10 * second, deadlineMs: 10 * second },
    )
    overloaded.add(peer)
    await clock.advance(600 * second)
    assert.deepEqual(world.givenUp, [])
  })

  it('asks no more often after many wake-ups in the middle of a question', async () => {
    const { clock, world, pulse } = setUp()
    pulse.add(peer)
    for (let i = 0; i < 20; i++) {
      void pulse.checkAll()
      await clock.advance(1)
    }
    await clock.advance(second)
    const before = world.pings
    await clock.advance(600 * second)
    assert.ok(world.pings - before < 90, `${String(world.pings - before)} pings in ten minutes`)
  })
})

describe('net: links', () => {
  const connection = (name: string, aborted: string[]): object => ({ remotePeer: peerIdFromString(peer), status: 'open', abort: () => aborted.push(name) })

  it('of several connections none outlives the first that breaks: the peer is met anew', () => {
    const libp2p = new EventTarget()
    const another: NodeId[] = []
    const gone: NodeId[] = []
    const links = new Links({ libp2p: libp2p as Libp2p, log: silentLog, another: (id) => another.push(id) }, { self: idOf(2) })
    links.on('disconnected', (id) => gone.push(id))
    const aborted: string[] = []
    const open = (name: string): object => {
      const one = connection(name, aborted)
      libp2p.dispatchEvent(new CustomEvent('connection:open', { detail: one }))
      return one
    }
    const close = (one: object): boolean => libp2p.dispatchEvent(new CustomEvent('connection:close', { detail: one }))
    const first = open('first')
    assert.deepEqual(another, [])
    const others = [open('second'), open('third')]
    assert.deepEqual(another, [peer, peer])
    assert.equal(links.connectionTo(peer), first)
    close(first)
    assert.deepEqual(aborted, ['second', 'third'])
    for (const one of others) close(one)
    assert.deepEqual(gone, [peer])
    assert.equal(links.isConnected(peer), false)
  })
})
