import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { silentLog, systemClock } from '../../../src/base/index.js'
import { NodeError } from '../../../src/node/errors.js'
import { homeAt, isAlive, prepareHome, writeApiFile } from '../../../src/node/home.js'
import { decodeKey, encodeKey, isExposed, readKey, writeKey } from '../../../src/node/keys.js'
import { Lifecycle } from '../../../src/node/lifecycle.js'
import { createLog } from '../../../src/node/log.js'
import { segmentOf } from '../../../src/node/segment.js'

describe('home', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mesh-home-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it('keeps keys as text that knows what it is and whether it is whole', () => {
    const seed = new Uint8Array(32).map((_, i) => i)
    const text = encodeKey('identity', seed)
    assert.deepEqual(decodeKey('identity', text, 'f'), seed)
    assert.deepEqual(decodeKey('identity', text.replaceAll('\n', '\r\n'), 'f'), seed, 'an editor on Windows does no harm')
    assert.throws(() => decodeKey('authority', text, 'f'), /is not a usable authority key: it is an identity key/)
    assert.throws(() => decodeKey('identity', text.replace('key 1', 'key 2'), 'f'), /version 2/)
    assert.throws(() => decodeKey('identity', text.slice(0, -12), 'f'), /cut short or changed/)
    assert.throws(() => decodeKey('identity', text.replace('0001', '1001'), 'f'), /checksum/)
    assert.throws(() => decodeKey('identity', '', 'f'), /does not begin like one/)
  })

  // To the system's own user nothing is forbidden.
  if (process.platform !== 'win32' && process.getuid?.() !== 0) {
    it('says that a home may not be written to, also one that is there already', () => {
      const home = homeAt(join(folder, 'h'))
      prepareHome(home)
      chmodSync(home.path, 0o500)
      assert.throws(() => { prepareHome(home) }, { code: 'BAD_HOME', message: /may not be written to/ })
      chmodSync(home.path, 0o700)
    })
  }

  it('never takes a changed key for a right one, nor fails in any other way', () => {
    const seed = new Uint8Array(32).fill(7)
    const text = encodeKey('authority', seed)
    fc.assert(
      fc.property(fc.nat(text.length), fc.nat(8), fc.string({ unit: 'binary', maxLength: 8 }), (at, cut, insert) => {
        const changed = text.slice(0, at) + insert + text.slice(at + cut)
        try {
          assert.deepEqual(decodeKey('authority', changed, 'f'), seed)
        } catch (error) {
          assert.ok(error instanceof NodeError && error.code === 'BAD_KEY', String(error))
          assert.ok(!error.message.includes('0707'), 'the secret must not be in the message')
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('writes secrets for the owner alone, and replaces them in one step', function () {
    const file = join(folder, 'identity.key')
    assert.equal(readKey('identity', file), undefined)
    writeKey('identity', file, new Uint8Array(32))
    writeKey('identity', file, new Uint8Array(32).fill(1))
    assert.deepEqual(readKey('identity', file), new Uint8Array(32).fill(1))
    assert.deepEqual(readdirSync(folder), ['identity.key'])
    if (process.platform === 'win32') this.skip()
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(isExposed(file), false)
    chmodSync(file, 0o640)
    assert.equal(isExposed(file), true)
  })

  it('keeps what it stores to its owner, also in a folder that was there before', function () {
    if (process.platform === 'win32') this.skip()
    mkdirSync(join(folder, 'open'), { mode: 0o755 })
    mkdirSync(join(folder, 'open', 'meta'), { mode: 0o755 })
    prepareHome(homeAt(join(folder, 'open')))
    for (const name of ['blocks', 'meta']) assert.equal(statSync(join(folder, 'open', name)).mode & 0o777, 0o700, name)
  })

  it('is made once, and keeps the settings that are there', () => {
    const home = homeAt(join(folder, 'a', 'b'))
    prepareHome(home, new Map([['node.name', 'attic']]))
    assert.match(readFileSync(home.configFile, 'utf8'), /^name = "attic"$/m)
    writeFileSync(home.configFile, '# mine\n')
    prepareHome(home)
    assert.equal(readFileSync(home.configFile, 'utf8'), '# mine\n')
    writeApiFile(home, { pid: 1, url: 'u', token: 't' })
    assert.deepEqual(JSON.parse(readFileSync(home.apiFile, 'utf8')), { pid: 1, url: 'u', token: 't' })
    writeFileSync(join(folder, 'file'), '')
    assert.throws(() => prepareHome(homeAt(join(folder, 'file'))), /a file is in the way; choose another with --home/)
    assert.throws(() => prepareHome(homeAt(join(folder, 'file', 'x'))), (error) => error instanceof NodeError && error.code === 'BAD_HOME')
    assert.equal(existsSync(join(folder, 'file', 'x')), false)
    assert.equal(isAlive(process.pid), true)
  })
})

describe('lifecycle', () => {
  it('stops downward, whatever fails or hangs', async () => {
    const lifecycle = new Lifecycle({ log: silentLog, clock: systemClock })
    const stopped: string[] = []
    lifecycle.add('store', async () => void stopped.push('store'))
    lifecycle.add('hangs', async () => new Promise(() => undefined), 10)
    lifecycle.add('fails', async () => {
      stopped.push('fails')
      throw new Error('no')
    })
    lifecycle.run('runs', async (signal) => new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        stopped.push('runs')
        reject(new Error('told to stop'))
      })
    }), () => assert.fail('it did not fail'))
    await lifecycle.stop()
    assert.deepEqual(stopped, ['runs', 'fails', 'store'])
    await lifecycle.stop()
    assert.equal(stopped.length, 3)
  })

  it('hears of a part that fails by itself', async () => {
    const lifecycle = new Lifecycle({ log: silentLog, clock: systemClock })
    const failure = await new Promise((resolve) => lifecycle.run('breaks', async () => Promise.reject(new Error('broken')), resolve))
    assert.match(String(failure), /broken/)
    await lifecycle.stop()
  })
})

describe('log', () => {
  it('keeps every line one line, whatever strangers put into it', () => {
    const lines: string[] = []
    const log = createLog({ level: 'info', format: 'text', write: (line) => lines.push(line) })
    log.debug('not shown')
    log.child('net').warn('odd\nname', { name: 'a\nb\x1b[2J', count: 3 })
    assert.equal(lines.length, 1)
    assert.match(lines[0] ?? '', /^\S+ WARN {2}net: odd name {2}name=a b \[2J {2}count=3\n$/)
  })
})

describe('segment', () => {
  it('is the public network, or the private one', () => {
    assert.equal(segmentOf(['/ip4/127.0.0.1/tcp/1', '/ip4/192.168.7.9/tcp/1', '/ip4/8.8.4.4/tcp/1']), '8.8.4.0/24')
    assert.equal(segmentOf(['/ip4/127.0.0.1/tcp/1', '/ip4/192.168.7.9/tcp/1']), '192.168.7.0/24')
    assert.equal(segmentOf(['/ip4/10.0.0.1/tcp/1', '/ip6/2001:db8:7::1/tcp/1']), '2001:db8:7::/48')
    assert.equal(segmentOf(['/ip4/127.0.0.1/tcp/1', '/ip6/fe80::1/tcp/1']), 'local')
    assert.equal(segmentOf([]), 'local')
  })
})
