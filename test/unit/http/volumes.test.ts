import assert from 'node:assert/strict'
import fc from 'fast-check'
import { CodedError, codeOf, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import { MeshClient } from '../../../src/client/index.js'
import type { CreateVolume, ExportVolume, VolumeExport, VolumeInfo } from '../../../src/client/index.js'
import { startHttpGateway } from '../../../src/gateways/http/index.js'
import type { HeldExport, HttpGateway, NodeApi, NodeVolumes } from '../../../src/gateways/http/index.js'
import { until } from '../consensus/mesh.js'

const token = 'right-token'

/** Volumes of which only the names are real. */
class FakeVolumes implements NodeVolumes {
  readonly made = new Map<string, VolumeInfo>()
  readonly held = new Set<{ end: (error: Error) => void; change: () => void; connections: number }>()
  closed = 0

  #get(name: string): VolumeInfo {
    const found = this.made.get(name)
    if (found === undefined) throw new CodedError('NOT_FOUND', 'no such volume', { name })
    return found
  }

  async create(name: string, { sizeBytes, durability = 'flush', replicas = 3, policy = 'adaptive' }: CreateVolume): Promise<VolumeInfo> {
    if (sizeBytes > 2 ** 50 || sizeBytes <= 0) throw new CodedError('BAD_SIZE', 'no')
    if (this.made.has(name)) throw new CodedError('EXISTS', 'there is one')
    const info = { name, id: '00'.repeat(16), sizeBytes, blockSize: 4096, segments: 1, durability, replicas, policy, usedBytes: 0, exports: [] }
    this.made.set(name, info)
    return info
  }

  async list(): Promise<VolumeInfo[]> {
    return [...this.made.values()]
  }

  async stat(name: string): ReturnType<NodeVolumes['stat']> {
    return { ...this.#get(name), openOn: [] }
  }

  async resize(name: string, sizeBytes: number): Promise<VolumeInfo> {
    return { ...this.#get(name), sizeBytes }
  }

  async remove(name: string): Promise<void> {
    this.#get(name)
    if (this.held.size > 0) throw new CodedError('IN_USE', 'exported', { nodes: ['n'] })
    this.made.delete(name)
  }

  async leases(): ReturnType<NodeVolumes['leases']> {
    return [{ start: 0, blocks: 4, holder: 'n', region: 'r', token: 1 }]
  }

  async heat(): ReturnType<NodeVolumes['heat']> {
    return [{ start: 0, blocks: 4, writes: 1.5, reads: 0, lastWrite: null, regions: { r: { writes: 1, latencyMs: 0.2 } } }]
  }

  #export(name: string, { unix, tcp, readOnly = false, staleReads = false }: ExportVolume, detached: boolean, connections = 0): VolumeExport {
    this.#get(name)
    return { exportId: 'e1', volume: name, uri: 'nbd://x', unix: unix ?? null, tcp: tcp ?? null, readOnly, staleReads, detached, connections, ready: true }
  }

  async exportDetached(name: string, wish: ExportVolume): Promise<VolumeExport> {
    return this.#export(name, wish, true)
  }

  async exportHeld(name: string, wish: ExportVolume): Promise<HeldExport> {
    this.#export(name, wish, false)
    const controller = new AbortController()
    const listeners = new Set<() => void>()
    const entry = {
      connections: 0,
      end: (error: Error) => { controller.abort(error) },
      change: () => { for (const listener of listeners) listener() },
    }
    this.held.add(entry)
    return {
      state: () => this.#export(name, wish, false, entry.connections),
      onChange: (listener) => {
        listeners.add(listener)
        return () => listeners.delete(listener)
      },
      ended: controller.signal,
      close: async () => {
        if (this.held.delete(entry)) this.closed++
      },
    }
  }

  async unexport(name: string): Promise<{ ended: number }> {
    this.#get(name)
    return { ended: 1 }
  }
}

describe('http door: volumes', () => {
  let volumes: FakeVolumes
  let gateway: HttpGateway
  let client: MeshClient
  beforeEach(async () => {
    volumes = new FakeVolumes()
    const node: Partial<NodeApi> = { volumes, state: () => 'ready' }
    gateway = await startHttpGateway({ node: node as NodeApi, clock: systemClock, random: systemRandom, log: silentLog }, { host: '127.0.0.1', port: 0, token, hosts: [], version: '1.2.3' })
    client = new MeshClient({ url: gateway.url, token })
  })
  afterEach(async () => {
    client.close()
    await gateway.close(0)
  })

  const ask = async (method: string, path: string, body?: string): Promise<{ status: number; document: Record<string, unknown> }> => {
    const response = await fetch(`${gateway.url}${path}`, { method, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }, ...(body === undefined ? {} : { body }) })
    return { status: response.status, document: (await response.json()) as Record<string, unknown> }
  }

  it('makes, shows, grows and removes', async () => {
    const made = await client.createVolume('vm', { sizeBytes: 4096, durability: 'writethrough', replicas: 2 })
    assert.deepEqual([made.name, made.durability, made.replicas], ['vm', 'writethrough', 2])
    assert.equal((await client.volumes()).length, 1)
    assert.deepEqual((await client.volume('vm')).openOn, [])
    assert.equal((await client.resizeVolume('vm', 8192)).sizeBytes, 8192)
    assert.equal((await client.volumeLeases('vm'))[0]?.blocks, 4)
    assert.equal((await client.volumeHeat('vm'))[0]?.regions.r?.latencyMs, 0.2)
    await client.removeVolume('vm')
    assert.equal(await client.volume('vm').then(() => undefined, codeOf), 'NOT_FOUND')
  })

  it('says no with the right status', async () => {
    await client.createVolume('vm', { sizeBytes: 4096 })
    assert.equal((await ask('POST', '/api/v1/volumes', '{"name":"vm","sizeBytes":1}')).status, 409)
    const huge = await ask('POST', '/api/v1/volumes', '{"name":"v2","sizeBytes":9223372036854775808}')
    assert.deepEqual([huge.status, huge.document.code], [400, 'BAD_SIZE'])
    for (const body of ['{}', '{"name":"a"}', '{"name":1,"sizeBytes":1}', '{"name":"a","sizeBytes":"1GB"}', '{"name":"a","sizeBytes":1,"durability":"no"}', '{"name":"a","sizeBytes":1,"x":1}', '[]', 'x']) {
      assert.equal((await ask('POST', '/api/v1/volumes', body)).status, 400, body)
    }
    for (const body of ['{}', '{"detached":1}', '{"detached":true,"unix":1}', '{"detached":true,"to":"x"}']) {
      assert.equal((await ask('POST', '/api/v1/volumes/vm/exports', body)).status, 400, body)
    }
    assert.equal((await ask('DELETE', '/api/v1/volumes/none')).status, 404)
    assert.equal((await ask('PATCH', '/api/v1/volumes/vm', '{"sizeBytes":null}')).status, 400)
  })

  it('an export is held for as long as its answer is read', async () => {
    await client.createVolume('vm', { sizeBytes: 4096 })
    assert.equal((await client.exportVolume('vm', { tcp: '127.0.0.1:0' })).detached, true)
    const controller = new AbortController()
    const seen: VolumeExport[] = []
    const reading = (async () => {
      for await (const state of client.holdExport('vm', { readOnly: true }, { signal: controller.signal })) seen.push(state)
    })()
    await until(() => seen.length === 1)
    assert.deepEqual([seen[0]?.readOnly, seen[0]?.detached], [true, false])
    assert.equal(await client.removeVolume('vm').then(() => undefined, codeOf), 'IN_USE')
    const [entry] = volumes.held
    entry!.connections = 2
    entry!.change()
    await until(() => seen.length === 2)
    assert.equal(seen[1]?.connections, 2)
    controller.abort()
    await assert.rejects(reading)
    await until(() => volumes.closed === 1)
  })

  it('tells who holds an export why it ended, whoever ended it', async () => {
    await client.createVolume('vm', { sizeBytes: 4096 })
    const hold = async (): Promise<string | undefined> => {
      try {
        for await (const state of client.holdExport('vm')) assert.equal(state.volume, 'vm')
        return 'ended without a word'
      } catch (error) {
        return codeOf(error)
      }
    }
    const first = hold()
    await until(() => volumes.held.size === 1)
    for (const { end } of volumes.held) end(new CodedError('ABORTED', 'somebody ended it'))
    assert.equal(await first, 'ABORTED')
    await until(() => volumes.held.size === 0)
    const second = hold()
    await until(() => volumes.held.size === 1)
    await gateway.close(1000)
    assert.equal(await second, 'STOPPING')
    await until(() => volumes.closed === 2)
    assert.equal(await client.exportVolume('none').then(() => undefined, codeOf), 'NOT_RUNNING')
  })

  it('lives through whatever is sent', async () => {
    const value = fc.oneof(fc.jsonValue(), fc.record({ name: fc.string(), sizeBytes: fc.double() }, { requiredKeys: [] }), fc.record({ detached: fc.constant(true), unix: fc.string(), tcp: fc.string() }, { requiredKeys: ['detached'] }))
    const path = fc.constantFrom('/api/v1/volumes', '/api/v1/volumes/vm', '/api/v1/volumes/vm/exports', '/api/v1/volumes/%00/exports/x', '/api/v1/volumes/..%2f/leases')
    await fc.assert(fc.asyncProperty(fc.constantFrom('POST', 'PATCH', 'DELETE', 'PUT'), path, value, async (method, where, body) => {
      const { status, document } = await ask(method, where, JSON.stringify(body))
      assert.ok(status < 500, `${method} ${where} ${JSON.stringify(body)}: ${String(status)} ${JSON.stringify(document)}`)
      if (status >= 400) assert.equal(typeof document.code, 'string')
    }), { numRuns: 80 })
  })

  it('is in the description', async () => {
    const { paths } = (await client.document('/api/v1/openapi.json')) as { paths: Record<string, Record<string, unknown>> }
    assert.deepEqual(Object.keys(paths['/api/v1/volumes/{name}'] ?? {}).sort(), ['delete', 'get', 'patch'])
    assert.deepEqual(Object.keys(paths['/api/v1/volumes/{name}/exports'] ?? {}).sort(), ['delete', 'post'])
  })
})
