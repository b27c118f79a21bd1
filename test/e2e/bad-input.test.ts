import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { request } from 'node:http'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import fc from 'fast-check'
import { pack } from 'tar-stream'
import { readApiFile } from '../../src/client/index.js'
import type { ApiFile } from '../../src/client/index.js'
import { someBytes, World } from './harness.js'
import type { TestNode } from './harness.js'

/**
 * What a program that is wrong, or means harm, can send to the API: every route that the API says it has gets requests
 * made from its own schema (so that they go deep), and others that have nothing to do with it.
 */
interface Schema {
  type?: string | string[]
  enum?: unknown[]
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  anyOf?: Schema[]
  additionalProperties?: boolean | Schema
}

interface Operation {
  method: string
  path: string
  query: Record<string, Schema>
  body: Schema | undefined
  mediaType: string
}

interface Sent {
  method: string
  path: string
  headers: OutgoingHttpHeaders
  body: Buffer
}

interface Answer {
  status: number
  type: string
  body: string
}

/** An answer is looked at so far; after that the client hangs up, as clients do. */
const answerBytesMax = 64 * 1024
/** Waiting is what some requests ask for (a lease that is held, events): then the client hangs up, too. */
const patienceMs = 1_500
/** Nothing else does; a busy machine may. */
const answerMsMax = 60_000
/** What may be resident after all of it: twice and more of what a node takes at rest. */
const residentBytesMax = 300 * 2 ** 20
const runsPerRoute = 24

const hostileText = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(
    '', ' ', '.', '..', '/', '//', '/..', '/../../../etc/passwd', '/a/../b', '/a\0b', '\0', '/e\u0301', '/\u00e9', '/\ud83d\ude00', '\ud800', '/x\ud800', '/CON', '/a\\..\\b', '/%2e%2e', '-1', '0', '1e9', '__proto__', 'constructor', 'true', 'null',
    `/${'x'.repeat(4096)}`, `/${'x/'.repeat(2000)}y`, `/${'e\u0301'.repeat(1365)}`, 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn', 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', 'b', 'bafk',
    '12D3KooWBxHYUpPtbUUC1Ete9drgfPBXSXrS1N6a6ghjVCxPqwCh', 'file:/x', 'volume:x:0-5', 'volume:', '127.0.0.1:99999', '127.0.0.1:-1', '8.8.8.8:80', 'nowhere.invalid:1', ':0', '[::1]:x',
  ) },
  fc.string({ unit: 'binary', maxLength: 60 }),
  fc.string({ maxLength: 20 }),
)
const hostileNumber = fc.oneof(fc.constantFrom(0, -0, -1, 1, 2, 0.5, -0.5, 1e-300, 1e308, -1e308, 2 ** 31, 2 ** 32, 2 ** 53 - 1, 2 ** 53, 2 ** 63, 2 ** 64, 1e21), fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true }))

