import assert from 'node:assert/strict'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import { silentLog, systemClock } from '../../../src/base/index.js'
import { NbdServer, payloadBytesMax } from '../../../src/gateways/nbd/index.js'
import { DeviceError } from '../../../src/volumes/index.js'
import { MemoryDevice } from './memory-device.js'

const MiB = 2 ** 20

/** A client made of bytes: the tests say what goes over the wire, also what no real client would send. */
class RawClient {
  readonly socket: Socket
  #buffer = Buffer.alloc(0)
  #wake: (() => void) | undefined
  closed = false

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1')
    this.socket.on('data', (bytes: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, bytes])
      this.#wake?.()
    })
    const close = (): void => {
      this.closed = true
      this.#wake?.()
    }
    this.socket.on('close', close).on('error', close).on('end', close)
  }

  send(...parts: Buffer[]): void {
    this.socket.write(Buffer.concat(parts))
  }

  async read(length: number): Promise<Buffer> {
    while (this.#buffer.length < length) {
      if (this.closed) throw new Error(`closed with ${String(this.#buffer.length)} of ${String(length)} bytes`)
      await this.#change()
    }
    const bytes = this.#buffer.subarray(0, length)
    this.#buffer = this.#buffer.subarray(length)
    return bytes
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await this.#change()
  }

  async #change(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }

  async greet(flags = 3): Promise<void> {
    const greeting = await this.read(18)
    assert.equal(greeting.toString('latin1', 0, 16), 'NBDMAGICIHAVEOPT')
    this.send(u32(flags))
  }

  async option(number: number, data: Buffer = Buffer.alloc(0)): Promise<{ type: number; data: Buffer }> {
    this.send(optionBytes(number, data))
    return this.optionReply()
  }

  async optionReply(): Promise<{ type: number; data: Buffer }> {
    const header = await this.read(20)
    assert.equal(header.readBigUInt64BE(0), 0x3e889045565a9n)
    return { type: header.readUInt32BE(12), data: await this.read(header.readUInt32BE(16)) }
  }

  async go(name: string, structured = false): Promise<void> {
    await this.greet()
    if (structured) assert.equal((await this.option(8)).type, 1)
    this.send(optionBytes(7, Buffer.concat([u32(name.length), Buffer.from(name), u16(0)])))
    while ((await this.optionReply()).type !== 1);
  }

  request(command: number, offset: number | bigint, length: number, flags = 0, cookie = 1n, payload = Buffer.alloc(0)): void {
    const header = Buffer.alloc(28)
    header.writeUInt32BE(0x25609513, 0)
    header.writeUInt16BE(flags, 4)
    header.writeUInt16BE(command, 6)
    header.writeBigUInt64BE(cookie, 8)
    header.writeBigUInt64BE(BigInt(offset), 16)
    header.writeUInt32BE(length, 24)
    this.send(header, payload)
  }

  async simple(bytes = 0): Promise<{ error: number; cookie: bigint; data: Buffer }> {
    const header = await this.read(16)
    assert.equal(header.readUInt32BE(0), 0x67446698)
    const error = header.readUInt32BE(4)
    return { error, cookie: header.readBigUInt64BE(8), data: error === 0 ? await this.read(bytes) : Buffer.alloc(0) }
  }

  async chunk(): Promise<{ type: number; done: boolean; data: Buffer }> {
    const header = await this.read(20)
    assert.equal(header.readUInt32BE(0), 0x668e33ef)
    return { done: (header.readUInt16BE(4) & 1) === 1, type: header.readUInt16BE(6), data: await this.read(header.readUInt32BE(16)) }
  }
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}
function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
function optionBytes(number: number, data: Buffer): Buffer {
  return Buffer.concat([Buffer.from('IHAVEOPT'), u32(number), u32(data.length), data])
}

