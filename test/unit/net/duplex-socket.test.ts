import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Socket, connect, createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { Uint8ArrayList } from 'uint8arraylist'
import { DuplexSocket } from '../../../src/net/transport/duplex-socket.js'

/** What the cipher tells of at a time, at most. */
const recordBytes = 16 * 1024

describe('net: a socket as a duplex', () => {
  const sockets: Socket[] = []
  afterEach(() => {
    for (const socket of sockets.splice(0)) socket.destroy()
  })

  /** A socket that gets what the test says, and what it was read as. */
  function reading(): { socket: Socket; next: () => Promise<number[]> } {
    const socket = new Socket()
    socket.on('error', () => undefined)
    sockets.push(socket)
    const { source } = new DuplexSocket(socket)
    const next = async (): Promise<number[]> => {
      const result: IteratorResult<Uint8Array | Uint8ArrayList, unknown> = await source.next()
      if (result.done === true) return []
      const { value } = result
      return value instanceof Uint8ArrayList ? [...value].map((part) => part[0] ?? -1) : [value[0] ?? -1]
    }
    return { socket, next }
  }

  const records = (socket: Socket, ...values: number[]): void => {
    for (const value of values) socket.emit('data', Buffer.alloc(recordBytes, value))
  }

  it('hands a few records of something large on together, in order', async () => {
    const { socket, next } = reading()
    const first = next()
    records(socket, 1, 2, 3, 4)
    assert.deepEqual(await first, [1, 2, 3, 4])
    const second = next()
    records(socket, 5, 6)
    socket.emit('data', Buffer.from([7]))
    assert.deepEqual(await second, [5, 6, 7])
  })

  it('waits with none, full as it may be, for one that may never come', async () => {
    const { socket, next } = reading()
    const first = next()
    records(socket, 1)
    assert.deepEqual(await first, [1])
    records(socket, 2, 3)
    assert.deepEqual(await next(), [2, 3])
  })

  it('reads on after a pause, and to the end', async () => {
    const { socket, next } = reading()
    const many = Array.from({ length: 17 }, (_, i) => i)
    records(socket, ...many)
    assert.ok(socket.isPaused())
    assert.deepEqual(await next(), many)
    assert.ok(!socket.isPaused())
    records(socket, 9)
    socket.emit('end')
    assert.deepEqual(await next(), [9])
    assert.deepEqual(await next(), [])
  })

  const eventually = async (condition: () => boolean): Promise<void> => {
    for (let i = 0; i < 1000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 5))
    assert.ok(condition())
  }

  it('brings all that a real one does, in order and to the end, and stops it while nobody reads', async () => {
    const sent = Buffer.alloc(8 * 2 ** 20)
    for (let i = 0; i < sent.length; i++) sent[i] = (i * 31 + (i >> 12)) & 0xff
    const server = createServer((peer) => {
      sockets.push(peer)
      peer.end(sent)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    sockets.push(socket)
    await once(socket, 'connect')
    const { source } = new DuplexSocket(socket)
    const handle: unknown = Reflect.get(socket, '_handle')
    assert.ok(typeof handle === 'object' && handle !== null)
    const received: Uint8Array[] = []
    let receivedBytes = 0
    let stops = 0
    for await (const chunk of source) {
      received.push(...(chunk instanceof Uint8Array ? [chunk] : chunk))
      receivedBytes += chunk.byteLength
      // Far from the end, where it is stopped for certain once more waits than may.
      if (receivedBytes < stops * 2 ** 20 || receivedBytes > 6 * 2 ** 20) continue
      await eventually(() => Reflect.get(handle, 'reading') === false)
      stops++
    }
    assert.equal(Buffer.compare(Buffer.concat(received), sent), 0)
    assert.ok(stops > 0)
    assert.equal(socket.readableLength, 0)
    server.close()
  })

  it('takes nothing from a handle that means something else by what it hands over', async () => {
    const { socket, next } = reading()
    const handed: unknown[] = []
    const onread = (bytes: unknown): void => { handed.push(bytes) }
    const handle = { onread, readStart: () => 0, readStop: () => 0, bytesRead: 0, close: () => undefined }
    Reflect.set(socket, '_handle', handle)
    socket.emit('data', Buffer.from([1]))
    assert.deepEqual(await next(), [1])
    assert.notEqual(handle.onread, onread)
    handle.bytesRead += 3
    handle.onread(new Uint8Array([2, 2, 2]).buffer)
    assert.deepEqual(await next(), [2])
    // The end of the stream is the socket's own business, and what does not add up is, too: from then on.
    handle.onread(undefined)
    assert.deepEqual(handed, [undefined])
    handle.bytesRead += 3
    const other = new ArrayBuffer(64)
    handle.onread(other)
    assert.deepEqual(handed, [undefined, other])
    assert.equal(handle.onread, onread)
    Reflect.set(socket, '_handle', null)
  })
})
