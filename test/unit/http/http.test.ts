import assert from 'node:assert/strict'
import { request } from 'node:http'
import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import { CodedError, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { ClientError, MeshClient } from '../../../src/client/index.js'
import type { FolderSource, ListEntry, NodeEvent, NodeState } from '../../../src/client/index.js'
import { startHttpGateway } from '../../../src/gateways/http/index.js'
import type { HttpGateway, NodeApi } from '../../../src/gateways/http/index.js'

const token = 'right-token'

/** A node of which only the doors are real: files in a map. */
class FakeNode {
  readonly store = new Map<string, Buffer>()
  readonly listeners = new Set<(event: NodeEvent) => void>()
  current: NodeState = 'ready'
  stopped = 0
  aborted = 0
  maxBytes = 1
  paused = false
  begun = 0
  failRead: Error | undefined
  /** Read instead of what was put: bytes in one and the same memory. */
  lent: { size: number; pieces: () => AsyncIterable<Uint8Array> } | undefined

  api(): NodeApi {
    const missing = (path: string): CodedError => new CodedError('NOT_FOUND', `there is nothing at ${path}`, { path })
    const entry = (path: string): ListEntry => ({
      path, type: 'file', cid: 'bafy', size: this.store.get(path)?.length ?? 0, priority: 'normal', replicas: { wanted: 1, have: 1 }, modified: 1, pinned: false,
    })
    const put = (path: string, size: number) => ({ cid: `cid-of-${String(size)}`, size, path, priority: 'normal' as const, blobs: 1, replicas: { wanted: 1, have: 1, holders: [] }, elapsedMs: 1 })
    return {
      leases: {} as NodeApi['leases'],
      volumes: {} as NodeApi['volumes'],
      state: () => this.current,
      status: async () => ({ name: 'fake' }) as never,
      peers: async () => [],
      members: async () => [],
      removeMember: async () => undefined,
      invite: async (expiresMs) => ({ token: 't', meshId: 'm', expiresAt: expiresMs }),
      doctor: async () => [],
      figures: async () => ({
        peersConnected: 1, members: { up: 1, suspect: 0, gone: 0 }, files: 1, tombstones: 0, conflicts: 0, blobs: 1, blocks: 1, quarantinedBlocks: 0,
        storageBytes: { limit: 1, used: 1, live: 1, draft: 0, reclaimable: 0, volumes: 0, metadata: 0, diskFree: 1 }, provideLagSeconds: 0, gossip: { quota: { sentBytes: 7, receivedBytes: 5, sentMessages: 2, receivedMessages: 1 } }, uptimeSeconds: 1, ready: true,
        replication: { underReplicated: 0, belowMinimum: 0, copying: 0, queued: 0, storing: 0, copied: 0, copiedBytes: 0, dropped: 0, droppedBytes: 0, failed: 0, untrusted: 0 },
      }),
      stop: () => {
        this.stopped++
      },
      contribution: {
        explain: async (target) => ({ cid: target, size: 1, wanted: 1, chosen: [], holders: [], warnings: [], nodes: [] }),
        quota: async () => ({ maxBytes: this.maxBytes }) as never,
        setQuota: async ({ maxBytes }) => {
          this.maxBytes = maxBytes ?? this.maxBytes
          return { maxBytes: this.maxBytes, persisted: true, overriddenBy: [] } as never
        },
        evict: async ({ bytes, dryRun }) => ({ actions: [], bytes: 0, dryRun, freedBytes: 0, shortBytes: bytes, refused: 0, kept: {} }),
        rebalance: async () => ({ actions: [], bytes: 0 }),
        pause: () => {
          this.paused = true
        },
        resume: () => {
          this.paused = false
        },
        drain: async () => ({ moved: 0, remaining: 0, problems: [] }),
        forget: async () => undefined,
      },
      onEvent: (listener) => {
        this.listeners.add(listener)
        return () => this.listeners.delete(listener)
      },
      files: {
        put: async (path, content, { signal }) => {
          signal?.addEventListener('abort', () => {
            this.aborted++
          })
          const parts = []
          for await (const part of content) {
            this.begun++
            parts.push(part)
          }
          if (path === '/full') throw new CodedError('NO_SPACE', 'the disk is full')
          this.store.set(path, Buffer.concat(parts))
          return put(path, Buffer.concat(parts).length)
        },
        putFolder: async (path, entries) => {
          const done = []
          for await (const { path: name, content } of entries) {
            const parts = []
            for await (const part of content) parts.push(part)
            this.store.set(`${path}/${name}`, Buffer.concat(parts))
            done.push({ path: `${path}/${name}`, cid: 'bafy', size: Buffer.concat(parts).length })
          }
          return { ...put(path, 0), files: done.length, entries: done }
        },
        // Every third is for `open`.
        readMany: async (paths) => paths.map((path, i) => (i % 3 === 2 ? undefined : this.store.get(path))),
        open: async (target) => {
          const bytes = this.store.get(target)
          if (bytes === undefined) throw missing(target)
          const failure = this.failRead
          const { lent } = this
          if (lent !== undefined) {
            return {
              size: lent.size,
              cid: 'bafytag',
              read: (_range, _signal, options) => {
                assert.equal(options?.isLent, true)
                return lent.pieces()
              },
            }
          }
          return {
            size: bytes.length,
            cid: 'bafytag',
            read: async function* (range) {
              const part = range === undefined ? bytes : bytes.subarray(range.from, range.to + 1)
              if (failure !== undefined && failure.message === 'at once') throw new CodedError('NO_HOLDERS', 'nobody has it')
              yield part.subarray(0, Math.ceil(part.length / 2))
              if (failure !== undefined) throw failure
              yield part.subarray(Math.ceil(part.length / 2))
            },
          }
        },
        stat: async (target) => {
          if (!this.store.has(target)) throw missing(target)
          return { ...put(target, this.store.get(target)?.length ?? 0), type: 'file', owner: null, pinned: false, modified: 1, token: '0' }
        },
        list: async function* (this: FakeNode, folder: string) {
          for (const path of [...this.store.keys()].sort()) if (folder === '/' || path.startsWith(`${folder}/`)) yield entry(path)
        }.bind(this),
        pins: async function* () {
          // None.
        },
        pinContent: async () => ({ changed: 1 }),
        remove: async (path) => {
          if (!this.store.delete(path)) throw missing(path)
          return { removed: 1 }
        },
        move: async (from, to) => {
          const bytes = this.store.get(from)
          if (bytes === undefined) throw missing(from)
          this.store.delete(from)
          this.store.set(to, bytes)
          return { moved: 1 }
        },
        update: async () => ({ changed: 1 }),
        exportCar: async () => (async function* () {
          yield Buffer.from('car')
        })(),
        verify: async function* () {
          yield { cid: 'a', ok: true, healed: false }
          throw new CodedError('UNAVAILABLE', 'gone meanwhile')
        },
      },
    }
  }
}

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

describe('HTTP door', () => {
  let node: FakeNode
  let gateway: HttpGateway
  let client: MeshClient
  before(async () => {
    node = new FakeNode()
    gateway = await startHttpGateway({ node: node.api(), clock: systemClock, random: systemRandom, log: silentLog }, { host: '127.0.0.1', port: 0, token, hosts: ['mesh.example'], version: '1.2.3' })
    client = new MeshClient({ url: gateway.url, token })
  })
  after(async () => {
    client.close()
    await gateway.close(100)
  })

  const ask = async (method: string, path: string, headers: OutgoingHttpHeaders = {}, body?: string | Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(gateway.url)
      const sent = request({ host: hostname, port, method, path, headers: { authorization: `Bearer ${token}`, ...headers }, agent: false }, (response) => {
        const parts: Buffer[] = []
        response.on('data', (part: Buffer) => parts.push(part))
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(parts).toString('utf8') })
        })
        response.on('error', reject)
      })
      sent.on('error', reject)
      sent.end(body)
    })
  const codeOf = (answer: Answer): string => (JSON.parse(answer.body) as { code: string }).code

  it('wants the token for everything under /api/v1, and nothing else for a look at its health', async () => {
    for (const authorization of ['', 'Bearer wrong-token', `Basic ${token}`, `Bearer ${token}x`, 'Bearer']) {
      for (const [method, path] of [['GET', '/api/v1/status'], ['PUT', '/api/v1/files/x'], ['POST', '/api/v1/stop'], ['GET', '/api/v1/openapi.json'], ['GET', '/api/v1/nothing'], ['GET', '/api/v1/events']] as const) {
        const answer = await ask(method, path, { authorization })
        assert.equal(answer.status, 401, `${method} ${path} with "${authorization}"`)
        assert.equal(codeOf(answer), 'UNAUTHORIZED')
      }
    }
    assert.equal(node.stopped, 0)
    assert.equal((await ask('GET', '/api/v1/status')).status, 200)
    for (const path of ['/healthz', '/readyz', '/metrics', '/']) assert.equal((await ask('GET', path, { authorization: '' })).status, 200, path)
  })

  it('wants the token however the same path is written', async () => {
    const invites = async (path: string): Promise<Answer> => ask('POST', path, { authorization: '', 'content-type': 'application/json' }, '{"expiresMs":5000}')
    for (const write of [
      (path: string) => path,
      (path: string) => path.replace('/api', '/%61pi'),
      (path: string) => path.replace('/api', '/%61%70%69'),
      (path: string) => gateway.url + path,
      (path: string) => `http://elsewhere.example${path}`,
      (path: string) => `https://x${path.replace('v1', '%761')}`,
    ]) {
      for (const path of ['/api/v1/status', '/api/v1/openapi.json', '/api/v1/events', '/api/v1/files/x']) assert.equal((await ask('GET', write(path), { authorization: '' })).status, 401, write(path))
      assert.equal((await invites(write('/api/v1/invites'))).status, 401)
      assert.equal((await ask('PUT', write('/api/v1/files/stolen'), { authorization: '' }, 'x')).status, 401)
    }
    assert.ok(!node.store.has('/stolen'))
    // No route is open that is not known to be: the document lists them all, and each wants the token.
    const document = JSON.parse((await ask('GET', '/api/v1/openapi.json')).body) as { paths: Record<string, Record<string, unknown>> }
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) assert.equal((await ask(method.toUpperCase(), path.replace(/\{\w+\}/g, 'x'), { authorization: '' })).status, 401, `${method} ${path}`)
    }
  })

  it('answers to no other name and to no other page', async () => {
    const port = new URL(gateway.url).port
    for (const path of ['/api/v1/status', '/metrics', '/']) {
      assert.equal(codeOf(await ask('GET', path, { host: 'evil.example' })), 'FORBIDDEN_HOST')
      assert.equal(codeOf(await ask('GET', path, { host: `127.0.0.1.evil.example:${port}` })), 'FORBIDDEN_HOST')
      assert.equal(codeOf(await ask('GET', path, { origin: 'http://evil.example' })), 'FORBIDDEN_ORIGIN')
      assert.equal(codeOf(await ask('GET', path, { origin: 'null' })), 'FORBIDDEN_ORIGIN')
      assert.equal(codeOf(await ask('GET', path, { origin: `http://127.0.0.1:1` })), 'FORBIDDEN_ORIGIN')
      assert.equal(codeOf(await ask('GET', path, { 'sec-fetch-site': 'cross-site' })), 'FORBIDDEN_ORIGIN')
      for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, 'mesh.example']) {
        assert.equal((await ask('GET', path, { host, origin: `http://${host}` })).status, 200, host)
      }
    }
  })

  it('gives files back as they came, whatever their names', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }).filter((name) => !name.includes('/')), { minLength: 1, maxLength: 3 }),
        fc.uint8Array({ maxLength: 300 }),
        async (names, bytes) => {
          const path = `/${names.join('/')}`
          await client.put(path, (async function* () {
            yield bytes
          })())
          assert.ok(node.store.has(path), path)
          const parts = []
          for await (const part of (await client.get(path)).bytes) parts.push(part)
          assert.deepEqual(Buffer.concat(parts), Buffer.from(bytes))
          assert.equal((await client.stat(path)).path, path)
          assert.equal((await client.remove(path)).removed, 1)
        },
      ),
      { numRuns: 60 },
    )
  })

  it('understands Range, If-Range, If-None-Match and HEAD', async () => {
    node.store.set('/ten', Buffer.from('0123456789'))
    const get = async (headers: OutgoingHttpHeaders): Promise<[number, string, string | undefined]> => {
      const { status, body, headers: answered } = await ask('GET', '/api/v1/files/ten', headers)
      return [status, status === 416 ? '' : body, answered['content-range']]
    }
    assert.deepEqual(await get({}), [200, '0123456789', undefined])
    assert.deepEqual(await get({ range: 'bytes=2-4' }), [206, '234', 'bytes 2-4/10'])
    assert.deepEqual(await get({ range: 'bytes=7-' }), [206, '789', 'bytes 7-9/10'])
    assert.deepEqual(await get({ range: 'bytes=-2' }), [206, '89', 'bytes 8-9/10'])
    assert.deepEqual(await get({ range: 'bytes=5-99' }), [206, '56789', 'bytes 5-9/10'])
    assert.deepEqual(await get({ range: 'bytes=-99' }), [206, '0123456789', 'bytes 0-9/10'])
    for (const range of ['bytes=10-', 'bytes=-0']) assert.deepEqual(await get({ range }), [416, '', 'bytes */10'])
    for (const range of ['bytes=4-2', 'lines=1-2', 'bytes=1-2,4-5', 'bytes=a-b', 'bytes=-', 'bytes=1.5-2', `bytes=${'9'.repeat(400)}x-`]) {
      assert.deepEqual(await get({ range }), [200, '0123456789', undefined], range)
    }
    assert.deepEqual(await get({ range: 'bytes=2-4', 'if-range': '"bafytag"' }), [206, '234', 'bytes 2-4/10'])
    assert.deepEqual(await get({ range: 'bytes=2-4', 'if-range': '"other"' }), [200, '0123456789', undefined])
    assert.equal((await get({ 'if-none-match': '"x", W/"bafytag"' }))[0], 304)
    const head = await ask('HEAD', '/api/v1/files/ten')
    assert.deepEqual([head.status, head.headers['content-length'], head.headers.etag, head.body], [200, '10', '"bafytag"', ''])
    node.store.set('/none', Buffer.alloc(0))
    assert.deepEqual((await ask('GET', '/api/v1/files/none')).body, '')
    assert.equal((await ask('GET', '/api/v1/files/none', { range: 'bytes=0-' })).status, 416)
  })

  it('never lets what people store run as a page', async () => {
    node.store.set('/evil.html', Buffer.from('<script>alert(1)</script>'))
    const { headers } = await ask('GET', '/api/v1/files/evil.html')
    assert.equal(headers['content-type'], 'application/octet-stream')
    assert.equal(headers['x-content-type-options'], 'nosniff')
    assert.match(String(headers['content-security-policy']), /sandbox/)
    assert.match(headers['content-disposition'] ?? '', /^attachment/)
    assert.match(String((await ask('GET', '/')).headers['content-security-policy']), /default-src 'none'/)
  })

  it('carries folders as tar, both ways', async () => {
    const big = Buffer.alloc(700_000, 'x')
    async function* sources(): AsyncIterable<FolderSource> {
      for (let i = 0; i < 300; i++) yield { path: `d/${String(i)}`, size: 3, content: Buffer.from(String(i).padStart(3)) }
      yield { path: `${'long/'.repeat(60)}ünï`, size: 1, content: Buffer.from('1') }
      yield { path: 'big', size: big.length, content: (async function* () {
        yield big.subarray(0, 300_000)
        yield big.subarray(300_000)
      })() }
    }
    const put = await client.putFolder('/tar', sources())
    assert.equal(put.files, 302)
    let files = 0
    for await (const entry of client.getFolder('/tar')) {
      const parts = []
      for await (const part of entry.content) parts.push(part)
      assert.deepEqual(Buffer.concat(parts), node.store.get(`/tar/${entry.path}`), entry.path)
      files++
    }
    assert.equal(files, 302)
    const broken = await ask('PUT', '/api/v1/folders/y', { 'content-type': 'application/x-tar' }, Buffer.alloc(700, 'z'))
    assert.equal(broken.status, 400)
  })

  it('says what is wrong with a request, and keeps its statuses', async () => {
    const json = { 'content-type': 'application/json' }
    for (const [method, path, headers, body, status, code] of [
      ['POST', '/api/v1/invites', json, '{"expiresMs": 60000}', 201, undefined],
      ['POST', '/api/v1/invites', json, '{"expiresMs": "60000"}', 400, 'BAD_INPUT'],
      ['POST', '/api/v1/invites', json, '{"expiresMs": 60000, "extra": 1}', 400, 'BAD_INPUT'],
      ['POST', '/api/v1/invites', json, '{"expiresMs": 60000', 400, 'BAD_INPUT'],
      ['POST', '/api/v1/invites', json, '{"__proto__": {"expiresMs": 60000}}', 400, 'BAD_INPUT'],
      ['POST', '/api/v1/invites', {}, undefined, 400, 'BAD_INPUT'],
      ['POST', '/api/v1/invites', { 'content-type': 'text/plain' }, '{"expiresMs": 60000}', 415, 'UNSUPPORTED_MEDIA_TYPE'],
      ['POST', '/api/v1/move', json, JSON.stringify({ from: '/a', to: 'x'.repeat(70_000) }), 413, 'TOO_LARGE'],
      ['POST', '/api/v1/move', json, JSON.stringify({ from: '/gone', to: '/b' }), 404, 'NOT_FOUND'],
      ['PATCH', '/api/v1/files/x', json, '{}', 400, 'BAD_INPUT'],
      ['PATCH', '/api/v1/files/x', json, '{"priority": "urgent"}', 400, 'BAD_INPUT'],
      ['PATCH', '/api/v1/files/x', json, '{"replicas": 2}', 200, undefined],
      ['PUT', '/api/v1/files/x?replicas=0', {}, '', 400, 'BAD_INPUT'],
      ['PUT', '/api/v1/files/x?replica=2', {}, '', 400, 'BAD_INPUT'],
      ['PUT', '/api/v1/files/full', {}, 'x', 507, 'NO_SPACE'],
      ['PUT', '/api/v1/files/form', { 'content-type': 'multipart/form-data; boundary=x' }, '--x\r\n', 415, 'UNSUPPORTED_MEDIA_TYPE'],
      ['DELETE', '/api/v1/members/nobody', {}, undefined, 400, 'BAD_INPUT'],
      ['GET', '/api/v1/files/%zz', {}, undefined, 400, 'BAD_INPUT'],
      ['GET', '/api/v1/nothing', {}, undefined, 404, 'NOT_FOUND'],
      ['GET', '/api/v1/stat', {}, undefined, 400, 'BAD_INPUT'],
    ] as const) {
      const answer = await ask(method, path, headers, body)
      assert.equal(answer.status, status, `${method} ${path}: ${answer.body}`)
      if (code !== undefined) assert.equal(codeOf(answer), code, `${method} ${path}`)
    }
  })

  it('names the field that is wrong, and what it may be', async () => {
    const json = { 'content-type': 'application/json' }
    for (const [method, path, headers, body, message] of [
      ['POST', '/api/v1/invites', json, '{"expiresMs": "60000"}', 'the body\'s expiresMs must be integer'],
      ['POST', '/api/v1/invites', json, '{"expiresMs": 60000, "extra": 1}', 'the body has no field "extra"'],
      ['POST', '/api/v1/invites', {}, undefined, 'the body must be a JSON object, with the content-type application/json'],
      ['PATCH', '/api/v1/files/x', json, '{"priority": "urgent"}', 'the body\'s priority must be one of critical, high, normal, low, expendable'],
      ['PUT', '/api/v1/files/x?replica=2', {}, '', 'the query has no field "replica"'],
      ['GET', '/api/v1/stat', {}, undefined, 'the query lacks the field "target"'],
    ] as const) {
      const answer = await ask(method, path, headers, body)
      assert.equal((JSON.parse(answer.body) as { message: string }).message, message)
    }
  })

  it('tells a failure before the first byte by its status, and one after it by a broken body', async () => {
    node.store.set('/rotten', Buffer.from('0123456789'))
    node.failRead = new Error('at once')
    const early = await ask('GET', '/api/v1/files/rotten')
    assert.deepEqual([early.status, codeOf(early), early.headers['content-length'] === '10'], [404, 'NO_HOLDERS', false])
    node.failRead = new Error('half-way')
    await assert.rejects(async () => {
      for await (const part of (await client.get('/rotten')).bytes) assert.ok(part.length > 0)
    }, (error) => error instanceof ClientError && error.code === 'CONNECTION')
    node.failRead = undefined
  })

  it('asks for the next piece of a file when the last has left, and tells the reader when the client has gone', async () => {
    const pieceBytes = 2 ** 20
    const over = { first: false, second: false }
    const pieces = async function* (count: number, which: 'first' | 'second'): AsyncGenerator<Uint8Array> {
      const memory = Buffer.alloc(pieceBytes)
      try {
        for (let i = 0; i < count; i++) yield memory.fill(i + 1)
      } finally {
        memory.fill(255)
        over[which] = true
      }
    }
    node.store.set('/lent', Buffer.alloc(1))
    // More than the system's buffers between two processes take: the reader, who looks at every byte, is behind.
    node.lent = { size: 24 * pieceBytes, pieces: () => pieces(24, 'first') }
    try {
      let bytes = 0
      const { bytes: body } = await client.get('/lent')
      for await (const part of body) {
        for (const byte of part) if (byte !== Math.floor(bytes++ / pieceBytes) + 1) assert.fail(`byte ${String(bytes)} is ${String(byte)}`)
      }
      assert.deepEqual([bytes, over.first], [24 * pieceBytes, true])

      node.lent = { size: 2 ** 40, pieces: () => pieces(Number.POSITIVE_INFINITY, 'second') }
      const { hostname, port } = new URL(gateway.url)
      const socket = connect(Number(port), hostname)
      socket.write(`GET /api/v1/files/lent HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\n\r\n`)
      await new Promise((resolve) => socket.once('data', resolve))
      socket.destroy()
      const deadline = performance.now() + 10_000
      while (!over.second && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
      assert.ok(over.second, 'nobody reads, and more is asked for')
    } finally {
      node.lent = undefined
    }
  })

  it('keeps nothing of an upload that breaks off', async () => {
    const before = node.aborted
    const { begun } = node
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname)
    socket.write(`PUT /api/v1/files/broken HTTP/1.1\r\nhost: ${hostname}\r\nauthorization: Bearer ${token}\r\ncontent-length: 1000\r\n\r\nonly this`)
    const until = async (condition: () => boolean): Promise<void> => {
      const deadline = performance.now() + 5000
      while (!condition() && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 5))
      assert.ok(condition())
    }
    await until(() => node.begun > begun)
    socket.destroy()
    await until(() => node.aborted === before + 1)
    assert.equal(node.store.has('/broken'), false)
  })

  it('reads results as they come and says if they end early', async () => {
    const results: string[] = []
    await assert.rejects(async () => {
      for await (const result of client.verify()) results.push(result.cid)
    }, { code: 'UNAVAILABLE' })
    assert.deepEqual(results, ['a'])
  })

  it('has places for 64 listeners; one more is told so, and finds one when somebody has gone', async () => {
    const { hostname, port } = new URL(gateway.url)
    const listen = async (): Promise<{ status: number; body: string; close: () => void }> =>
      new Promise((resolve, reject) => {
        const asking = request({ hostname, port, path: '/api/v1/events', headers: { authorization: `Bearer ${token}` } }, (response) => {
          response.on('error', () => undefined)
          const status = response.statusCode ?? 0
          response.once('data', (chunk: Buffer) => { resolve({ status, body: chunk.toString(), close: () => asking.destroy() }) })
        })
        asking.on('error', reject)
        asking.end()
      })
    const listening = await Promise.all(Array.from({ length: 64 }, listen))
    assert.ok(listening.every(({ status }) => status === 200))
    const refused = await listen()
    assert.equal(refused.status, 503)
    assert.equal((JSON.parse(refused.body) as { code: string }).code, 'OVERLOADED')
    listening.pop()?.close()
    let again = await listen()
    for (let i = 0; i < 100 && again.status !== 200; i++) again = await listen()
    assert.equal(again.status, 200)
    for (const { close } of [...listening, again]) close()
  })

  it('sends events as they happen', async () => {
    const controller = new AbortController()
    const seen: NodeEvent[] = []
    await assert.rejects(async () => {
      for await (const event of client.events({ signal: controller.signal })) {
        seen.push(event)
        if (event.type === 'state') for (const listener of node.listeners) listener({ type: 'file', path: '/a\nb', cid: null, size: 0, deleted: true, local: false })
        if (event.type === 'file') controller.abort(new Error('seen enough'))
      }
    }, /seen enough/)
    assert.deepEqual(seen, [{ type: 'state', state: 'ready' }, { type: 'file', path: '/a\nb', cid: null, size: 0, deleted: true, local: false }])
  })

  it('lends a link to one path for a moment', async () => {
    node.store.set('/lent', Buffer.from('lent'))
    const { body } = await ask('POST', '/api/v1/tickets', { 'content-type': 'application/json' }, '{"path": "/api/v1/files/lent"}')
    const { url } = JSON.parse(body) as { url: string }
    assert.equal((await ask('GET', url, { authorization: '' })).body, 'lent')
    assert.equal((await ask('DELETE', url, { authorization: '' })).status, 401)
    assert.equal((await ask('GET', url.replace('lent', 'ten'), { authorization: '' })).status, 401)
    assert.equal((await ask('GET', url.replace('files/lent', 'status'), { authorization: '' })).status, 401)
    assert.equal((await ask('GET', `${url}x`, { authorization: '' })).status, 401)
  })

  it('describes itself from what it checks', async () => {
    const document = (await client.document('/api/v1/openapi.json')) as { openapi: string; info: { version: string }; paths: Record<string, Record<string, { requestBody?: unknown; operationId: string; responses: object }>> }
    assert.equal(document.openapi, '3.1.0')
    assert.equal(document.info.version, '1.2.3')
    for (const path of ['/api/v1/status', '/api/v1/files/{path}', '/api/v1/members/{peerId}', '/api/v1/events', '/api/v1/content/{cid}', '/api/v1/folders/{path}']) assert.ok(path in document.paths, path)
    assert.deepEqual(Object.keys(document.paths['/api/v1/files/{path}'] ?? {}).sort(), ['delete', 'get', 'head', 'patch', 'put'])
    const operations = Object.values(document.paths).flatMap((path) => Object.values(path))
    assert.equal(new Set(operations.map((operation) => operation.operationId)).size, operations.length)
    assert.ok(operations.every((operation) => 'default' in operation.responses))
  })

  it('changes what the node gives, and refuses what is no change', async () => {
    const json = { 'content-type': 'application/json' }
    assert.equal((await client.setQuota({ maxBytes: 5e9 })).maxBytes, 5e9)
    assert.equal((await client.quota()).maxBytes, 5e9)
    for (const body of ['{}', '{"maxBytes": -1}', '{"maxBytes": 1.5}', '{"maxBytes": "5GB"}', '{"max": 1}', '{"shareExcess": 1}']) {
      assert.equal((await ask('PATCH', '/api/v1/quota', json, body)).status, 400, body)
    }
    assert.equal((await client.evict(7, { dryRun: true })).shortBytes, 7)
    assert.equal((await ask('POST', '/api/v1/evict', json, '{"dryRun": true}')).status, 400)
    await client.pauseReplication(true)
    assert.equal(node.paused, true)
    await client.pauseReplication(false)
    assert.equal(node.paused, false)
    assert.equal((await ask('POST', '/api/v1/forget', json, '{"peerId": "nobody"}')).status, 400)
    assert.equal((await client.explainPlacement('/f')).cid, '/f')
  })

  it('has metrics with the right names and no label that grows', async () => {
    const text = await client.text('/metrics')
    for (const line of text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))) assert.match(line, /^mesh_node_[a-z0-9_]+(\{[^}]*\})? [-+\d.eINan]+$/)
    assert.match(text, /^mesh_node_http_requests_total\{method="GET",route="\/api\/v1\/files\/\*",status="200"\} \d+$/m)
    assert.match(text, /^mesh_node_gossip_bytes_total\{topic="quota",direction="sent"\} 7$/m)
    assert.doesNotMatch(text, /bafytag|\/ten/)
  })

  it('is not ready as soon as it begins to stop', async () => {
    node.current = 'stopping'
    try {
      assert.equal((await ask('GET', '/readyz')).status, 503)
      assert.equal((await ask('GET', '/healthz')).status, 200)
      assert.equal(codeOf(await ask('PUT', '/api/v1/files/late', {}, 'x')), 'STOPPING')
    } finally {
      node.current = 'ready'
    }
    assert.equal((await ask('POST', '/api/v1/stop', { 'content-type': 'application/json' }, '{}')).status, 202)
    assert.equal(node.stopped, 1)
  })

  it('lives through whatever is thrown at it', async () => {
    const method = fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS')
    const path = fc.oneof(
      fc.string({ maxLength: 60 }).map((text) => `/api/v1/${text.replace(/[^\x21-\x7e]/g, '')}`),
      fc.constantFrom('/api/v1/files/', '/api/v1/files/../../x', '/api/v1/files/%2e%2e/%00', '/api/v1/files//a', `/api/v1/files/${'a%20'.repeat(1000)}`, '/api/v1/ls?path=', '/api/v1/stat?target=%00', '/api/v1/content/%2F', '/api/v1/events/x'),
    )
    await fc.assert(
      fc.asyncProperty(method, path, fc.string({ maxLength: 200 }), fc.constantFrom('application/json', 'text/plain', '', 'application/x-tar'), async (verb, target, body, type) => {
        if (target.startsWith('/api/v1/stop') || target === '/api/v1/events') return
        const answer = await ask(verb, target, { 'content-length': Buffer.byteLength(body), ...(type === '' ? {} : { 'content-type': type }) }, body)
        assert.ok(answer.status < 500, `${verb} ${target}: ${String(answer.status)} ${answer.body}`)
        if (answer.status >= 400 && verb !== 'HEAD') assert.equal(typeof codeOf(answer), 'string')
      }),
      { numRuns: 150 },
    )
    assert.equal((await ask('GET', '/healthz')).status, 200)
  })
})
