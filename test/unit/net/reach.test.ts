import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { codeOf } from '../../../src/base/index.js'
import type { Net } from '../../../src/net/index.js'
import { FakeMesh, addressOf, makeNode, seedOf, startNode, stopAll, until } from './fixture.js'

/** Whether this machine carries multicast to itself: containers without a network do not. */
async function hasMulticast(): Promise<boolean> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true })
  try {
    return await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => {
        resolve(false)
      }, 2000)
      socket.on('error', () => {
        clearTimeout(timer)
        resolve(false)
      })
      socket.on('message', () => {
        clearTimeout(timer)
        resolve(true)
      })
      socket.bind(0, () => {
        try {
          socket.addMembership('224.0.0.251')
          socket.send('probe', socket.address().port, '224.0.0.251')
        } catch {
          clearTimeout(timer)
          resolve(false)
        }
      })
    })
  } finally {
    socket.close()
  }
}

describe('net: ways to others', function () {
  this.timeout(60_000)
  afterEach(stopAll)

  it('members on one network find each other without an address; a stranger that calls itself one is not let in', async () => {
    if (!(await hasMulticast())) {
      process.stdout.write('      (this machine carries no multicast: discovery is not tried)\n')
      return
    }
    const mesh = new FakeMesh('lan')
    const [a, b] = [await startNode(mesh, 'lan a', { mdns: true }), await startNode(mesh, 'lan b', { mdns: true })]
    // It announces itself under the mesh's name, and has a certificate of another.
    const stranger = await startNode(mesh, 'lan c', { mdns: true, admission: new FakeMesh('another').admission(seedOf('lan c')) })
    await until(() => a.isConnected(b.self) && b.isConnected(a.self), 'a and b to find each other', 30_000)
    await until(() => a.counters().admissionsRefused + b.counters().admissionsRefused + stranger.counters().admissionsRefused > 0, 'the stranger to be refused', 30_000)
    assert.deepEqual(stranger.connected(), [])
  })

  it('a node that nobody can dial is reached through a member that carries, with as many bytes as one likes', async () => {
    const mesh = new FakeMesh('relay')
    const relay = await startNode(mesh, 'relay', { relay: true })
    const hidden = await startNode(mesh, 'hidden', { relay: true, listen: [], bootstrap: [addressOf(relay)] })
    await until(() => hidden.addresses().some((address) => address.includes('/p2p-circuit')), 'a place at the relay', 30_000)
    const size = 1 << 20
    hidden.bulk.register({
      id: '/test/relayed/1', inboundMax: 4,
      handle: async (stream) => {
        await stream.send(new Uint8Array(size))
      },
    })
    const far = await startNode(mesh, 'far', { relay: true })
    const address = hidden.addresses().find((one) => one.includes('/p2p-circuit'))
    assert.ok(address !== undefined)
    assert.equal(await far.dial(address), hidden.self)
    await until(() => far.isConnected(hidden.self) && hidden.isConnected(far.self), 'both to see the connection')
    const stream = await far.bulk.open(hidden.self, '/test/relayed/1', {})
    let received = 0
    for await (const chunk of stream.received) received += chunk.length
    assert.equal(received, size)
    // Carried, and judged like any other: the relay cannot let anybody in.
    const stranger = await makeNode(mesh, 'stranger', { relay: true, listen: [], admission: new FakeMesh('another').admission(seedOf('stranger')) })
    await stranger.start()
    await assert.rejects(stranger.dial(address))
    assert.ok(!hidden.isConnected(stranger.self))
  })

  it('asking the router for a port starts and stops where there is no router', async () => {
    const net = await startNode(new FakeMesh('upnp'), 'upnp', { upnp: true })
    assert.equal(net.addresses().length, 1)
    await net.stop()
  })

  it('one peer has a few connections at most, and one that is new is always to be had', async () => {
    const mesh = new FakeMesh('many')
    const target = await startNode(mesh, 'target')
    target.bulk.register({ id: '/test/here/1', inboundMax: 4, handle: async (stream) => stream.send(Buffer.from('here')) })
    const same: Net[] = []
    for (let i = 0; i < 7; i++) {
      const net = await startNode(mesh, 'same')
      same.push(net)
      // The one that is too many goes with all before it, which may be dead, and is made anew: then it is the first.
      await until(async () => {
        try {
          await net.dial(addressOf(target))
          // Its dial may be over before the other side has let it in; once it was answered, it is in before the next.
          for await (const chunk of (await net.bulk.open(target.self, '/test/here/1', {})).received) assert.equal(Buffer.from(chunk).toString(), 'here')
          return true
        } catch (error) {
          if (codeOf(error) !== 'UNAVAILABLE') throw error
          return false
        }
      }, `number ${String(i)} to be answered`)
    }
    await until(() => same.filter((net) => net.isConnected(target.self)).length <= 4, 'no more than four of seven to be left')
    await until(() => target.isConnected(same[0]!.self), 'one of them to be connected')
  })
})
