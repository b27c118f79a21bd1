import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { CarReader } from '@ipld/car'
import { MemoryBlockstore } from 'blockstore-core/memory'
import { importer } from 'ipfs-unixfs-importer'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { readApiFile } from '../../src/client/index.js'
import { eventually, runCommand, someBytes, World } from './harness.js'
import type { TestNode } from './harness.js'

/** Of a folder, as the stock importer names it. */
async function importedCid(files: { path: string; content: Uint8Array }[]): Promise<string> {
  const options = { wrapWithDirectory: true, cidVersion: 1, rawLeaves: true, chunker: fixedSize({ chunkSize: 2 ** 20 }), layout: balanced({ maxChildrenPerNode: 1024 }) } as const
  let last = ''
  for await (const entry of importer(files, new MemoryBlockstore(), options)) last = entry.cid.toString()
  return last
}

describe('three nodes', function () {
  this.timeout(120_000)
  const world = new World()
  let a: TestNode
  let b: TestNode
  let c: TestNode
  before(async () => {
    a = await world.start('a')
    b = await world.join('b', a)
    c = await world.join('c', a)
  })
  after(async () => world.close())

  it('are one mesh, and see each other', async () => {
    const meshes = new Set<string>()
    for (const node of [a, b, c]) {
      meshes.add((await node.status()).meshId)
      await eventually(async () => (await node.client().peers()).filter((peer) => peer.connected && peer.state === 'up').length === 2, `${node.name} to be connected to both others`)
    }
    assert.equal(meshes.size, 1)
    const peers = await c.json<{ name: string; addresses: string[]; reliability: number }[]>('peers')
    assert.deepEqual(peers.map((peer) => peer.name).sort(), ['a', 'b'])
    assert.ok(peers.every((peer) => peer.addresses.length > 0 && peer.reliability >= 0 && peer.reliability <= 1))
  })

  it('read on one what was put on another, byte for byte', async () => {
    const bytes = someBytes(5_000_000)
    const file = world.path('five.bin')
    writeFileSync(file, bytes)
    const put = await b.run('put', file, '--as', '/data/five.bin')
    assert.equal(put.code, 0, put.stderr)
    const cid = put.stdout.trim()
    assert.match(cid, /^bafybei[a-z2-7]+$/)
    await eventually(async () => (await c.client().stat('/data/five.bin')).cid === cid, 'c to hear of the file')
    const target = world.path('five.copy')
    const got = await c.run('get', cid, '-o', target)
    assert.equal(got.code, 0, got.stderr)
    assert.ok(readFileSync(target).equals(bytes))
    // c holds it now, and says so where a finds it.
    const { peerId } = await c.status()
    await eventually(async () => (await a.client().stat('/data/five.bin')).replicas.holders.includes(peerId), 'a to find c as a holder in the DHT')
    const car = world.path('five.car')
    assert.equal((await a.run('export', cid, car)).code, 0)
    assert.ok(statSync(car).size > bytes.length)
    const verified = await c.json<{ corrupt: number; checked: number }>('verify', cid)
    assert.equal(verified.corrupt, 0)
    assert.ok(verified.checked >= 5)
  })

  it('read any range', async () => {
    const bytes = someBytes(5_000_000)
    for (const [range, from, to] of [['0-0', 0, 1], ['1048570-1048590', 1_048_570, 1_048_591], ['4999990-', 4_999_990, 5_000_000], ['-7', 4_999_993, 5_000_000]] as const) {
      const target = world.path('part')
      const got = await a.run('get', '/data/five.bin', '--range', range, '-o', target)
      assert.equal(got.code, 0, got.stderr)
      assert.ok(readFileSync(target).equals(bytes.subarray(from, to)), range)
    }
    const beyond = await a.run('get', '/data/five.bin', '--range', '5000000-', '--json')
    assert.equal(beyond.code, 2)
    assert.equal((JSON.parse(beyond.stdout) as { error: { code: string } }).error.code, 'BAD_RANGE')
  })

  it('carry folders in both directions, links left out', async () => {
    const folder = world.path('folder')
    mkdirSync(`${folder}/deep/er`, { recursive: true })
    const names = ['a b%2F#?.txt', 'ünïcödé', 'deep/1', 'deep/er/2', 'empty']
    for (const name of names) writeFileSync(`${folder}/${name}`, name === 'empty' ? '' : `this is ${name}`)
    writeFileSync(`${folder}/large`, someBytes(3_000_000, 7))
    symlinkSync('/etc/passwd', `${folder}/link`)
    const put = await c.run('put', folder)
    assert.equal(put.code, 0, put.stderr)
    assert.match(put.stderr, /skipped .*link: a symbolic link/)
    await eventually(async () => (await b.client().list('/folder', { recursive: true })).length === 6, 'b to hear of six files')
    const top = await b.client().list('/')
    assert.ok(top.some((entry) => entry.path === '/folder' && entry.type === 'dir'))
    const target = world.path('folder.copy')
    const got = await b.run('get', '/folder', '-o', target)
    assert.equal(got.code, 0, got.stderr)
    for (const name of names) assert.equal(readFileSync(`${target}/${name}`, 'utf8'), name === 'empty' ? '' : `this is ${name}`)
    assert.ok(readFileSync(`${target}/large`).equals(someBytes(3_000_000, 7)))
    // What cannot be written here is told, and keeps nothing else from being read.
    const crowded = world.path('folder.crowded')
    mkdirSync(`${crowded}/empty`, { recursive: true })
    writeFileSync(`${crowded}/deep`, 'a file where a folder should go')
    const partly = await b.run('get', '/folder', '-o', crowded, '--json')
    assert.equal(partly.code, 1, partly.stderr)
    const told = JSON.parse(partly.stdout) as { files: number; failed: { path: string }[]; error: { code: string } }
    assert.deepEqual([told.files, told.failed.map(({ path }) => path).sort(), told.error.code], [3, ['deep/1', 'deep/er/2', 'empty'], 'NOT_ALL'])
    assert.ok(readFileSync(`${crowded}/large`).equals(someBytes(3_000_000, 7)))
    // The folder's CID is that of any IPFS tool, the same on every node, and leads back to the folder from there.
    const cid = put.stdout.trim().split('\n').at(-1) ?? ''
    const known = await importedCid([...names, 'large'].map((path) => ({ path, content: readFileSync(`${folder}/${path}`) })))
    assert.equal(cid, known)
    for (const node of [a, b]) assert.equal((await node.json<{ cid: string }>('stat', '/folder')).cid, known)
    const byCid = world.path('folder.by-cid')
    assert.equal((await a.run('get', cid, '-o', byCid)).code, 0)
    assert.ok(readFileSync(`${byCid}/deep/er/2`, 'utf8').endsWith('deep/er/2'))
    const car = world.path('folder.car')
    const exported = await b.run('export', '/folder', car)
    assert.equal(exported.code, 0, exported.stderr)
    const archive = await CarReader.fromBytes(readFileSync(car))
    assert.deepEqual((await archive.getRoots()).map(String), [known])
    assert.ok(statSync(car).size > 3_000_000)
    assert.equal((await b.json<{ corrupt: number; checked: number }>('verify', cid)).corrupt, 0)
    const asFile = await b.run('get', cid)
    assert.equal(asFile.code, 2)
    assert.match(asFile.stderr, /is a folder: say where it should go with -o FOLDER/)
    assert.deepEqual(readdirSync(target).sort(), [...new Set(names.map((name) => name.split('/')[0] ?? '')), 'large'].sort())
  })

  it('move, remove, pin and give priorities, everywhere', async () => {
    assert.equal((await a.run('mv', '/folder', '/moved')).code, 0)
    await eventually(async () => (await c.client().list('/moved', { recursive: true })).length === 6, 'c to see the move')
    const rm = await c.run('rm', '/moved')
    assert.equal(rm.code, 2)
    assert.match(rm.stderr, /is a folder/)
    assert.equal((await c.run('priority', 'set', '/moved/empty', 'low')).code, 0)
    assert.equal((await c.run('pin', 'add', '/moved/empty')).code, 0)
    assert.equal((await c.run('replicas', 'set', '/moved/empty', '2')).code, 0)
    const stat = await c.json<{ priority: string; pinned: boolean; replicas: { wanted: number } }>('stat', '/moved/empty')
    assert.deepEqual([stat.priority, stat.pinned, stat.replicas.wanted], ['low', true, 2])
    assert.equal((await c.json<unknown[]>('pin', 'ls')).length, 1)
    assert.equal((await c.json<{ removed: number }>('rm', '-r', '/moved')).removed, 6)
    await eventually(async () => !(await a.client().list('/')).some((entry) => entry.path === '/moved'), 'a to see it gone')
    const gone = await a.run('get', '/moved/empty')
    assert.equal(gone.code, 2)
    assert.match(gone.stderr, /nothing at \/moved\/empty/)
  })

  it('take standard input and give standard output', async () => {
    const put = await runCommand(['put', '-', '--as', '/piped', '--json', '--home', a.home], { input: 'from a pipe' })
    assert.equal(put.code, 0, put.stderr)
    const result = JSON.parse(put.stdout) as Record<string, unknown>
    assert.deepEqual(Object.keys(result).sort(), ['blobs', 'cid', 'elapsedMs', 'path', 'priority', 'replicas', 'size'])
    assert.equal(result.size, 11)
    assert.equal((await a.run('get', '/piped')).stdout, 'from a pipe')
    const nameless = await runCommand(['put', '-', '--home', a.home], { input: '' })
    assert.equal(nameless.code, 2)
    assert.match(nameless.stderr, /--as/)
  })

  it('have everything after kill -9', async () => {
    const before = await b.client().stat('/data/five.bin')
    await b.kill()
    assert.equal(readApiFile(b.home)?.url !== undefined, true, 'a killed node leaves its api.json')
    const orphan = await b.run('status')
    assert.equal(orphan.code, 1)
    assert.match(orphan.stderr, /no node is running in .*start it with/)
    await b.start()
    assert.equal((await b.client().stat('/data/five.bin')).cid, before.cid)
    const got = await b.run('get', '/data/five.bin')
    assert.equal(got.code, 0)
    assert.equal((await b.json<{ corrupt: number }>('verify')).corrupt, 0)
    await eventually(async () => (await b.client().peers()).every((peer) => peer.connected), 'b to be connected again')
  })

  it('stop in order, and leave nothing behind', async () => {
    const stop = await c.run('stop')
    assert.equal(stop.code, 0, stop.stderr)
    assert.equal(readApiFile(c.home), undefined)
    await c.start()
    assert.equal(await c.stop(), 0)
    assert.equal(readApiFile(c.home), undefined)
    const id = await c.json<{ state: string; name: string; peerId: string }>('id')
    assert.equal(id.state, 'stopped')
    assert.match(id.peerId, /^12D3Koo/)
    await c.start()
  })

  it('put out whom they remove', async () => {
    const { peerId } = await c.status()
    const refused = await b.run('members', 'remove', peerId)
    assert.equal(refused.code, 2)
    const removed = await a.run('members', 'remove', peerId.slice(-8))
    assert.equal(removed.code, 0, removed.stderr)
    await eventually(async () => (await b.client().peers()).every((peer) => peer.peerId !== peerId), 'b to hear of it')
    await eventually(() => /this node was removed from the mesh/.test(c.log), 'c to read why')
    assert.equal((await c.client().peers()).some((peer) => peer.connected), false)
    await eventually(async () => (await c.status()).problems.some((problem) => problem.includes('this node was removed from the mesh')), 'the status of c to say why')
    const members = await a.json<{ peerId: string; revoked: boolean }[]>('members', 'ls')
    assert.equal(members.find((member) => member.peerId === peerId)?.revoked, true)
  })
})

