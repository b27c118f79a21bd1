import assert from 'node:assert/strict'
import { Socket } from 'node:net'
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
})
