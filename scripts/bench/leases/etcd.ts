// Three etcd members for the benchmark, and two ways to ask them: gRPC over one HTTP/2 session a member (as etcd's own
// client does, without its library), and the JSON gateway over HTTP/1.1 with persistent connections.
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:http2'
import type { ClientHttp2Session } from 'node:http2'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const etcdFile = ['/usr/bin/etcd', '/usr/local/bin/etcd'].find((file) => existsSync(file))

// ---- protobuf, as far as it is needed ---------------------------------------------------------------------------------

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  for (let left = BigInt.asUintN(64, value); ; left >>= 7n) {
    if (left < 128n) {
      bytes.push(Number(left))
      return Buffer.from(bytes)
    }
    bytes.push(Number(left & 127n) | 128)
  }
}

const whole = (field: number, value: bigint): Buffer => Buffer.concat([varint(BigInt(field << 3)), varint(value)])
function bytes(field: number, value: Uint8Array | string): Buffer {
  const body = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([varint(BigInt((field << 3) | 2)), varint(BigInt(body.length)), body])
}

/** Fields by number, the last of each; enough for the answers that are read here. */
function fields(message: Uint8Array): Map<number, bigint | Uint8Array> {
  const found = new Map<number, bigint | Uint8Array>()
  let at = 0
  const next = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = message[at++] ?? 0
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  while (at < message.length) {
    const tag = Number(next())
    if ((tag & 7) === 0) found.set(tag >> 3, next())
    else {
      const length = Number(next())
      found.set(tag >> 3, message.subarray(at, at + length))
      at += length
    }
  }
  return found
}

const framed = (message: Uint8Array): Buffer => {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** One member over gRPC. */
export class EtcdClient {
  readonly #session: ClientHttp2Session

  constructor(url: string) {
    this.#session = connect(url, { settings: { initialWindowSize: 2 ** 24 } })
    this.#session.on('error', () => undefined)
    this.#session.setMaxListeners(0)
  }

  async #call(path: string, message: Uint8Array, deadlineMs = 30_000): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      const stream = this.#session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' })
      const parts: Buffer[] = []
      let status = '0'
      const timer = setTimeout(() => { stream.close(); reject(new Error('no answer')) }, deadlineMs)
      stream.on('response', (headers) => { status = String(headers['grpc-status'] ?? status) })
      stream.on('trailers', (headers: Readonly<Record<string, string | undefined>>) => { status = headers['grpc-status'] ?? status })
      stream.on('data', (part: Buffer) => parts.push(part))
      stream.on('error', (error) => { clearTimeout(timer); reject(error) })
      stream.on('close', () => {
        clearTimeout(timer)
        const body = Buffer.concat(parts)
        if (status === '0' && body.length >= 5) resolve(body.subarray(5))
        else reject(new Error(`grpc status ${status}`))
      })
      stream.end(framed(message))
    })
  }

  async grant(ttlSeconds: number): Promise<bigint> {
    const id = fields(await this.#call('/etcdserverpb.Lease/LeaseGrant', whole(1, BigInt(ttlSeconds)))).get(2)
    if (typeof id !== 'bigint') throw new Error('etcd gave no lease')
    return id
  }

  /** Keeps a lease alive; resolves how many answers have come. `every` 0: as fast as answers come. */
  keepAlive(lease: bigint, everyMs: number): { answers: () => number; end: () => void } {
    const stream = this.#session.request({ ':method': 'POST', ':path': '/etcdserverpb.Lease/LeaseKeepAlive', 'content-type': 'application/grpc', te: 'trailers' })
    let answers = 0
    const body = framed(whole(1, lease))
    stream.on('error', () => undefined)
    stream.on('data', () => {
      answers++
      if (everyMs === 0) stream.write(body)
    })
    stream.write(body)
    const timer = everyMs === 0 ? undefined : setInterval(() => stream.write(body), everyMs)
    return { answers: () => answers, end: () => { clearInterval(timer); stream.close() } }
  }

  /** "Put if it is not there", as a lock that does not wait: one transaction, one entry in the raft log. */
  async acquire(key: string, lease: bigint, deadlineMs?: number): Promise<boolean> {
    const compare = Buffer.concat([whole(1, 0n), whole(2, 1n), bytes(3, key), whole(5, 0n)])
    const put = bytes(2, Buffer.concat([bytes(1, key), bytes(2, 'holder'), whole(3, lease)]))
    const answer = await this.#call('/etcdserverpb.KV/Txn', Buffer.concat([bytes(1, compare), bytes(2, put)]), deadlineMs)
    return fields(answer).get(2) === 1n
  }

  async release(key: string): Promise<void> {
    await this.#call('/etcdserverpb.KV/DeleteRange', bytes(1, key))
  }

  /** Many keys in one transaction, to fill. */
  async fill(keys: readonly string[], lease: bigint): Promise<void> {
    const puts = keys.map((key) => bytes(2, bytes(2, Buffer.concat([bytes(1, key), bytes(2, 'holder'), whole(3, lease)]))))
    await this.#call('/etcdserverpb.KV/Txn', Buffer.concat(puts))
  }

  /** etcd's own lock, which waits in line. The key to unlock. */
  async lock(name: string, lease: bigint, deadlineMs?: number): Promise<Uint8Array> {
    const key = fields(await this.#call('/v3lockpb.Lock/Lock', Buffer.concat([bytes(1, name), whole(2, lease)]), deadlineMs)).get(2)
    if (!(key instanceof Uint8Array)) throw new Error('etcd gave no lock')
    return key
  }

  async unlock(key: Uint8Array): Promise<void> {
    await this.#call('/v3lockpb.Lock/Unlock', bytes(1, key))
  }

  async status(): Promise<{ member: bigint; leader: bigint; dbBytes: bigint }> {
    const answer = fields(await this.#call('/etcdserverpb.Maintenance/Status', new Uint8Array(0)))
    const header = answer.get(1)
    return {
      member: (header instanceof Uint8Array ? fields(header).get(2) : 0n) as bigint,
      leader: (answer.get(4) ?? 0n) as bigint, dbBytes: (answer.get(3) ?? 0n) as bigint,
    }
  }

  async removeMember(member: bigint): Promise<void> {
    await this.#call('/etcdserverpb.Cluster/MemberRemove', whole(1, member))
  }

  close(): void {
    this.#session.destroy()
  }
}

/** The JSON gateway, over as many persistent connections as there are callers. */
export class EtcdGateway {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 256 })
  readonly #url: URL

  constructor(url: string) {
    this.#url = new URL(url)
  }

  async #post(path: string, body: object): Promise<Record<string, unknown>> {
    return callJson(this.#agent, this.#url, 'POST', path, body, {})
  }

  async grant(ttlSeconds: number): Promise<string> {
    return String((await this.#post('/v3/lease/grant', { TTL: ttlSeconds }))['ID'])
  }

  async acquire(key: string, lease: string): Promise<boolean> {
    const name = Buffer.from(key).toString('base64')
    const answer = await this.#post('/v3/kv/txn', {
      compare: [{ target: 'CREATE', key: name, create_revision: '0' }],
      success: [{ request_put: { key: name, value: 'aG9sZGVy', lease } }],
    })
    return answer['succeeded'] === true
  }

  async release(key: string): Promise<void> {
    await this.#post('/v3/kv/deleterange', { key: Buffer.from(key).toString('base64') })
  }

  close(): void {
    this.#agent.destroy()
  }
}

