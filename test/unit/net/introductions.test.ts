import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { silentLog } from '../../../src/base/index.js'
import { Introductions } from '../../../src/net/introductions.js'
import { FakeMesh, addressOf, startNode, stopAll, until } from './fixture.js'

describe('net: introductions', function () {
  this.timeout(30_000)
  afterEach(stopAll)

  it('whoever was not introduced when the connection was made is asked with each ping, until it has said what it speaks', async () => {
    const peer = 'peer' as NodeId
    let asked = 0
    let answers = false
    const introductions = new Introductions({
      identify: async () => {
        asked++
        await Promise.resolve()
        if (!answers) throw new Error('it was busy')
        introductions.identified(peer)
      },
      log: silentLog,
    })
    const turn = async (): Promise<void> => new Promise((resolve) => { setImmediate(resolve) })
    introductions.answered(peer)
    assert.equal(asked, 0, 'libp2p is asking')
    for (const expected of [1, 2]) {
      introductions.answered(peer)
      introductions.answered(peer)
      await turn()
      assert.equal(asked, expected)
    }
    answers = true
    for (let i = 0; i < 3; i++) {
      introductions.answered(peer)
      await turn()
    }
    assert.equal(asked, 3)
    introductions.disconnected(peer)
    introductions.answered(peer)
    assert.equal(asked, 3, 'a new connection, and libp2p asks first')
    introductions.answered(peer)
    assert.equal(asked, 4)
  })

  it('two nodes of which neither could introduce itself at first hear each other\'s gossip all the same', async () => {
    // The very class that libp2p uses; the package does not export it.
    const file = new URL('../../../node_modules/@libp2p/identify/dist/src/identify.js', import.meta.url).href
    const { Identify } = (await import(file)) as { Identify: { prototype: { identify: (...args: unknown[]) => Promise<unknown> } } }
    const { prototype } = Identify
    const own = Object.getOwnPropertyDescriptor(prototype, 'identify')
    assert.ok(own !== undefined)
    let refused = 0
    prototype.identify = async () => {
      refused++
      return Promise.reject(new Error('it was busy'))
    }
    try {
      const mesh = new FakeMesh('introductions')
      const [a, b] = [await startNode(mesh, 1, { limits: { pingMs: 300 } }), await startNode(mesh, 2, { limits: { pingMs: 300 } })]
      let heard = 0
      const topic = a.gossip.topic('quota', { messageBytesMax: 100 })
      topic.subscribe(() => 'accept')
      b.gossip.topic('quota', { messageBytesMax: 100 }).subscribe(() => {
        heard++
        return 'accept'
      })
      await b.dial(addressOf(a))
      await until(() => refused >= 2, 'both to have asked')
      Object.defineProperty(prototype, 'identify', own)
      let said = 0
      await until(() => {
        if (heard === 0) void topic.publish(new Uint8Array(50).fill(++said)).catch(() => undefined)
        return heard > 0
      }, 'b to hear')
    } finally {
      Object.defineProperty(prototype, 'identify', own)
    }
  })
})
