import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile, readFile } from 'node:fs/promises'
import { randomFillSync } from 'node:crypto'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { systemClock } from '../../src/base/index.js'
import { NbdServer } from '../../src/gateways/nbd/index.js'
import { MemoryDevice } from '../unit/nbd/memory-device.js'

const run = promisify(execFile)
const MiB = 2 ** 20

/** Real clients (Debian: qemu-utils, libnbd-bin, fio). What is not installed is said by name, and not tried. */
async function installed(program: string): Promise<boolean> {
  try {
    await run('sh', ['-c', `command -v ${program}`])
    return true
  } catch {
    console.log(`      (${program} is not installed here: this client was not tried)`)
    return false
  }
}

describe('nbd with real clients', function () {
  this.timeout(60_000)
  let server: NbdServer
  let device: MemoryDevice
  let folder = ''
  let uri = ''
  let unix = ''

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mesh-nbd-'))
    server = new NbdServer({ clock: systemClock })
    device = new MemoryDevice(64 * MiB)
    server.add('disk', device)
    uri = `${(await server.listen({ host: '127.0.0.1', port: 0 })).uri}/disk`
    unix = join(folder, 'nbd.sock')
    await server.listen({ path: unix })
  })
  after(async () => {
    await server.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('nbdinfo sees the size, the flags and the allocation map, over TCP and over the socket', async () => {
    if (!(await installed('nbdinfo'))) return
    const info = JSON.parse((await run('nbdinfo', ['--json', uri])).stdout) as { exports: Record<string, unknown>[] }
    const disk = info.exports[0] ?? {}
    assert.equal(disk['export-size'], 64 * MiB)
    assert.equal(disk['can_multi_conn'], true)
    assert.equal(disk['can_fua'], true)
    assert.equal((await run('nbdinfo', ['--size', `nbd+unix:///disk?socket=${unix}`])).stdout.trim(), String(64 * MiB))
    assert.match((await run('nbdinfo', ['--map', uri])).stdout, /67108864\s+3\s+hole,zero/)
  })

  it('nbdcopy both ways, many connections', async () => {
    if (!(await installed('nbdcopy'))) return
    const source = join(folder, 'source')
    const back = join(folder, 'back')
    const bytes = randomFillSync(new Uint8Array(64 * MiB))
    bytes.fill(0, 10 * MiB, 20 * MiB)
    await writeFile(source, bytes)
    await run('nbdcopy', ['--flush', source, uri])
    assert.deepEqual(Buffer.compare(device.bytes, bytes), 0)
    await run('nbdcopy', [uri, back])
    assert.equal(Buffer.compare(await readFile(back), bytes), 0)
  })

  it('qemu-img converts onto it and finds it equal; qemu-io patterns, discards and zeroes', async () => {
    if (!(await installed('qemu-img'))) return
    const source = join(folder, 'qemu')
    await writeFile(source, randomFillSync(new Uint8Array(64 * MiB)))
    await run('qemu-img', ['convert', '-n', '-f', 'raw', '-O', 'raw', source, uri])
    assert.match((await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', source, uri])).stdout, /identical/)
    const { stdout } = await run('qemu-io', [
      '-f', 'raw', '-c', 'write -P 0x5a 1M 3000k', '-c', 'discard 2M 64k', '-c', 'write -z 3M 64k', '-c', 'read -P 0x5a 1M 1M', '-c', 'read -P 0 2M 64k',
      '-c', 'read -P 0 3M 64k', '-c', 'read -P 0x5a 3136k 512k', '-c', 'write -f -P 7 5000001 13', '-c', 'read -P 7 5000001 13', '-c', 'flush', uri,
    ])
    assert.doesNotMatch(stdout, /failed|mismatch/i)
  })

  it('fio verifies what it wrote', async () => {
    if (!(await installed('fio'))) return
    const engines = (await run('fio', ['--enghelp'])).stdout
    if (!/\bnbd\b/.test(engines)) {
      console.log('      (this fio was built without its nbd engine: not tried)')
      return
    }
    await run('fio', ['--name=v', '--ioengine=nbd', `--uri=${uri}`, '--rw=randwrite', '--bs=4k', '--iodepth=16', '--size=16m', '--verify=crc32c', '--fsync=32'], { cwd: folder })
  })
})