describe('bad input: the whole HTTP API of a real node', function () {
  this.timeout(120_000)
  const world = new World()
  let node: TestNode
  let api: ApiFile
  let operations: Operation[]
  /** What there is, so that requests also meet something. */
  const known: { texts: string[] } = { texts: [] }
  /** What is in the folder that the node was started from. */
  const here = readdirSync(process.cwd())

  before(async () => {
    node = await world.start('a', { args: ['--max-storage', '256MiB'] })
    const found = readApiFile(node.home)
    assert.ok(found !== undefined)
    api = found
    const client = node.client()
    const { cid } = await client.put('/f/one.bin', chunks(someBytes(3_000)))
    await client.put('/two', chunks(someBytes(10)))
    await client.createVolume('vm', { sizeBytes: 4096 * 16 })
    const lease = await client.acquireLease('file:/f', { agent: 'x' })
    known.texts.push(cid ?? '', '/f', '/f/one.bin', 'f/one.bin', 'two', 'vm', lease.leaseId, lease.leaseId.slice(0, 4), (await node.status()).peerId, 'file:/f', 'x')
    operations = operationsOf(await client.document('/api/v1/openapi.json'))
  })
  after(async () => world.close())

  const text = (): fc.Arbitrary<string> => fc.oneof(hostileText, fc.constantFrom(...known.texts))

  /** A value that the schema would take, mostly. */
  const shaped = (schema: Schema | undefined): fc.Arbitrary<unknown> => {
    if (schema === undefined) return fc.jsonValue({ maxDepth: 2 })
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
    if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map(shaped))
    const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? 'object']
    return fc.oneof(...types.map((type): fc.Arbitrary<unknown> => {
      if (type === 'string') return text()
      if (type === 'boolean') return fc.boolean()
      if (type === 'number') return hostileNumber
      if (type === 'integer') return fc.oneof(hostileNumber, fc.nat(10))
      if (type === 'null') return fc.constant(null)
      if (type === 'array') return fc.array(shaped(schema.items), { maxLength: 6 })
      const fixed = fc.record(Object.fromEntries(Object.entries(schema.properties ?? {}).map(([name, part]) => [name, shaped(part)])), { requiredKeys: schema.required ?? [], noNullPrototype: true })
      if (schema.additionalProperties === undefined || schema.additionalProperties === false) return fixed
      const names = fc.constantFrom('defaultTtlMs', 'maxTtlMs', 'historyRetentionMs', 'x', '__proto__', 'toString', '')
      return fc.dictionary(names, fc.oneof(hostileNumber, fc.boolean(), text()), { maxKeys: 4, noNullPrototype: true })
    }))
  }

  const encodedPart = (part: string): string => encodeURIComponent(Buffer.from(part, 'utf8').toString('utf8'))

  const requests = (operation: Operation): fc.Arbitrary<Sent> => {
    const names = [...operation.path.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? '')
    const raw = fc.constantFrom('%00', '%2e%2e', '..%2f..%2fetc%2fpasswd', '%ff%fe', '%', '%zz', '%c3%28', 'a%20'.repeat(1000), 'x'.repeat(600), '%ED%A0%80', '?', '#', 'x;y', '%2F', '.', '..', '%e2%80%ae')
    const part = fc.oneof({ weight: 4, arbitrary: text().map((one) => encodedPart(one).slice(0, 16_000)) }, { weight: 1, arbitrary: raw })
    const slashed = fc.oneof(part, text().map((one) => one.split('/').map(encodedPart).join('/').slice(0, 16_000)))
    const path = fc.tuple(...names.map((name) => (name === 'path' ? slashed : part))).map((parts) => names.reduce((whole, name, i) => whole.replace(`{${name}}`, () => parts[i] ?? ''), operation.path))
    const goodQuery = fc.record(Object.fromEntries(Object.entries(operation.query).map(([name, schema]) => [name, shaped(schema)])), { requiredKeys: [] })
      .map((values) => Object.entries(values).map(([name, value]) => `${name}=${encodedPart(String(value))}`).join('&'))
    const badQuery = fc.constantFrom('x=1', 'target=a&target=b', 'path=/a&path=/b', '__proto__=1', 'recursive=yes', 'limit=-1', 'a[b]=c', '%', '&&&', '=', 'path=%ff', 'ticket=', 'priority=urgent', `q=${'x'.repeat(9000)}`)
    const query = fc.oneof({ weight: 2, arbitrary: fc.constant('') }, { weight: 3, arbitrary: goodQuery }, { weight: 1, arbitrary: badQuery })
    const odd = fc.constantFrom<OutgoingHttpHeaders>(
      {}, {}, { range: 'bytes=0-' }, { range: 'bytes=-5' }, { range: 'bytes=9999999999999999999999-' }, { range: `bytes=0-0,${'1-2,'.repeat(500)}` }, { range: 'bytes=\u00ff' }, { 'if-none-match': '*' }, { 'if-none-match': ','.repeat(9000) },
      { 'if-range': '"x"' }, { 'last-event-id': '-1' }, { 'last-event-id': 'x'.repeat(5000) }, { accept: 'nothing/at-all' }, { 'accept-encoding': 'br;q=9' }, { expect: '100-continue' }, { 'content-encoding': 'gzip' }, { 'x-http-method-override': 'DELETE' }, { cookie: 'a=b' }, { connection: 'upgrade', upgrade: 'websocket' },
    )
    return fc.record({ path, query, odd, sent: bodies(operation) }).map(({ path: where, query: asked, odd: more, sent: { type, body } }) => ({
      method: operation.method, path: asked === '' ? where : `${where}?${asked}`, headers: { ...(type === '' ? {} : { 'content-type': type }), ...more }, body,
    }))
  }

  const bodies = (operation: Operation): fc.Arbitrary<{ type: string; body: Buffer }> => {
    const anyBytes = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes))
    const types = fc.constantFrom('application/json', operation.mediaType, 'text/plain', '', 'application/json; charset=utf-16', 'multipart/form-data; boundary=x', 'x', 'application/x-www-form-urlencoded')
    const wrong = fc.record({
      type: types,
      body: fc.oneof(
        anyBytes, fc.json().map((one) => Buffer.from(one)),
        fc.constantFrom('[', '{', '{"a":', '\ufeff{}', 'null', '{"__proto__":{"x":1}}', '{"constructor":{"prototype":{}}}', '['.repeat(30_000), `{"a":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_000)}}`, `"${'x'.repeat(70_000)}"`, '1e999', '{"a":1,"a":2}').map((one) => Buffer.from(one)),
      ),
    })
    if (operation.mediaType === 'application/x-tar') return fc.oneof({ weight: 3, arbitrary: tars.map((body) => ({ type: 'application/x-tar', body })) }, { weight: 1, arbitrary: wrong })
    if (operation.body === undefined) return fc.oneof({ weight: 3, arbitrary: fc.constant({ type: '', body: Buffer.alloc(0) }) }, { weight: 1, arbitrary: wrong })
    if (operation.mediaType !== 'application/json') return wrong
    const good = shaped(operation.body).map((value) => ({ type: 'application/json', body: Buffer.from(JSON.stringify(value)) }))
    return fc.oneof({ weight: 3, arbitrary: good }, { weight: 1, arbitrary: wrong })
  }

  const send = async ({ method, path, headers, body }: Sent, limitMs: number): Promise<Answer | 'waiting'> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(api.url)
      const sent = request({ host: hostname, port, method, path, headers: { ...headers, authorization: `Bearer ${api.token}`, ...(body.length === 0 ? {} : { 'content-length': body.length }) }, agent: false })
      const timer = setTimeout(() => {
        resolve('waiting')
        sent.destroy()
      }, limitMs)
      const done = (answer: Answer): void => {
        clearTimeout(timer)
        resolve(answer)
        sent.destroy()
      }
      sent.on('response', (response: IncomingMessage) => {
        const parts: Buffer[] = []
        let length = 0
        const answer = (): Answer => ({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body: Buffer.concat(parts).toString('utf8') })
        // A stream that goes on is an answer, too.
        if (response.headers['content-type']?.startsWith('text/event-stream') === true) done(answer())
        response.on('data', (part: Buffer) => {
          parts.push(part)
          length += part.length
          if (length > answerBytesMax || response.headers['content-type'] === 'application/x-ndjson') done(answer())
        })
        response.on('end', () => {
          done(answer())
        })
        response.on('error', () => {
          done(answer())
        })
      })
      sent.on('upgrade', () => {
        clearTimeout(timer)
        reject(new Error('the node took an upgrade'))
      })
      sent.on('error', (error) => {
        clearTimeout(timer)
        reject(error)
      })
      if (body.length > 0) sent.write(body)
      sent.end()
    })

  it('gets an answer of ours to whatever is sent, and goes on', async () => {
    const seen = new Map<string, number>()
    for (const operation of operations) {
      const name = `${operation.method} ${operation.path}`
      await fc.assert(
        fc.asyncProperty(requests(operation).filter((sent) => !endsTheNode(operation, sent)), async (sent) => {
          const answer = await send(sent, mayWait(operation, sent) ? patienceMs : answerMsMax)
          if (answer === 'waiting') {
            assert.ok(mayWait(operation, sent), `${name} gives no answer`)
            return
          }
          seen.set(`${name} ${String(answer.status)}`, (seen.get(`${name} ${String(answer.status)}`) ?? 0) + 1)
          assert.ok(answer.status < 500 || isHonest(operation, answer), `${String(answer.status)} ${answer.body}`)
          if (answer.status >= 400 && sent.method !== 'HEAD') {
            const document = JSON.parse(answer.body) as { code?: unknown; message?: unknown }
            assert.ok(typeof document.code === 'string' && /^[A-Z][A-Z_]+$/.test(document.code), answer.body)
            assert.ok(typeof document.message === 'string' && document.message.length > 0, answer.body)
            assert.match(answer.type, /^application\/json/)
          }
        }),
        { numRuns: runsPerRoute, endOnFailure: true },
      )
      assert.ok(node.isRunning, `${name} ended the node`)
    }
    // Not everything was refused at the door: what was shaped like a request went deep.
    assert.ok([...seen.keys()].filter((key) => key.endsWith(' 200') || key.endsWith(' 201')).length > 20, [...seen].join('\n'))
  })

  it('answers broken HTTP on the socket', async () => {
    const { hostname, port } = new URL(api.url)
    const head = `host: 127.0.0.1\r\nauthorization: Bearer ${api.token}\r\n`
    const texts = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
      fc.constantFrom(
        'GET /api/v1/status HTTP/9.9\r\n\r\n', `GET ${'/x'.repeat(30_000)} HTTP/1.1\r\n${head}\r\n`, `PUT /api/v1/files/x HTTP/1.1\r\n${head}content-length: -1\r\n\r\n`, `PUT /api/v1/files/x HTTP/1.1\r\n${head}content-length: 5\r\ncontent-length: 6\r\n\r\nhello`,
        `PUT /api/v1/files/x HTTP/1.1\r\n${head}transfer-encoding: chunked\r\n\r\nzz\r\nhello\r\n`, `PUT /api/v1/files/x HTTP/1.1\r\n${head}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n5\r\nhello\r\n0\r\n\r\n`, `POST /api/v1/move HTTP/1.1\r\n${head}content-type: application/json\r\ncontent-length: 1e3\r\n\r\n{}`,
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n', `OPTIONS * HTTP/1.1\r\n${head}\r\n`, `TRACE / HTTP/1.1\r\n${head}\r\n`, `GET /api/v1/status HTTP/1.1\r\n${head}x: ${'y'.repeat(100_000)}\r\n\r\n`,
      ).map((one) => Buffer.from(one)),
    )
    await fc.assert(fc.asyncProperty(texts, async (bytes) => {
      await new Promise<void>((resolve) => {
        const socket = connect({ host: hostname, port: Number(port) })
        socket.on('error', () => undefined)
        socket.on('close', () => {
          resolve()
        })
        socket.resume()
        // Half a request is all that comes: the other side closes, at once or when this one has.
        socket.end(bytes)
      })
    }), { numRuns: 60 })
    assert.ok(node.isRunning)
  })

  it('then is as before: it serves, took no more memory, logged no bug, and wrote nowhere else', async () => {
    const client = node.client()
    const bytes = someBytes(100_000, 3)
    await client.pauseReplication(false)
    await client.put('/after.bin', chunks(bytes))
    const back: Uint8Array[] = []
    for await (const chunk of (await client.get('/after.bin')).bytes) back.push(chunk)
    assert.ok(Buffer.concat(back).equals(bytes))
    assert.equal((await fetch(`${api.url}/readyz`)).status, 200)
    assert.doesNotMatch(node.log, /nobody looked|request failed|MaxListeners/)
    assert.deepEqual(readdirSync(world.folder), ['a'])
    assert.deepEqual(readdirSync(process.cwd()), here)
    if (process.platform === 'linux') {
      const resident = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${String(node.pid)}/status`, 'utf8'))?.[1]) * 1024
      assert.ok(resident < residentBytesMax, `${String(Math.round(resident / 2 ** 20))} MiB are resident`)
    }
    assert.equal(await node.stop(), 0)
  })
})

async function* chunks(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
  await Promise.resolve()
}

function operationsOf(document: unknown): Operation[] {
  interface Described {
    parameters: { name: string; in: string; schema: Schema }[]
    requestBody?: { content: Record<string, { schema: Schema }> }
  }
  const { paths } = document as { paths: Record<string, Record<string, Described>> }
  const all = Object.entries(paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, { parameters, requestBody }]): Operation => {
    const [mediaType = '', content] = Object.entries(requestBody?.content ?? {})[0] ?? []
    return {
      method: method.toUpperCase(), path, mediaType, body: content?.schema,
      query: Object.fromEntries(parameters.filter((one) => one.in === 'query').map((one) => [one.name, one.schema])),
    }
  }))
  // What removes comes last, so that all others find something.
  return [...all.filter(({ method }) => method !== 'DELETE'), ...all.filter(({ method }) => method === 'DELETE')]
}

/** Requests that do what they say, and leave no node to ask further, or a trace on this machine. */
function endsTheNode({ method, path }: Operation, { body }: Sent): boolean {
  const text = body.toString('utf8').replace(/\s/g, '')
  if (path === '/api/v1/stop' || path === '/api/v1/drain') return text === '{}'
  if (path === '/api/v1/voters/recover') return text.includes('true')
  // A socket is made wherever its user says: not by this test.
  if (path.endsWith('/exports') && /"unix":"\//.test(text)) return true
  return method === 'PATCH' && path === '/api/v1/quota' && text.includes('Bytes')
}

function mayWait({ path }: Operation, { body, path: where }: Sent): boolean {
  return (path.startsWith('/api/v1/leases') && /"wait/.test(body.toString())) || where.includes('wait=true')
}

/** A 5xx that tells the truth: what was asked is right, and cannot be done here and now. */
function isHonest({ path }: Operation, { status, body }: Answer): boolean {
  const { code } = JSON.parse(body) as { code: string }
  return path === '/api/v1/voters' && status === 503 && code === 'NO_QUORUM'
}

/** Archives of all kinds: whole, cut, changed, with names that lead out, links, devices, and sizes that are not so. */
const tars: fc.Arbitrary<Buffer> = fc.record({
  entries: fc.array(fc.record({
    name: fc.oneof(fc.constantFrom('a', 'b/c', '../out', '/etc/passwd', 'a/../../x', 'a\0b', 'x'.repeat(300), 'é', 'e\u0301', '.', '', 'a//b', '__proto__'), fc.string({ maxLength: 10 })),
    content: fc.uint8Array({ maxLength: 600 }),
    type: fc.constantFrom('file' as const, 'file' as const, 'file' as const, 'directory' as const, 'symlink' as const, 'link' as const, 'character-device' as const, 'fifo' as const),
  }), { maxLength: 4 }),
  changes: fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }),
  cut: fc.option(fc.nat(), { freq: 3 }),
}).map(({ entries, changes, cut }) => {
  const stream = pack()
  for (const { name, content, type } of entries) {
    if (type === 'file') stream.entry({ name, type }, Buffer.from(content))
    else stream.entry({ name, type, linkname: '/etc/passwd' })
  }
  stream.finalize()
  const parts: Buffer[] = []
  for (let part = stream.read() as Buffer | null; part !== null; part = stream.read() as Buffer | null) parts.push(part)
  const whole = Buffer.concat(parts)
  for (const [at, value] of changes) if (whole.length > 0) whole[at % Math.min(whole.length, 1024)] = value
  return cut === null || whole.length === 0 ? whole : whole.subarray(0, cut % whole.length)
})