describe('nbd server', () => {
  let server: NbdServer
  let device: MemoryDevice
  let port = 0
  let clients: RawClient[] = []

  beforeEach(async () => {
    server = new NbdServer({ clock: systemClock, log: silentLog }, { stopMs: 2000, negotiationMs: 5000 })
    device = new MemoryDevice(8 * MiB + 512)
    server.add('vm1', device)
    port = (await server.listen({ host: '127.0.0.1', port: 0 })).port ?? 0
    clients = []
  })
  afterEach(async () => {
    for (const client of clients) client.socket.destroy()
    await server.stop()
  })
  const dial = (): RawClient => {
    const client = new RawClient(port)
    clients.push(client)
    return client
  }
  /** The server still serves others. */
  const serves = async (): Promise<void> => {
    const client = dial()
    await client.go('vm1')
    client.request(0, 0, 512)
    assert.equal((await client.simple(512)).error, 0)
    client.socket.destroy()
  }

  it('lists, describes and opens exports, and the empty name is the only one', async () => {
    const client = dial()
    await client.greet()
    const listed = await client.option(3)
    assert.equal(listed.type, 2)
    assert.equal(listed.data.toString('utf8', 4), 'vm1')
    assert.equal((await client.optionReply()).type, 1)
    const described = await client.option(6, Buffer.concat([u32(0), u16(1), u16(3)]))
    assert.equal(described.type, 3)
    assert.equal(described.data.readBigUInt64BE(2), BigInt(device.sizeBytes))
    const sizes = await client.optionReply()
    assert.deepEqual([sizes.data.readUInt16BE(0), sizes.data.readUInt32BE(2), sizes.data.readUInt32BE(6), sizes.data.readUInt32BE(10)], [3, 1, 4096, payloadBytesMax])
    assert.equal((await client.optionReply()).type, 1)
    server.add('vm2', new MemoryDevice(4096))
    assert.equal((await client.option(6, Buffer.concat([u32(0), u16(0)]))).type, 2 ** 31 + 6)
  })

  it('the old EXPORT_NAME still works, and an unknown name closes', async () => {
    const old = dial()
    await old.greet(1)
    old.send(optionBytes(1, Buffer.from('vm1')))
    const answer = await old.read(134)
    assert.equal(answer.readBigUInt64BE(0), BigInt(device.sizeBytes))
    old.request(0, 0, 16)
    assert.equal((await old.simple(16)).error, 0)
    const wrong = dial()
    await wrong.greet()
    wrong.send(optionBytes(1, Buffer.from('nothing')))
    await wrong.untilClosed()
  })

  it('writes, reads back, flushes, trims; any alignment; answers by cookie', async () => {
    const client = dial()
    await client.go('vm1')
    const payload = Buffer.from('seven and a half')
    client.request(1, 4093, payload.length, 0, 77n, payload)
    assert.deepEqual(await client.simple(), { error: 0, cookie: 77n, data: Buffer.alloc(0) })
    client.request(3, 0, 0, 0, 78n)
    assert.equal((await client.simple()).cookie, 78n)
    client.request(0, 4093, payload.length, 0, 79n)
    assert.deepEqual((await client.simple(payload.length)).data, payload)
    client.request(4, 4093, 5)
    assert.equal((await client.simple()).error, 0)
    client.request(0, 4093, 5)
    assert.deepEqual((await client.simple(5)).data, Buffer.alloc(5))
    client.request(1, 0, 4, 1, 80n, Buffer.from('fua!'))
    assert.equal((await client.simple()).error, 0)
    assert.ok(device.calls.includes('write fua 0+4'))
  })

  for (const isAtOnce of [false, true]) {
    it(`answers each request of a burst once, whatever comes together in one packet${isAtOnce ? ', by a device that answers without a wait' : ''}`, async () => {
      device.isAtOnce = isAtOnce
      const client = dial()
      await client.go('vm1')
      const count = 1000
      // A quit behind them: all are answered before the connection ends.
      const burst: Buffer[] = []
      client.send = (...parts) => { burst.push(...parts) }
      for (let i = 0; i < count; i++) {
        if (i % 3 === 0) client.request(1, i, 1, 0, BigInt(i), Buffer.from([i % 251]))
        else if (i % 3 === 1) client.request(0, i - 1, 1, 0, BigInt(i))
        else client.request(3, 0, 0, 0, BigInt(i))
      }
      client.request(2, 0, 0)
      client.socket.write(Buffer.concat(burst))
      const seen = new Set<bigint>()
      for (let i = 0; i < count; i++) {
        const header = await client.read(16)
        assert.equal(header.readUInt32BE(4), 0)
        const cookie = header.readBigUInt64BE(8)
        assert.equal(seen.has(cookie), false)
        seen.add(cookie)
        if (cookie % 3n === 1n) assert.equal((await client.read(1))[0], Number((cookie - 1n) % 251n))
      }
      await client.untilClosed()
      assert.equal(seen.size, count)
    })
  }

  for (const isAtOnce of [false, true]) {
    it(`reads of all lengths that come together each have their own bytes, also in memory that was used before${isAtOnce ? ', by a device that answers without a wait' : ''}`, async () => {
      device.isAtOnce = isAtOnce
      for (let i = 0; i < device.bytes.length; i += 4) device.bytes.set([i >> 24, i >> 16, i >> 8, i], i)
      const client = dial()
      await client.go('vm1')
      // Around where replies are put together, and where they leave alone.
      const lengths = [1, 512, 1007, 1008, 1009, 4096, 4096, 4096, 8175, 8176, 8177, 65_536, 200_000]
      for (let round = 0; round < 20; round++) {
        const burst: Buffer[] = []
        const send = client.send.bind(client)
        client.send = (...parts) => { burst.push(...parts) }
        const asked = Array.from({ length: 60 }, (_, i) => ({ offset: (round * 7919 + i * 104_729) % (7 * MiB), length: lengths[(i + round) % lengths.length] ?? 1 }))
        for (const [i, { offset, length }] of asked.entries()) client.request(0, offset, length, 0, BigInt(i))
        client.send = send
        client.socket.write(Buffer.concat(burst))
        for (let left = asked.length; left > 0; left--) {
          const header = await client.read(16)
          const { offset, length } = asked[Number(header.readBigUInt64BE(8))] ?? { offset: 0, length: 0 }
          assert.equal(header.readUInt32BE(4), 0)
          assert.ok((await client.read(length)).equals(device.bytes.subarray(offset, offset + length)), `${String(length)} bytes at ${String(offset)}`)
        }
      }
    })
  }

  for (const isAtOnce of [false, true]) {
    it(`every bad request has its error, and the connection goes on${isAtOnce ? ', by a device that answers without a wait' : ''}`, async () => {
      device.isAtOnce = isAtOnce
      const client = dial()
      await client.go('vm1')
      const cases: [string, () => void, number][] = [
        ['read past the end', () => { client.request(0, device.sizeBytes - 10, 11) }, 22],
        ['write past the end', () => { client.request(1, device.sizeBytes - 1, 2, 0, 1n, Buffer.alloc(2)) }, 28],
        ['offset 2⁶⁴−1', () => { client.request(0, 2n ** 64n - 1n, 4096) }, 22],
        ['length 0', () => { client.request(0, 0, 0) }, 22],
        ['unknown command', () => { client.request(999, 0, 1) }, 22],
        ['unknown flag', () => { client.request(0, 0, 1, 0x8000) }, 22],
        ['trim past the end', () => { client.request(4, device.sizeBytes - 1, 2) }, 28],
        ['zeroes past the end', () => { client.request(6, 4096, 2 ** 32 - 1) }, 28],
        ['write at 2⁶³', () => { client.request(1, 2n ** 63n, 1, 0, 1n, Buffer.alloc(1)) }, 28],
        ['write of nothing', () => { client.request(1, 0, 0) }, 22],
        ['trim of nothing', () => { client.request(4, 0, 0) }, 22],
        ['unknown command with a length', () => { client.request(8, 0, 4096) }, 22],
        ['a flag of another command', () => { client.request(0, 0, 1, 2) }, 22],
        ['a write with an unknown flag, its bytes behind it', () => { client.request(1, 0, 3, 0x4000, 1n, Buffer.from('abc')) }, 22],
        ['flush with an offset', () => { client.request(3, 1, 0) }, 22],
        ['flush with a length', () => { client.request(3, 0, 5) }, 22],
        ['a read larger than the maximum', () => { client.request(0, 0, payloadBytesMax + 1) }, 22],
        ['block status nobody agreed on', () => { client.request(7, 0, 4096) }, 22],
      ]
      for (const [what, send, error] of cases) {
        send()
        assert.equal((await client.simple()).error, error, what)
      }
      client.request(0, 0, 8)
      assert.equal((await client.simple(8)).error, 0)
    })
  }

  it("the device's errors become NBD's, never a dropped connection and never a success", async () => {
    const client = dial()
    await client.go('vm1')
    for (const [code, error] of [['IO', 5], ['NO_SPACE', 28], ['READ_ONLY', 1], ['STOPPING', 108], ['NOT_SUPPORTED', 95]] as const) {
      device.failWith = new DeviceError(code, 'on purpose')
      client.request(3, 0, 0)
      assert.equal((await client.simple()).error, error, code)
      client.request(1, 0, 1, 0, 1n, Buffer.alloc(1))
      assert.equal((await client.simple()).error, error, code)
    }
  })

  it('structured replies: data, block status, errors with a sentence', async () => {
    const client = dial()
    await client.greet()
    assert.equal((await client.option(8)).type, 1)
    const query = Buffer.from('base:allocation')
    const context = await client.option(10, Buffer.concat([u32(3), Buffer.from('vm1'), u32(1), u32(query.length), query]))
    assert.equal(context.type, 4)
    assert.equal((await client.optionReply()).type, 1)
    client.send(optionBytes(7, Buffer.concat([u32(3), Buffer.from('vm1'), u16(0)])))
    while ((await client.optionReply()).type !== 1);
    client.request(1, 8192, 4096, 0, 1n, Buffer.alloc(4096, 7))
    assert.equal((await client.simple()).error, 0)
    client.request(0, 8190, 4)
    const read = await client.chunk()
    assert.deepEqual([read.type, read.done, read.data.subarray(8)], [1, true, Buffer.from([0, 0, 7, 7])])
    client.request(7, 0, 65536)
    const status = await client.chunk()
    const numbers = Array.from({ length: (status.data.length - 4) / 4 }, (_, i) => status.data.readUInt32BE(4 + 4 * i))
    assert.deepEqual(numbers, [8192, 3, 4096, 0, 65536 - 12288, 3])
    client.request(0, device.sizeBytes, 1)
    const failed = await client.chunk()
    assert.equal(failed.type, 32769)
    assert.match(failed.data.toString('utf8', 6), /past the end/)
  })

  it('a read-only device refuses to be written', async () => {
    server.add('ro', new MemoryDevice(MiB, true))
    const client = dial()
    await client.go('ro')
    for (const command of [1, 4, 6]) {
      client.request(command, 0, 4, 0, 1n, command === 1 ? Buffer.alloc(4) : Buffer.alloc(0))
      assert.equal((await client.simple()).error, 1)
    }
  })

  it('garbage in the handshake or after it closes that client alone', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 400 }), fc.constantFrom('raw', 'options', 'requests'), async (noise, where) => {
        const client = dial()
        if (where === 'raw') client.socket.write(noise)
        else if (where === 'options') {
          await client.greet()
          client.send(Buffer.from('IHAVEOPT'), Buffer.from(noise))
        } else {
          await client.go('vm1')
          client.socket.write(noise)
        }
        client.socket.end()
        await client.untilClosed()
      }),
      { numRuns: 60 },
    )
    await serves()
    assert.equal(device.bytes.some((byte) => byte !== 0), false)
  })

  it('half a handshake is sent away after its time, half a request waits for itself alone', async () => {
    const hasty = new NbdServer({ clock: systemClock }, { negotiationMs: 150, stopMs: 300 })
    hasty.add('vm1', device)
    const { port } = await hasty.listen({ host: '127.0.0.1', port: 0 })
    assert.ok(port !== undefined)
    const silent = new RawClient(port)
    const half = new RawClient(port)
    await half.read(18)
    half.send(Buffer.from([0, 0]))
    await Promise.all([silent.untilClosed(), half.untilClosed()])
    const waiting = new RawClient(port)
    await waiting.go('vm1')
    waiting.request(1, 0, 4096, 0, 1n, Buffer.alloc(100, 5))
    const other = new RawClient(port)
    await other.go('vm1')
    for (let n = 0; n < 20; n++) {
      other.request(0, 0, 8)
      assert.deepEqual((await other.simple(8)).data, Buffer.alloc(8))
    }
    // It does not hold up the end of the server either.
    await hasty.stop()
    await Promise.all([waiting.untilClosed(), other.untilClosed()])
    assert.equal(device.bytes[0], 0)
  })

  it('an option too large, a write too large: an answer, then closed', async () => {
    const option = dial()
    await option.greet()
    option.send(Buffer.from('IHAVEOPT'), u32(6), u32(2 ** 31))
    assert.equal((await option.optionReply()).type, 2 ** 31 + 9)
    await option.untilClosed()
    const write = dial()
    await write.go('vm1')
    write.request(1, 0, payloadBytesMax + 1)
    assert.equal((await write.simple()).error, 22)
    await write.untilClosed()
    await serves()
  })

  for (const isAtOnce of [false, true]) {
    it(`a client that stops reading holds a bounded amount and disturbs nobody${isAtOnce ? ', by a device that answers without a wait' : ''}`, async () => {
      device.isAtOnce = isAtOnce
      const client = dial()
      await client.go('vm1')
      client.socket.pause()
      for (let i = 0; i < 400; i++) client.request(0, 0, MiB, 0, BigInt(i))
      await serves()
      await serves()
      // 64 MiB in flight is the bound; beyond it the requests stay in the socket.
      assert.ok(device.calls.filter((call) => call === `read 0+${String(MiB)}`).length <= 80)
    })
  }

  it('stopping answers what runs and closes; removing an export closes its clients only', async () => {
    server.add('vm2', new MemoryDevice(MiB))
    const first = dial()
    await first.go('vm1')
    const second = dial()
    await second.go('vm2')
    assert.equal(server.connectionsOf('vm2'), 1)
    await server.remove('vm2')
    await second.untilClosed()
    first.request(0, 0, 8)
    assert.equal((await first.simple(8)).error, 0)
    await server.stop()
    await first.untilClosed()
  })

  it('says who is in the way when the address is taken', async () => {
    await assert.rejects(server.listen({ host: '127.0.0.1', port }), /something else listens there/)
  })
})
