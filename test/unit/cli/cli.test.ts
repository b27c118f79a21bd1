import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { Server } from 'node:http'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { pack } from 'tar-stream'
import fc from 'fast-check'
import { checkedName, rangeOf } from '../../../src/cli/commands/get.js'
import { memberOf } from '../../../src/cli/commands/mesh.js'
import { CliError, errorSentence, exitCodeOf } from '../../../src/cli/errors.js'
import { runCli } from '../../../src/cli/program.js'
import { clean, counted, table } from '../../../src/cli/table.js'
import { ClientError } from '../../../src/client/index.js'
import type { MemberInfo } from '../../../src/client/index.js'

function sink(): Writable & { text: () => string } {
  const parts: Buffer[] = []
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      parts.push(Buffer.from(chunk))
      done()
    },
  })
  return Object.assign(stream, { text: () => Buffer.concat(parts).toString('utf8') })
}

async function cli(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const stdout = sink()
  const stderr = sink()
  const code = await runCli(args, { stdout, stderr, signal: new AbortController().signal })
  return { code, out: stdout.text(), err: stderr.text() }
}

describe('command line', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mesh-cli-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it('has an exit code for each kind of end', () => {
    assert.equal(exitCodeOf(new ClientError('NOT_FOUND', '', {}, { status: 404 })), 2)
    assert.equal(exitCodeOf(new ClientError('NO_SPACE', '', {}, { status: 507 })), 2)
    assert.equal(exitCodeOf(new ClientError('INTERNAL', '', {}, { status: 500 })), 1)
    assert.equal(exitCodeOf(new ClientError('HOLDERS_UNREACHABLE', '', {}, { status: 503 })), 1)
    assert.equal(exitCodeOf(new ClientError('DEADLINE', '')), 62)
    assert.equal(exitCodeOf(new ClientError('DEADLINE', '', {}, { status: 504 })), 62)
    assert.equal(exitCodeOf(new ClientError('ABORTED', '')), 125)
    assert.equal(exitCodeOf(new ClientError('NOT_RUNNING', '')), 1)
    assert.equal(exitCodeOf(new CliError('USAGE', '')), 2)
    assert.equal(exitCodeOf(new TypeError('bug')), 1)
  })

  it('works with settings without a node', async () => {
    const home = ['--home', join(folder, 'h')]
    assert.equal((await cli('config', 'check', ...home)).code, 0)
    const set = await cli('config', 'set', 'storage.max_storage', '5GB', ...home)
    assert.equal(set.code, 0, set.err)
    assert.deepEqual(JSON.parse((await cli('config', 'get', 'storage.max_storage', '--json', ...home)).out), { key: 'storage.max_storage', value: 5e9, origin: 'file' })
    assert.equal((await cli('config', 'get', 'storage.max_storage', ...home)).out, '5GB\n')
    const contradiction = await cli('config', 'set', 'storage.reserved', '6GB', ...home)
    assert.equal(contradiction.code, 2)
    assert.match(contradiction.err, /contradict/)
    assert.equal((await cli('config', 'check', ...home)).code, 0, 'what was refused was not written')
    assert.equal((await cli('config', 'set', 'storage.max_storage', 'lots', ...home)).code, 2)
    for (const outside of ['../evil', '/etc/evil', 'logs/../../evil', 'C:\\evil', '..\\evil']) assert.equal((await cli('config', 'set', 'log.file', outside, ...home)).code, 2, outside)
    for (const kept of ['logs/blocks/000000000001.rows', 'identity.key', 'meta/000005.ldb', './blocks/x', 'Config.toml', 'voter.seq', 'api.json.12.new']) {
      const refused = await cli('config', 'set', 'log.file', kept, ...home)
      assert.equal(refused.code, 2, kept)
      assert.match(refused.err, /none of the node's own/)
    }
    assert.equal((await cli('config', 'set', 'log.file', 'log/..today.log', ...home)).code, 0)
    assert.equal((await cli('config', 'set', 'log.file', 'metadata.log', ...home)).code, 0)
    const unit = await cli('config', 'set', 'storage.max_storage', '50', ...home)
    assert.equal(unit.code, 2)
    assert.match(unit.err, /a size such as "100GB".*, not "50"/)
    const nothing = await cli('config', 'check', join(folder, 'none.toml'), ...home)
    assert.equal(nothing.code, 2)
    assert.match(nothing.err, /there is no file/)
    const typo = await cli('config', 'get', 'storage.max_storag', '--json', ...home)
    assert.equal((JSON.parse(typo.out) as { error: { nearest: string } }).error.nearest, 'storage.max_storage')
    const all = JSON.parse((await cli('config', 'get', '--json', ...home)).out) as { key: string }[]
    assert.ok(all.length > 40)
  })

  it('takes no home that is empty, and no file for a folder', async () => {
    for (const command of [['status'], ['start'], ['init'], ['config', 'get']]) {
      const { code, err } = await cli(...command, '--home', '')
      assert.equal(code, 2)
      assert.match(err, /--home takes a folder, and this is empty/)
    }
    const file = join(folder, 'file')
    writeFileSync(file, '')
    for (const home of [file, join(file, 'below')]) {
      const { code, err } = await cli('init', '--home', home)
      assert.equal(code, 1)
      assert.match(err, /cannot be used as a home: a file is in the way/)
    }
    const long = await cli('init', '--name', 'n'.repeat(1000), '--home', join(folder, 'h'))
    assert.equal(long.code, 2)
    assert.ok(long.err.length < 300)
    assert.deepEqual(readdirSync(folder), ['file'])
  })

  it('takes no path that is empty for the root of the mesh', async () => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(request.url ?? '')
      response.end('{}')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      writeApi(server)
      for (const command of [['rm', '-r', ''], ['put', join(folder, 'api.json'), '--as', ''], ['priority', 'set', '', 'low'], ['replicas', 'set', '', '1'], ['get', ''], ['ls', ''], ['stat', ''], ['mv', '/x', ''], ['mv', '', '/x'], ['verify', ''], ['export', '', '-'], ['pin', 'add', ''], ['placement', 'explain', '']]) {
        const { code, err } = await cli(...command, '--home', folder)
        assert.equal(code, 2, command.join(' '))
        assert.match(err, /this is empty/)
      }
      assert.deepEqual(asked, [])
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })

  it('takes nobody else who listens at the address of a node that is dead for that node', async () => {
    let answer: { status: number; body: string } = { status: 401, body: JSON.stringify({ code: 'UNAUTHORIZED', message: 'the token is not the one of this node' }) }
    const server = createServer((_request, response) => {
      response.statusCode = answer.status
      response.end(answer.body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      writeApi(server)
      const other = await cli('stat', '/f', '--home', folder)
      assert.equal(other.code, 1)
      assert.match(other.err, /no node is running in .*; start it with/)
      assert.match((await cli('doctor', '--home', folder)).out, /no node is running in/)
      answer = { status: 404, body: '<html>' }
      const stranger = await cli('stat', '/f', '--home', folder, '--json')
      assert.equal(stranger.code, 1)
      assert.equal((JSON.parse(stranger.out) as { error: { code: string } }).error.code, 'BAD_ANSWER')
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })

  function writeApi(server: Server): void {
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    writeFileSync(join(folder, 'api.json'), JSON.stringify({ pid: process.pid, url: `http://127.0.0.1:${String(address.port)}`, token: 't' }))
  }

  it('says how many in words', () => {
    assert.deepEqual([0, 1, 2].map((count) => counted(count, 'file')), ['0 files', '1 file', '2 files'])
  })

  it('takes no name with bytes that were no letters', async () => {
    const refused = await cli('put', '-', '--as', Buffer.from('/a\xff', 'latin1').toString('utf8'), '--home', folder)
    assert.equal(refused.code, 2)
    assert.match(refused.err, /no UTF-8/)
  })

  it('makes a mesh without a node, once', async () => {
    const home = ['--home', join(folder, 'h')]
    const made = await cli('init', '--name', 'first', '--json', ...home)
    assert.equal(made.code, 0, made.out)
    const { meshId, peerId } = JSON.parse(made.out) as { meshId: string; peerId: string }
    const id = JSON.parse((await cli('id', '--json', ...home)).out) as { meshId: string; peerId: string; name: string; state: string; isAdmin: boolean }
    assert.deepEqual([id.meshId, id.peerId, id.name, id.state, id.isAdmin], [meshId, peerId, 'first', 'stopped', true])
    const again = await cli('init', '--json', ...home)
    assert.equal(again.code, 2)
    assert.equal((JSON.parse(again.out) as { error: { code: string } }).error.code, 'ALREADY_MEMBER')
    const nowhere = await cli('id', '--home', join(folder, 'nowhere'))
    assert.equal(nowhere.code, 2)
    assert.equal(existsSync(join(folder, 'nowhere')), false, 'asking makes nothing')
    const junk = await cli('join', 'mesh1junk', '--home', join(folder, 'nowhere'))
    assert.equal(junk.code, 2)
    assert.equal(existsSync(join(folder, 'nowhere')), false)
  })

  it('completes what it knows', async () => {
    for (const shell of ['bash', 'zsh', 'fish']) {
      const { code, out } = await cli('completion', shell)
      assert.equal(code, 0)
      for (const word of ['members', 'priority', 'range', 'max-storage']) assert.ok(out.includes(word), `${shell}: ${word}`)
    }
    assert.equal((await cli('completion', 'tcsh')).code, 2)
    assert.equal((await cli('--version')).code, 0)
    assert.equal((await cli('put', '--help')).code, 0)
    assert.equal((await cli()).code, 2)
  })

  it('reads ranges', () => {
    assert.deepEqual(rangeOf('0-9'), { from: 0, to: 9 })
    assert.deepEqual(rangeOf('5-'), { from: 5 })
    assert.deepEqual(rangeOf('-5'), { to: 5 })
    for (const bad of ['', '-', '9-1', 'a-b', '1-2-3', '1.5-2', '0x1-2', '1'.repeat(20) + '-']) assert.throws(() => rangeOf(bad), CliError, bad)
  })

  it('finds members by what people type', () => {
    const member = (peerId: string, name: string): MemberInfo => ({ peerId, name, region: '', state: 'up', self: false, joined: 0, lastSeen: 0, revoked: false, version: '' })
    const members = [member('12D3KooWaaaa1111', 'laptop'), member('12D3KooWaaaa2222', 'server'), member('12D3KooWbbbb3333', 'server')]
    assert.equal(memberOf('12D3KooWb', members).name, 'server')
    assert.equal(memberOf('1111', members).name, 'laptop')
    assert.equal(memberOf('laptop', members).peerId, '12D3KooWaaaa1111')
    assert.throws(() => memberOf('server', members), { code: 'AMBIGUOUS' })
    assert.throws(() => memberOf('12D3', members), { code: 'AMBIGUOUS' })
    assert.throws(() => memberOf('11', members), { code: 'NOT_FOUND' })
  })

  it('shows nothing that moves the terminal\'s cursor', () => {
    assert.equal(clean('a\x1b[2J\nb'), 'a?[2J?b')
    assert.equal(clean('photo\u202egpj.exe\u2028x'), 'photo?gpj.exe?x')
    assert.equal(errorSentence(new Error('no \x1b]0;owned\x07')), 'mesh-node: no ?]0;owned?')
    assert.equal(table(['NAME', 'SIZE'], [['a\tb', '1 B'], ['c', '10 B']]), 'NAME  SIZE\na?b    1 B\nc     10 B')
  })

  it('takes no name that is none', () => {
    for (const bad of ['', '.', '..', 'a/b', 'a\0b']) assert.throws(() => checkedName(bad), CliError)
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (name) => {
      try {
        assert.doesNotMatch(checkedName(name), /^\.{0,2}$|[/\0]/)
      } catch (error) {
        assert.ok(error instanceof CliError)
      }
    }))
  })

  describe('get of a folder, from a node that means harm', () => {
    let server: Server
    let names: string[] = []
    before(async () => {
      server = createServer((request, response) => {
        if (request.url?.startsWith('/api/v1/stat') === true) {
          response.setHeader('content-type', 'application/json')
          response.end(JSON.stringify({ path: '/f', type: 'dir', cid: null, size: 0, replicas: { wanted: 0, have: 0, holders: [] } }))
          return
        }
        if (request.method === 'PUT') {
          request.resume()
          response.statusCode = 201
          response.end(JSON.stringify({ cid: null, size: 1, path: '/f', files: 1, entries: [], replicas: { wanted: 1, have: 1, holders: [] }, failed: [{ path: '/f/b', code: 'BAD_PATH', message: 'no' }] }))
          return
        }
        const archive = pack()
        for (const name of names) archive.entry({ name }, 'harm')
        archive.finalize()
        void (async () => {
          for await (const chunk of archive) response.write(chunk)
          response.end()
        })()
      })
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    })
    after(() => {
      server.close()
      server.closeAllConnections()
    })

    it('says what became of a folder in one document, also when a part of it failed', async () => {
      writeApi(server)
      mkdirSync(join(folder, 'source'))
      writeFileSync(join(folder, 'source', 'a'), 'a')
      const { code, out } = await cli('put', join(folder, 'source'), '--home', folder, '--json')
      assert.equal(code, 1)
      const document = JSON.parse(out) as { files: number; error: { code: string; failed: number } }
      assert.deepEqual([document.files, document.error.code, document.error.failed], [1, 'NOT_ALL', 1])
      assert.match(JSON.stringify(JSON.parse((await cli('members', '--json')).out)), /no command was given/)
    })

    it('writes nothing outside the target', async () => {
      writeApi(server)
      mkdirSync(join(folder, 'outside'))
      mkdirSync(join(folder, 'target'))
      symlinkSync(join(folder, 'outside'), join(folder, 'target', 'link'))
      for (const evil of ['../outside/x', '/etc/x', 'a/../../outside/x', 'link/x', 'link/deeper/x', '..', 'a//x']) {
        names = ['good', evil, 'after']
        const { code, out } = await cli('get', '/f', '-o', join(folder, 'target'), '--home', folder, '--json')
        assert.equal(code, 1, evil)
        const told = JSON.parse(out) as { files: number; failed: { code: string }[]; error: { code: string } }
        assert.deepEqual([told.files, told.failed.map((one) => one.code), told.error.code], [2, ['BAD_NAME'], 'NOT_ALL'], evil)
        assert.deepEqual(readdirSync(join(folder, 'outside')), [], evil)
      }
      assert.equal(readFileSync(join(folder, 'target', 'good'), 'utf8'), 'harm')
      assert.deepEqual(readdirSync(join(folder, 'target')).filter((name) => name.endsWith('.part')), [])
    })
  })
})
