import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { codeOf, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { Announcer, type AnnouncerComponents } from '../../../src/net/routing/announcer.js'
import { FakeMesh, addressOf, makeNode, startNode, stopAll } from './fixture.js'

/** Ample for a busy machine, and far less than the hour that a wait in a node may last. */
const stopMsMax = 5_000

async function within<T>(promise: Promise<T>, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`${what} took longer than ${String(stopMsMax)} ms`))
    }, stopMsMax)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

describe('net: a stop at any moment', function () {
  this.timeout(30_000)
  let silent: Server
  const sockets = new Set<Socket>()
  before((done) => {
    silent = createServer((socket) => {
      sockets.add(socket.on('error', () => undefined))
    })
    silent.listen(0, '127.0.0.1', done)
  })
  after((done) => {
    for (const socket of sockets) socket.destroy()
    silent.close(done)
  })
  afterEach(stopAll)

  it('during a start: the start is refused, nothing listens afterwards, nothing is dialled', async () => {
    const mesh = new FakeMesh('stopping')
    const other = await startNode(mesh, 'other')
    const silentAddress = `/ip4/127.0.0.1/tcp/${String((silent.address() as AddressInfo).port)}`
    for (const turns of [0, 1, 2, 5, 20, 100]) {
      const net = await makeNode(mesh, `turns ${String(turns)}`, { bootstrap: [addressOf(other), silentAddress], relay: turns === 5 })
      const starting = net.start().then(() => undefined, (error: unknown) => error)
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve))
      await within(net.stop(), `a stop after ${String(turns)} turns`)
      const outcome = await within(starting, `a start stopped after ${String(turns)} turns`)
      assert.ok(outcome === undefined || codeOf(outcome) === 'ABORTED', String(outcome))
      assert.deepEqual(net.addresses(), [], `after ${String(turns)} turns`)
      assert.deepEqual(net.connected(), [])
    }
  })

  it('right after a start, with somebody connected and somebody who never answers', async () => {
    const mesh = new FakeMesh('stopping')
    const other = await startNode(mesh, 'other')
    const net = await startNode(mesh, 'one', { bootstrap: [addressOf(other), `/ip4/127.0.0.1/tcp/${String((silent.address() as AddressInfo).port)}`] })
    await within(net.stop(), 'a stop')
    await within(net.stop(), 'a second stop')
  })

  it('while the schedule of records is read: the announcer does not wait an hour for the next one', async () => {
    for (const when of ['due', 'nextDueMs'] as const) {
      const stop = new AbortController()
      const schedule: AnnouncerComponents['schedule'] = {
        due: async () => {
          if (when === 'due') stop.abort()
          return []
        },
        nextDueMs: async () => {
          if (when === 'nextDueMs') stop.abort()
          return undefined
        },
        announced: async () => undefined,
      }
      const announcer = new Announcer(
        { schedule, clock: systemClock, random: systemRandom, log: silentLog, servers: () => [new FakeMesh('x').meshId.slice(1) as never], send: async () => undefined },
        { againMs: 1, batchRecords: 1, copies: 1, peersAtOnce: 1, dutyRatio: 1 },
      )
      await within(announcer.run(stop.signal), `the announcer's end, stopped during ${when}`)
    }
  })
})
