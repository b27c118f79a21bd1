import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { codeOf, CommonError, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import type { KeyValue } from '../../../src/base/index.js'
import { VolumeExports } from '../../../src/node/volume-exports.js'
import type { OpenOptions, OpenVolume } from '../../../src/volumes/index.js'
import { MemoryKeyValue } from '../catalog/memory-key-value.js'
import { until } from '../consensus/mesh.js'
import { MemoryDevice } from '../nbd/memory-device.js'

/** Volumes in memory; what is opened can be made to fail. */
class Volumes {
  readonly ids = new Map([['vm', '11'.repeat(16)], ['other', '22'.repeat(16)]])
  readonly open_: { name: string; options: OpenOptions; closed: boolean; fail: () => void }[] = []
  refuse: Error | undefined

  get openNow(): number {
    return this.open_.filter(({ closed }) => !closed).length
  }

  async open(name: string, options: OpenOptions = {}): Promise<OpenVolume> {
    if (this.refuse !== undefined) throw this.refuse
    const id = this.ids.get(name)
    if (id === undefined) throw new CommonError('NOT_FOUND', 'no such volume')
    const device = new MemoryDevice(2 ** 20, options.readOnly)
    const state: { failed: Error | undefined } = { failed: undefined }
    const entry = { name, options, closed: false, fail: () => { state.failed = new Error('lost') } }
    this.open_.push(entry)
    return {
      info: { name, id, sizeBytes: 2 ** 20, blockSize: 4096, segments: 1, durability: 'flush', replicas: 1, policy: 'adaptive', usedBytes: 0 },
      get failed() { return state.failed },
      sizeBytes: 2 ** 20, readOnly: device.readOnly, blockBytes: 4096,
      read: device.read.bind(device), write: device.write.bind(device), flush: device.flush.bind(device), trim: device.trim.bind(device),
      writeZeroes: device.writeZeroes.bind(device), extents: device.extents.bind(device), prefetch: device.prefetch.bind(device),
      close: async () => { entry.closed = true },
    }
  }
}

describe('exports of volumes', () => {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-exports-'))
  let volumes: Volumes
  let store: KeyValue
  let exports: VolumeExports
  const running: AbortController[] = []
  const make = (remote = false): VolumeExports => {
    const made = new VolumeExports({ volumes, store, clock: systemClock, random: systemRandom, log: silentLog }, { listen: '127.0.0.1:0', remote })
    return made
  }
  const run = (which: VolumeExports): void => {
    const controller = new AbortController()
    running.push(controller)
    which.run(controller.signal).catch(() => undefined)
  }
  beforeEach(() => {
    volumes = new Volumes()
    store = new MemoryKeyValue()
    exports = make()
  })
  afterEach(async () => {
    for (const controller of running.splice(0)) controller.abort()
    await exports.stop()
  })
  after(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  /** Negotiates an export by its name, as an old client does; undefined if there is none. */
  const attach = async (uri: string): Promise<{ size: bigint; close: () => void } | undefined> => {
    const { hostname, port, pathname, searchParams } = new URL(uri)
    const unix = searchParams.get('socket')
    const socket = unix === null ? connect(Number(port), hostname) : connect(unix)
    const bytes: Buffer[] = []
    socket.on('data', (chunk: Buffer) => bytes.push(chunk))
    socket.on('error', () => undefined)
    const name = Buffer.from(pathname.slice(1))
    const head = Buffer.alloc(20)
    head.writeUInt32BE(3, 0)
    head.write('IHAVEOPT', 4)
    head.writeUInt32BE(1, 12)
    head.writeUInt32BE(name.length, 16)
    socket.write(Buffer.concat([head, name]))
    const ended = { yet: false }
    socket.on('close', () => { ended.yet = true })
    await until(() => ended.yet || Buffer.concat(bytes).length >= 28)
    if (Buffer.concat(bytes).length < 28) return undefined
    return { size: Buffer.concat(bytes).readBigUInt64BE(18), close: () => { socket.destroy() } }
  }

  it('over TCP and over a private socket, each address with its own volumes only', async () => {
    const tcp = await exports.detached('vm', {})
    const unix = join(folder, 'a socket')
    const held = await exports.held('other', { unix, readOnly: true })
    assert.match(tcp.uri, /^nbd:\/\/127\.0\.0\.1:\d+\/vm$/)
    assert.equal(held.state().uri, `nbd+unix:///other?socket=${folder}/a%20socket`)
    assert.equal(statSync(unix).mode & 0o777, 0o600)
    const one = await attach(tcp.uri)
    assert.equal(one?.size, 2n ** 20n)
    await until(() => exports.connections === 1)
    assert.equal((await attach(held.state().uri))?.size, 2n ** 20n)
    assert.equal(await attach(tcp.uri.replace('/vm', '/other')), undefined, 'what is exported elsewhere is not found here')
    assert.equal(volumes.open_.find(({ name }) => name === 'other')?.options.readOnly, true)
    await held.close()
    assert.equal(existsSync(unix), false)
    assert.equal(held.ended.aborted, true)
    assert.deepEqual(await exports.remove('vm', undefined), { ended: 1 })
    await until(() => exports.connections === 0)
    assert.equal(volumes.openNow, 0)
  })

  it('says what is wrong with an address, and opens nothing', async () => {
    const code = async (wish: Parameters<VolumeExports['held']>[1], name = 'vm'): Promise<string | undefined> => exports.held(name, wish).then(() => undefined, codeOf)
    assert.equal(await code({ tcp: '0.0.0.0:0' }), 'BAD_ADDRESS')
    assert.equal(await code({ tcp: 'nonsense' }), 'BAD_ADDRESS')
    assert.equal(await code({ unix: 'relative' }), 'BAD_ADDRESS')
    assert.equal(await code({ unix: `/${'x'.repeat(200)}` }), 'BAD_ADDRESS')
    assert.equal(await code({ unix: '/a', tcp: '127.0.0.1:1' }), 'BAD_ADDRESS')
    assert.equal(await code({}, 'none'), 'NOT_FOUND')
    const file = join(folder, 'file')
    writeFileSync(file, 'precious')
    assert.equal(await code({ unix: file }), 'BAD_ADDRESS')
    assert.equal(existsSync(file), true)
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    const { port } = taken.address() as { port: number }
    assert.equal(await code({ tcp: `127.0.0.1:${String(port)}` }), 'PORT_IN_USE')
    await new Promise((resolve) => taken.close(resolve))
    const unix = join(folder, 'twice')
    await exports.held('vm', { unix })
    assert.equal(await code({ unix }), 'EXISTS')
    assert.equal(volumes.openNow, 1)
    assert.equal(exports.of('vm').length, 1)
    assert.equal(await exports.remove('other', undefined).then(() => undefined, codeOf), 'NOT_FOUND')
  })

  it('says that the folder for a socket is not there, and not that something is forbidden', async () => {
    await assert.rejects(exports.held('vm', { unix: join(folder, 'none', 'x.sock') }), { code: 'BAD_ADDRESS', message: `there is no folder ${join(folder, 'none')} for the socket` })
    assert.equal(volumes.openNow, 0)
  })

  it('takes a socket that a killed node left, and none at which somebody listens', async () => {
    const unix = join(folder, 'left')
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(unix, resolve))
    assert.equal(await exports.held('vm', { unix }).then(() => undefined, codeOf), 'PORT_IN_USE')
    await new Promise((resolve) => other.close(resolve))
    // Whoever is killed has no time to clean up.
    const code = `require('net').createServer().listen(${JSON.stringify(unix)}, () => process.kill(process.pid, 'SIGKILL'))`
    assert.throws(() => execFileSync(process.execPath, ['-e', code], { stdio: 'ignore' }))
    assert.equal(existsSync(unix), true)
    const held = await exports.held('vm', { unix })
    assert.equal((await attach(held.state().uri))?.size, 2n ** 20n)
  })

  it('detached ones come back, at the same port, as soon as the volume can be had; held ones do not', async () => {
    const first = await exports.detached('vm', { staleReads: true })
    await exports.held('other', {})
    await exports.stop()
    assert.equal(volumes.openNow, 0)
    volumes.refuse = new CommonError('UNAVAILABLE', 'no session yet')
    exports = make()
    run(exports)
    await until(() => exports.problems().length === 1)
    assert.match(exports.problems()[0] ?? '', /no session yet/)
    assert.deepEqual(exports.of('vm').map(({ uri, ready }) => [uri, ready]), [[first.uri, false]])
    volumes.refuse = undefined
    await until(() => exports.of('vm')[0]?.ready === true)
    assert.deepEqual(exports.problems(), [])
    assert.equal((await attach(first.uri))?.size, 2n ** 20n)
    assert.deepEqual(exports.of('other'), [])
    assert.equal(volumes.open_.at(-1)?.options.staleReads, true)
    await exports.remove('vm', first.exportId.slice(0, 4))
    await exports.stop()
    exports = make()
    run(exports)
    assert.deepEqual(exports.of('vm'), [])
  })

  it('an export of a volume that is no more, or is another by now, is forgotten', async () => {
    await exports.detached('vm', {})
    await exports.detached('other', {})
    await exports.stop()
    volumes.ids.set('vm', '33'.repeat(16))
    volumes.ids.delete('other')
    exports = make()
    run(exports)
    await until(() => exports.count === 0 && volumes.open_.length === 3 && volumes.openNow === 0)
    const left = []
    for await (const entry of store.entries()) left.push(entry)
    assert.deepEqual(left, [])
  })

  it('a volume that may have lost writes is opened anew when the last of those who were told has gone', async () => {
    const { uri } = await exports.detached('vm', {})
    const one = await attach(uri)
    await until(() => exports.connections === 1)
    volumes.open_[0]!.fail()
    const two = await attach(uri)
    await until(() => exports.connections === 2)
    assert.equal(volumes.open_.length, 1, 'whoever joins a failed disk is told so, too')
    one?.close()
    two?.close()
    await until(() => exports.connections === 0)
    await attach(uri)
    assert.deepEqual(volumes.open_.map(({ closed }) => closed), [true, false])
  })
})