export async function callJson(agent: Agent, url: URL, method: 'POST' | 'DELETE', path: string, body: object | undefined, headers: Record<string, string>): Promise<Record<string, unknown>> {
  const text = body === undefined ? '' : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const call = httpRequest({
      agent, host: url.hostname, port: url.port, path, method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }), ...headers },
    }, (response) => {
      const parts: Buffer[] = []
      response.on('data', (part: Buffer) => parts.push(part))
      response.on('end', () => {
        const answer = Buffer.concat(parts).toString()
        if ((response.statusCode ?? 500) >= 300) reject(new Error(`${path}: ${String(response.statusCode)} ${answer.slice(0, 200)}`))
        else resolve(answer === '' ? {} : (JSON.parse(answer) as Record<string, unknown>))
      })
    })
    call.on('error', reject)
    call.end(text)
  })
}

export class EtcdCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'mesh-bench-etcd-'))
  readonly #children: ChildProcess[] = []
  urls: string[] = []

  /** Three members; fsync is on, as always unless `--unsafe-no-fsync`. */
  async start(file: string): Promise<void> {
    const ports = await freePorts(6)
    const names = ['a', 'b', 'c']
    const peers = names.map((name, i) => `${name}=http://127.0.0.1:${String(ports[i])}`).join(',')
    this.urls = names.map((_name, i) => `http://127.0.0.1:${String(ports[3 + i])}`)
    for (const [i, name] of names.entries()) {
      const peer = `http://127.0.0.1:${String(ports[i])}`
      this.#children.push(spawn(file, [
        '--name', name, '--data-dir', join(this.folder, name), '--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer,
        '--listen-client-urls', this.urls[i] ?? '', '--advertise-client-urls', this.urls[i] ?? '', '--initial-cluster', peers, '--initial-cluster-state', 'new',
        '--log-level', 'error', '--logger', 'zap', '--quota-backend-bytes', String(4 * 2 ** 30),
      ], { stdio: 'ignore' }))
    }
    for (const url of this.urls) {
      for (let tries = 0; ; tries++) {
        const client = new EtcdClient(url)
        try {
          await client.acquire(`ready${url}`, 0n, 1000)
          break
        } catch (error) {
          if (tries > 100) throw error
          await new Promise((resolve) => setTimeout(resolve, 100))
        } finally {
          client.close()
        }
      }
    }
  }

  pids(): number[] {
    return this.#children.filter((child) => child.exitCode === null && child.signalCode === null).map((child) => child.pid ?? 0)
  }

  pid(member: number): number {
    return this.#children[member]?.pid ?? 0
  }

  async stop(): Promise<void> {
    for (const child of this.#children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    }
    rmSync(this.folder, { recursive: true, force: true })
  }
}

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(Array.from({ length: count }, async () => new Promise<ReturnType<typeof createServer>>((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => { resolve(server) })
  })))
  const ports = servers.map((server) => (server.address() as AddressInfo).port)
  await Promise.all(servers.map(async (server) => new Promise((resolve) => server.close(resolve))))
  return ports
}