describe('a node', function () {
  this.timeout(120_000)
  const world = new World()
  let a: TestNode
  before(async () => {
    a = await world.start('a')
  })
  after(async () => world.close())

  it('keeps its secrets to its owner', function () {
    if (process.platform === 'win32') this.skip()
    for (const file of ['identity.key', 'authority.key', 'api.json']) assert.equal(statSync(`${a.home}/${file}`).mode & 0o777, 0o600, file)
    assert.equal(statSync(a.home).mode & 0o777, 0o700)
    assert.match(readFileSync(`${a.home}/config.toml`, 'utf8'), /^#max_storage = "100GB"$/m)
  })

  it('says what it is called, where it is, and how to invite', async () => {
    await eventually(() => a.output.includes('Ctrl-C'), 'it to have said so')
    const { url } = readApiFile(a.home) ?? { url: '' }
    for (const part of [/a is up/, /12D3Koo/, /\/ip4\/127\.0\.0\.1\/tcp\/\d+\/p2p\//, new RegExp(url), /invite --home/, /#token=/]) assert.match(a.output, part)
  })

  it('refuses a second node on its home, and names the first', async () => {
    const second = await runCommand(['start', '--home', a.home, '--listen', '/ip4/127.0.0.1/tcp/0', '--api', '127.0.0.1:0'])
    assert.equal(second.code, 2)
    assert.match(second.stderr, new RegExp(`a node runs in .* already \\(process ${String(a.pid)}\\)`))
    assert.equal((await a.status()).state, 'ready')
    for (const args of [['init'], ['join', (await a.client().invite(60_000)).token]]) {
      const refused = await a.run(...args, '--json')
      assert.equal(refused.code, 2)
      assert.equal((JSON.parse(refused.stdout) as { error: { code: string } }).error.code, 'ALREADY_RUNNING')
    }
  })

  it('names the port that is taken', async () => {
    const port = new URL(readApiFile(a.home)?.url ?? '').port
    const api = await runCommand(['start', '--home', world.path('x'), '--listen', '/ip4/127.0.0.1/tcp/0', '--api', `127.0.0.1:${port}`])
    assert.equal(api.code, 1)
    assert.match(api.stderr, new RegExp(`port ${port}.* is taken.*--api`))
    assert.doesNotMatch(api.stderr, /made a new mesh/)
    assert.deepEqual(readdirSync(world.path('x')).filter((name) => name.endsWith('.key')), [])
    const tcp = /\/tcp\/(\d+)\//.exec((await a.status()).addresses[0] ?? '')?.[1] ?? ''
    const network = await runCommand(['start', '--home', world.path('x'), '--listen', `/ip4/127.0.0.1/tcp/${tcp}`, '--api', '127.0.0.1:0'])
    assert.equal(network.code, 1)
    assert.match(network.stderr, new RegExp(`${tcp}.*--listen`))
    assert.equal(readApiFile(world.path('x')), undefined)
  })

  it('refuses tokens that are none, of others, and expired, and says why', async () => {
    const home = world.path('joiner')
    for (const [token, why] of [
      ['nonsense', /invite/],
      [`${(await a.client().invite(60_000)).token.slice(0, -3)}aaa`, /invite/],
    ] as const) {
      const refused = await runCommand(['join', token, '--home', home])
      assert.equal(refused.code, 2)
      assert.match(refused.stderr, why)
    }
    const { token, expiresAt } = await a.client().invite(1000)
    await eventually(() => Date.now() > expiresAt + 1, 'the invite to expire')
    const late = await runCommand(['join', token, '--home', home, '--json'])
    assert.equal(late.code, 2)
    assert.equal((JSON.parse(late.stdout) as { error: { code: string } }).error.code, 'INVITE_EXPIRED')
    const other = await world.start('other')
    const { token: theirs } = await other.client().invite(60_000)
    await other.stop()
    const member = await a.client().invite(60_000)
    const crossed = await runCommand(['join', member.token, '--home', other.home, '--json'])
    assert.equal(crossed.code, 2)
    assert.equal((JSON.parse(crossed.stdout) as { error: { code: string } }).error.code, 'ALREADY_MEMBER')
    assert.ok(theirs.startsWith('mesh1'))
  })

  it('takes the same token at every start', async () => {
    const b = await world.join('b', a)
    await b.stop()
    await b.start()
    assert.match(b.log, /already a member/)
  })

  it('stops the start for a wrong setting, with the line', async () => {
    const home = world.path('misconfigured')
    mkdirSync(home)
    writeFileSync(`${home}/config.toml`, '[storage]\n\nmax_storge = "1GB"\n')
    const refused = await runCommand(['start', '--home', home, '--json'])
    assert.equal(refused.code, 2)
    const { error } = JSON.parse(refused.stdout) as { error: Record<string, unknown> }
    assert.deepEqual([error.code, error.line, error.key, error.nearest], ['UNKNOWN_SETTING', 3, 'storage.max_storge', 'storage.max_storage'])
    assert.deepEqual(readdirSync(home), ['config.toml'])
  })

  it('answers wrong typing with a sentence and exit code 2', async () => {
    for (const [args, why] of [
      [['bogus'], /unknown command 'bogus'/],
      [['put'], /missing required argument/],
      [['put', '/no/such/file'], /no file \/no\/such\/file/],
      [['put', world.folder, '--priority', 'urgent'], /no priority "urgent": it is one of critical/],
      [['get', '/nothing'], /nothing at \/nothing/],
      [['get', 'notacid'], /is no CID; a path begins with a slash/],
      [['get', '/x', '--range', '9-1'], /--range takes FROM-TO/],
      [['stat', '/../etc'], /\.\./],
      [['members', 'remove', 'nobody'], /no member of the mesh is called "nobody"/],
      [['invite', '--expires', '24'], /--expires takes a duration/],
      [['invite', '--expires', '40000d'], /at most/],
      [['lease', 'config', 'set', 'foo', '1'], /no setting "foo"; there are/],
      [['mv', '/x', Buffer.from('/y\xfe', 'latin1').toString('utf8')], /no UTF-8/],
      [['config', 'get', 'storage.max'], /no setting "storage\.max"/],
      [['replicas', 'set', '/x', 'many'], /whole number/],
      [['start', '--max-storage', 'lots'], /--max-storage must be a size/],
    ] as const) {
      const { code, stderr } = await a.run(...args)
      assert.equal(code, 2, `${args.join(' ')}: ${stderr}`)
      assert.match(stderr, why)
    }
  })

  it('prints errors as documents with --json', async () => {
    const { code, stdout, stderr } = await a.run('stat', '/nothing', '--json')
    assert.equal(code, 2)
    assert.equal(stderr, '')
    const { error } = JSON.parse(stdout) as { error: Record<string, unknown> }
    assert.equal(error.code, 'NOT_FOUND')
    assert.equal(error.path, '/nothing')
    const usage = await a.run('bogus', '--json')
    assert.equal((JSON.parse(usage.stdout) as { error: { code: string } }).error.code, 'USAGE')
  })

  it('leaves nothing of an upload that is interrupted', async () => {
    const files = (await a.status()).files
    const controller = new AbortController()
    async function* endless(): AsyncIterable<Uint8Array> {
      for (let i = 0; ; i++) {
        if (i === 40) controller.abort(new Error('enough'))
        yield someBytes(262_144, i + 1)
      }
    }
    await assert.rejects(a.client().put('/half', endless(), { signal: controller.signal }), /enough/)
    await assert.rejects(a.client().stat('/half'), { code: 'NOT_FOUND' })
    assert.equal((await a.status()).files, files)
    await eventually(async () => /storage_bytes\{kind="draft"\} 0\n/.test(await a.client().text('/metrics')), 'the bytes that came to be let go of')
  })

  it('does not end, and stops in order, when nobody reads its log any more', async function () {
    if (process.platform === 'win32') this.skip()
    const d = await world.start('unread', { env: { MESH_NODE_LOG_LEVEL: 'debug' } })
    d.hangUp()
    await d.client().put('/x', (async function* () { yield Buffer.from('x') })())
    assert.equal((await d.status()).files, 1)
    assert.equal(await d.stop(), 0)
    assert.equal(readApiFile(d.home), undefined)
  })

  it('goes without a second word at the second Ctrl-C', async () => {
    const d = await world.start('d')
    const ended = d.ended()
    d.signal('SIGINT')
    d.signal('SIGINT')
    const code = await ended
    assert.ok(code === 125 || code === 0, String(code))
  })
})
