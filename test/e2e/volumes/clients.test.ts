import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { codeOf } from '../../../src/base/index.js'
import { mainFile, eventually, someBytes, World } from '../harness.js'
import type { TestNode } from '../harness.js'
import { installed, run, tellMissing } from './clients.js'
import { NbdClient } from './nbd-client.js'

const MiB = 2 ** 20
const diskBytes = 32 * MiB
const anyPort = { env: { MESH_NODE_VOLUMES_NBD_LISTEN: '127.0.0.1:0' } }

interface Exported {
  uri: string
  exportId: string
  connections: number
}
interface Volume {
  id: string
  sizeBytes: number
  usedBytes: number
  exports: Exported[]
  openOn: { name: string }[]
}

describe('volumes on real nodes, with real clients', function () {
  this.timeout(120_000)
  let world: World
  let a: TestNode
  let b: TestNode

  before(async () => {
    world = new World()
    a = await world.start('a', anyPort)
    b = await world.join('b', a, anyPort)
  })
  after(async () => {
    await world.close()
    tellMissing()
  })

  it('commands: made, shown, grown, exported until Ctrl-C, removed; and what is wrong is said', async () => {
    const made = await a.json<Volume>('volume', 'create', 'vm1', '--size', '1TiB', '--replicas', '2')
    assert.equal(made.sizeBytes, 2 ** 40)
    assert.deepEqual((await b.json<{ name: string }[]>('volume', 'ls')).map(({ name }) => name), ['vm1'])
    assert.equal((await b.json<Volume>('volume', 'resize', 'vm1', '1025GiB')).sizeBytes, 1025 * 2 ** 30)
    assert.equal((await a.json<Volume>('volume', 'stat', 'vm1')).usedBytes, 0)
    const api = a.client()
    for (const [asked, code] of [
      [async () => api.createVolume('vm1', { sizeBytes: 2 ** 30 }), 'EXISTS'],
      [async () => api.createVolume('x/y', { sizeBytes: 2 ** 30 }), 'BAD_NAME'],
      [async () => api.createVolume('zero', { sizeBytes: 0 }), 'BAD_SIZE'],
      [async () => api.createVolume('huge', { sizeBytes: 2 ** 63 }), 'BAD_SIZE'],
      [async () => api.resizeVolume('vm1', 2 ** 30), 'BAD_SIZE'],
      [async () => api.removeVolume('nothing'), 'NOT_FOUND'],
      [async () => api.unexportVolume('vm1'), 'NOT_FOUND'],
      [async () => api.exportVolume('vm1', { tcp: '0.0.0.0:0' }), 'BAD_ADDRESS'],
      [async () => api.acquireLease('volume:vm1'), 'BAD_INPUT'],
      [async () => api.acquireLease(`segment:${made.id}/0`), 'BAD_INPUT'],
    ] as const) assert.equal(await asked().then(() => undefined, codeOf), code)
    const { code: refused, stdout } = await a.run('volume', 'create', 'vm1', '--size', '1GiB', '--json')
    assert.deepEqual([refused, (JSON.parse(stdout) as { error: { code: string } }).error.code], [2, 'EXISTS'])
    const child = spawn(process.execPath, [mainFile, 'volume', 'export', 'vm1', '--home', a.home], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stdout.on('data', (chunk: Buffer) => { said += chunk.toString() })
    await eventually(() => said.includes('\n'), 'the command to print where the export is')
    assert.match(said, /^nbd:\/\/127\.0\.0\.1:\d+\/vm1\n$/)
    if (await installed('nbdinfo')) assert.equal((await run('nbdinfo', ['--size', said.trim()])).trim(), String(1025 * 2 ** 30))
    for (const node of [a, b]) assert.equal(await node.client().removeVolume('vm1').then(() => undefined, codeOf), 'IN_USE')
    child.kill('SIGINT')
    assert.equal(await new Promise((resolve) => child.once('exit', resolve)), 0)
    await eventually(async () => (await a.json<Volume>('volume', 'stat', 'vm1')).openOn.length === 0, 'nobody to have it open')
    assert.equal((await b.run('volume', 'rm', 'vm1')).code, 0)
    assert.deepEqual(await a.json('volume', 'ls'), [])
  })

  it('nbdinfo, nbdcopy both ways, qemu-img, qemu-io and fio are content', async () => {
    await a.json('volume', 'create', 'disk', '--size', '32MiB', '--replicas', '2')
    const unix = world.path('disk.sock')
    const { uri } = await a.json<Exported>('volume', 'export', 'disk', '--detach', '--unix', unix)
    const source = world.path('source')
    const bytes = someBytes(diskBytes, 7)
    bytes.fill(0, 10 * MiB, 12 * MiB)
    writeFileSync(source, bytes)
    if (await installed('nbdinfo')) {
      const info = JSON.parse(await run('nbdinfo', ['--json', uri])) as { exports: Record<string, unknown>[] }
      assert.deepEqual([info.exports[0]?.['export-size'], info.exports[0]?.can_multi_conn, info.exports[0]?.can_fua], [diskBytes, true, true])
      assert.match(await run('nbdinfo', ['--map', uri]), /33554432\s+3\s+hole,zero/)
    }
    if (await installed('nbdcopy')) {
      await run('nbdcopy', ['--flush', source, uri])
      await run('nbdcopy', [uri, world.path('back')])
      assert.equal(Buffer.compare(readFileSync(world.path('back')), bytes), 0)
    }
    if (await installed('qemu-img', 'qemu-io')) {
      await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', source, uri])
      assert.match(await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', source, uri]), /identical/)
      const said = await run('qemu-io', [
        '-f', 'raw', '-c', 'write -P 0x5a 1M 3000k', '-c', 'discard 2M 64k', '-c', 'write -z 3M 64k', '-c', 'read -P 0x5a 1M 1M', '-c', 'read -P 0 2M 64k',
        '-c', 'read -P 0 3M 64k', '-c', 'read -P 0x5a 3136k 512k', '-c', 'write -f -P 7 5000001 13', '-c', 'read -P 7 5000001 13', '-c', 'flush', uri,
      ])
      assert.doesNotMatch(said, /failed|mismatch/i)
    }
    if (await installed('fio')) {
      await run('fio', ['--name=v', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bs=4k', '--iodepth=16', '--size=4m', '--verify=crc32c', '--fsync=32'], { cwd: world.folder })
    }
    const { usedBytes, exports } = await a.json<Volume>('volume', 'stat', 'disk')
    assert.ok(usedBytes > 20 * MiB && usedBytes <= diskBytes, `${String(usedBytes)} bytes are written`)
    await eventually(async () => (await a.json<Volume>('volume', 'stat', 'disk')).exports[0]?.connections === 0, 'all clients to be gone')
    assert.equal(exports[0]?.uri, uri)
    // A volume's bytes are part of what the node gives, on both nodes.
    for (const node of [a, b]) {
      await eventually(async () => (await node.json<{ usedBytes: number }>('quota', 'show')).usedBytes > 20 * MiB, `${node.name} to count the volume`)
    }
  })

  it('a file system moves with its volume: exported by one node, then by the other, clean and complete', async () => {
    if (!(await installed('nbdcopy', 'mkfs.ext4', 'e2fsck', 'debugfs'))) return
    const files = world.path('files')
    mkdirSync(`${files}/folder`, { recursive: true })
    for (let i = 0; i < 40; i++) writeFileSync(`${files}/folder/file ${String(i)}`, someBytes(1000 * (i + 1), i + 1))
    const image = world.path('ext4')
    await run('mkfs.ext4', ['-q', '-F', '-d', files, image, '32M'])
    await a.json('volume', 'create', 'fs', '--size', '32MiB')
    const first = await a.json<Exported>('volume', 'export', 'fs', '--detach')
    await run('nbdcopy', ['--flush', image, first.uri])
    const pulled = world.path('pulled')
    await run('nbdcopy', [first.uri, pulled])
    await run('e2fsck', ['-fn', pulled])
    // Changed on the way, so that what the other node has is neither the first image nor a part of it.
    writeFileSync(world.path('more'), someBytes(3 * MiB, 99))
    await run('debugfs', ['-w', '-R', `write ${world.path('more')} more`, pulled])
    await run('debugfs', ['-w', '-R', 'rm "folder/file 3"', pulled])
    await run('nbdcopy', ['--flush', pulled, first.uri])
    await a.json('volume', 'unexport', 'fs')
    const second = await b.json<Exported>('volume', 'export', 'fs', '--detach')
    const moved = world.path('moved')
    await run('nbdcopy', [second.uri, moved])
    await run('e2fsck', ['-fn', moved])
    const out = world.path('out')
    mkdirSync(out)
    await run('debugfs', ['-R', `rdump / ${out}`, moved])
    assert.equal(Buffer.compare(readFileSync(`${out}/more`), someBytes(3 * MiB, 99)), 0)
    const names = readdirSync(`${out}/folder`)
    assert.equal(names.length, 39)
    for (const name of names) {
      const i = Number(name.slice(5))
      assert.equal(Buffer.compare(readFileSync(`${out}/folder/${name}`), someBytes(1000 * (i + 1), i + 1)), 0, name)
    }
    await b.json('volume', 'unexport', 'fs')
  })

  it('writes of one node are read on another at once, while both have it exported', async () => {
    await a.json('volume', 'create', 'both', '--size', '1GiB')
    const [at, there] = [await a.json<Exported>('volume', 'export', 'both', '--detach'), await b.json<Exported>('volume', 'export', 'both', '--detach')]
    const [one, two] = [await NbdClient.connect(at.uri), await NbdClient.connect(there.uri)]
    for (let i = 0; i < 20; i++) {
      const [writer, reader] = i % 2 === 0 ? [one, two] : [two, one]
      const offset = (i % 3) * 4096 + i * 100
      await writer.write(offset, someBytes(5000, i + 1))
      assert.equal(Buffer.compare(await reader.read(offset, 5000), someBytes(5000, i + 1)), 0, `write ${String(i)}`)
    }
    await one.flush()
    assert.ok((await a.json<{ holder: string }[]>('volume', 'leases', 'both')).length > 0)
    one.close()
    two.close()
  })

  it('an export comes back with its node, at the same address, with what was flushed', async () => {
    const { exports } = await a.json<Volume>('volume', 'stat', 'disk')
    const uri = exports[0]?.uri ?? ''
    const before = await NbdClient.connect(uri)
    await before.write(4096, someBytes(8192, 3))
    await before.flush()
    assert.equal(await a.stop(), 0)
    await a.start()
    await eventually(async () => (await a.json<{ exports: { ready: boolean }[] }>('volume', 'stat', 'disk')).exports[0]?.ready === true, 'the export to be back')
    const after = await NbdClient.connect(uri)
    assert.equal(Buffer.compare(await after.read(4096, 8192), someBytes(8192, 3)), 0)
    after.close()
    await a.json('volume', 'unexport', 'disk')
  })

  it('a client that sends nonsense, or reads nothing, disturbs neither another client of the volume nor its content', async () => {
    await a.json('volume', 'create', 'rough', '--size', '64MiB')
    const { uri } = await a.json<Exported>('volume', 'export', 'rough', '--detach')
    const good = await NbdClient.connect(uri)
    await good.write(0, someBytes(MiB, 1))
    await good.flush()
    const { hostname, port } = new URL(uri)
    const rough = Array.from({ length: 8 }, (_, i) => connect({ host: hostname, port: Number(port) }).on('error', () => undefined).on('connect', function (this: Socket) {
      // From no handshake at all to garbage behind a good one.
      this.write(i < 4 ? someBytes(500 * i, i + 1) : Buffer.concat([Buffer.from('\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\x05rough'), someBytes(700, i)]))
      if (i === 6) this.end()
    }))
    const greedy = await NbdClient.connect(uri)
    greedy.pause()
    const unread = Array.from({ length: 100 }, async () => greedy.read(0, MiB).catch(() => undefined))
    for (let round = 2; round < 6; round++) {
      await good.write(0, someBytes(MiB, round))
      await good.flush()
      assert.equal(Buffer.compare(await good.read(0, MiB), someBytes(MiB, round)), 0)
    }
    for (const [offset, length] of [[64 * MiB, 1], [64 * MiB - 1, 2], [0, 0], [2 ** 52, 4096], [0, 2 ** 31]] as const) await assert.rejects(good.read(offset, length), /EINVAL|22/)
    assert.equal(Buffer.compare(await good.read(0, MiB), someBytes(MiB, 5)), 0)
    for (const socket of rough) socket.destroy()
    greedy.close()
    await Promise.all(unread)
    good.close()
    await a.json('volume', 'unexport', 'rough')
    await a.json('volume', 'rm', 'rough')
  })

  it('a node that leaves hands on its copies of volumes, also of blocks that another node holds', async () => {
    await a.json('volume', 'create', 'left', '--size', '64MiB', '--replicas', '2')
    const { uri } = await a.json<Exported>('volume', 'export', 'left', '--detach')
    const client = await NbdClient.connect(uri)
    await client.write(0, someBytes(4 * MiB, 21))
    await client.flush()
    assert.equal((await b.json<{ remaining: number }>('drain')).remaining, 0)
    await client.write(4 * MiB, someBytes(MiB, 22))
    await client.flush()
    await b.kill()
    assert.equal(Buffer.compare(await client.read(0, 5 * MiB), Buffer.concat([someBytes(4 * MiB, 21), someBytes(MiB, 22)])), 0)
    client.close()
  })
})
