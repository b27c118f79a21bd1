import type { IncomingMessage } from 'node:http'
import { messageOf } from '../base/index.js'
import { ClientError } from './error.js'
import { notRunning, readApiFile } from './home.js'
import { parseEvents } from './sse.js'
import { unpackFolder, packFolder } from './tar.js'
import type { FolderEntry, FolderSource } from './tar.js'
import { collect, encodePath, said, Transport } from './transport.js'
import type {
  AcquireLease, LeaseHistoryQuery, LeaseInfo, LeaseLocked, LeaseSettings, LeaseTransition, VotersInfo, VotersRecovered,
  CreateVolume, ExportVolume, VolumeDetails, VolumeExport, VolumeHeat, VolumeInfo, VolumeLeaseInfo,
  ActionPlan, DoctorCheck, DrainResult, EvictionResult, FileInfo, InviteInfo, ListEntry, MemberInfo, NodeEvent, NodeStatus, Peer, PlacementInfo, Priority,
  PutFolderResult, PutOptions, PutResult, QuotaChange, QuotaInfo, VerifyResult,
} from './types.js'

export interface MeshClientInit {
  url: string
  token: string
  /** How long to wait for the head of an answer [30 s]. */
  timeoutMs?: number
}

export interface RequestOptions {
  signal?: AbortSignal | undefined
}

export interface Content {
  /** Bytes that will come; undefined if the node does not know beforehand. */
  size: number | undefined
  cid: string | undefined
  bytes: AsyncIterable<Uint8Array>
}

/** Bytes `from` to `to`, both included, as in HTTP; `to` left out is the end; `from` left out is the last `to` bytes. */
export interface ByteRange {
  from?: number
  to?: number
}

/** Local answers take milliseconds; one that takes longer than this is not coming. */
const timeoutMsDefault = 30_000

/**
 * A client of one node's API. Methods answer with the documents of `types.ts` or reject with a `ClientError` that carries
 * the node's own code.
 *
 * Bodies are streams with backpressure in both directions: a file of any size costs the memory of a few chunks.
 */
export class MeshClient {
  readonly url: string
  readonly #transport: Transport
  readonly #timeoutMs: number

  constructor(init: MeshClientInit) {
    this.url = init.url
    this.#timeoutMs = init.timeoutMs ?? timeoutMsDefault
    this.#transport = new Transport({ url: init.url, token: init.token, timeoutMs: this.#timeoutMs })
  }

  /** A client of the node that runs in `home`; NOT_RUNNING if none does. */
  static ofHome(home: string, options: { timeoutMs?: number } = {}): MeshClient {
    const file = readApiFile(home)
    if (file === undefined) throw notRunning(home)
    return new MeshClient({ url: file.url, token: file.token, ...options })
  }

  close(): void {
    this.#transport.close()
  }

  async status(options?: RequestOptions): Promise<NodeStatus> {
    return this.#get('/api/v1/status', options)
  }

  async peers(options?: RequestOptions): Promise<Peer[]> {
    return this.#get('/api/v1/peers', options)
  }

  async members(options?: RequestOptions): Promise<MemberInfo[]> {
    return this.#get('/api/v1/members', options)
  }

  async removeMember(peerId: string, options?: RequestOptions): Promise<void> {
    await this.#transport.json({ method: 'DELETE', path: `/api/v1/members/${encodeURIComponent(peerId)}`, signal: options?.signal })
  }

  async invite(expiresMs: number, options?: RequestOptions): Promise<InviteInfo> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/invites', json: { expiresMs }, signal: options?.signal })
  }

  async doctor(options?: RequestOptions): Promise<DoctorCheck[]> {
    return this.#get('/api/v1/doctor', options)
  }

  /** Asks the node to drain and stop; resolves when it has begun. */
  async stop(options?: RequestOptions): Promise<void> {
    await this.#transport.json({ method: 'POST', path: '/api/v1/stop', json: {}, signal: options?.signal })
  }

  /** Durable on that node when it resolves. A failing source, or an abort, leaves nothing behind. */
  async put(
    path: string,
    content: AsyncIterable<Uint8Array>,
    options: PutOptions & RequestOptions & { size?: number | undefined } = {},
  ): Promise<PutResult> {
    return this.#transport.json({
      method: 'PUT',
      path: `/api/v1/files/${encodePath(path)}${putQuery(options)}`,
      headers: {
        'content-type': 'application/octet-stream',
        ...(options.size === undefined ? {} : { 'content-length': options.size }),
      },
      body: content,
      signal: options.signal,
      timeoutMs: 0,
    })
  }

  /** Many files in one go, below `path`. Each is in or not for itself: see the answer's `entries` and `failed`. */
  async putFolder(path: string, entries: AsyncIterable<FolderSource>, options: PutOptions & RequestOptions = {}): Promise<PutFolderResult> {
    return this.#transport.json({
      method: 'PUT',
      path: `/api/v1/folders/${encodePath(path)}${putQuery(options)}`,
      headers: { 'content-type': 'application/x-tar' },
      body: packFolder(entries),
      signal: options.signal,
      timeoutMs: 0,
    })
  }

  /** `target`: a path, or a CID. */
  async get(target: string, options: RequestOptions & { range?: ByteRange | undefined } = {}): Promise<Content> {
    const response = await this.#transport.call({
      method: 'GET',
      path: contentPath(target),
      headers: { accept: '*/*', ...(options.range === undefined ? {} : { range: rangeHeader(options.range) }) },
      signal: options.signal,
      timeoutMs: 0,
    })
    return { size: lengthOf(response), cid: etagOf(response), bytes: bodyOf(response, options.signal) }
  }

  /** The files below a folder. Each entry's content must be read, or let go with `skip`, before the next is asked for. */
  async *getFolder(path: string, options: RequestOptions = {}): AsyncIterable<FolderEntry> {
    const response = await this.#transport.call({
      method: 'GET',
      path: `/api/v1/folders/${encodePath(path)}`,
      headers: { accept: 'application/x-tar' },
      signal: options.signal,
      timeoutMs: 0,
    })
    yield* unpackFolder(bodyOf(response, options.signal))
  }

  async stat(target: string, options?: RequestOptions): Promise<FileInfo> {
    return this.#get(`/api/v1/stat?target=${encodeURIComponent(said(target))}`, options)
  }

  async list(path = '/', options: RequestOptions & { recursive?: boolean } = {}): Promise<ListEntry[]> {
    return this.#get(`/api/v1/ls?path=${encodeURIComponent(said(path))}${options.recursive === true ? '&recursive=true' : ''}`, options)
  }

  /** Resolves to how many files went. */
  async remove(path: string, options: RequestOptions & { recursive?: boolean } = {}): Promise<{ removed: number }> {
    return this.#transport.json({
      method: 'DELETE',
      path: `/api/v1/files/${encodePath(path)}${options.recursive === true ? '?recursive=true' : ''}`,
      signal: options.signal,
    })
  }

  async move(from: string, to: string, options?: RequestOptions): Promise<{ moved: number }> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/move', json: { from: said(from), to: said(to) }, signal: options?.signal })
  }

  /** Changes what the catalog says of a file, or of every file below a folder. */
  async update(
    path: string,
    change: { priority?: Priority; replicas?: number; pinned?: boolean },
    options?: RequestOptions,
  ): Promise<{ changed: number }> {
    return this.#transport.json({ method: 'PATCH', path: `/api/v1/files/${encodePath(path)}`, json: change, signal: options?.signal })
  }

  /** Keeps content at this node by its CID, fetching what is not here; `false` lets it go. */
  async pinContent(cid: string, pinned: boolean, options?: RequestOptions): Promise<{ changed: number }> {
    return this.#transport.json({ method: pinned ? 'PUT' : 'DELETE', path: `/api/v1/pins/${encodeURIComponent(said(cid))}`, signal: options?.signal })
  }

  async pins(options?: RequestOptions): Promise<ListEntry[]> {
    return this.#get('/api/v1/pins', options)
  }

  /** Where the copies of a file or blob are and would go, with every term of every node's score. */
  async explainPlacement(target: string, options?: RequestOptions): Promise<PlacementInfo> {
    return this.#get(`/api/v1/placement?target=${encodeURIComponent(said(target))}`, options)
  }

  async quota(options?: RequestOptions): Promise<QuotaInfo> {
    return this.#get('/api/v1/quota', options)
  }

  /** In force at once, and written to config.toml. Below what is used, the node lets go of the rest politely. */
  async setQuota(change: QuotaChange, options?: RequestOptions): Promise<QuotaInfo & { persisted: boolean; overriddenBy: string[] }> {
    return this.#transport.json({ method: 'PATCH', path: '/api/v1/quota', json: change, signal: options?.signal })
  }

  async evict(bytes: number, options: RequestOptions & { dryRun?: boolean } = {}): Promise<EvictionResult> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/evict', json: { bytes, dryRun: options.dryRun === true }, signal: options.signal, timeoutMs: 0 })
  }

  /** What this node would do, or now does, to have every copy where it should be. */
  async rebalance(options: RequestOptions & { dryRun?: boolean } = {}): Promise<ActionPlan> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/rebalance', json: { dryRun: options.dryRun === true }, signal: options.signal })
  }

  /** Holds back copying and trimming at this node until it is resumed or started again. Reads go on. */
  async pauseReplication(paused: boolean, options?: RequestOptions): Promise<void> {
    await this.#transport.json({ method: 'POST', path: paused ? '/api/v1/replication/pause' : '/api/v1/replication/resume', json: {}, signal: options?.signal })
  }

  /** Resolves when all that others need is elsewhere, or has no other node to go to. An abort ends the draining. */
  async drain(options: RequestOptions = {}): Promise<DrainResult> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/drain', json: {}, signal: options.signal, timeoutMs: 0 })
  }

  /** The copies of a silent node no longer count, until it is seen again. */
  async forget(peerId: string, options?: RequestOptions): Promise<void> {
    await this.#transport.json({ method: 'POST', path: '/api/v1/forget', json: { peerId }, signal: options?.signal })
  }

  /** A CAR (version 1) of the content under a CID. */
  async exportCar(cid: string, options: RequestOptions = {}): Promise<AsyncIterable<Uint8Array>> {
    const response = await this.#transport.call({
      method: 'GET',
      path: `/api/v1/cars/${encodeURIComponent(said(cid))}`,
      headers: { accept: 'application/vnd.ipld.car' },
      signal: options.signal,
      timeoutMs: 0,
    })
    return bodyOf(response, options.signal)
  }

  /** Re-hashes what the node holds under `cid`, or all of it; one result a block that is wrong, and one a blob. */
  async *verify(cid?: string, options: RequestOptions = {}): AsyncIterable<VerifyResult> {
    const response = await this.#transport.call({
      method: 'POST',
      path: '/api/v1/verify',
      json: cid === undefined ? {} : { cid: said(cid) },
      headers: { accept: 'application/x-ndjson' },
      signal: options.signal,
      timeoutMs: 0,
    })
    for await (const line of linesOf(bodyOf(response, options.signal))) {
      const value = JSON.parse(line) as VerifyResult | { error: { code: string; message: string } }
      if (typeof value.error === 'object') throw new ClientError(value.error.code, value.error.message)
      yield value as VerifyResult
    }
  }

  /** An abort while it waits leaves nothing behind. Rejects with HELD, TIMED_OUT. */
  async acquireLease(scope: string, lease: AcquireLease = {}, options?: RequestOptions): Promise<LeaseInfo> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/leases', json: { scope, ...lease }, signal: options?.signal, timeoutMs: this.#waitMs(lease) })
  }

  /** From whoever has it, if its node lets it go. Rejects with REFUSED. */
  async stealLease(scope: string, lease: AcquireLease = {}, options?: RequestOptions): Promise<LeaseInfo> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/leases/steal', json: { scope, ...lease }, signal: options?.signal, timeoutMs: this.#waitMs(lease) })
  }

  async renewLease(leaseId: string, ttlMs?: number, options?: RequestOptions): Promise<LeaseInfo> {
    return this.#transport.json({ method: 'POST', path: `/api/v1/leases/${encodeURIComponent(leaseId)}/renew`, json: ttlMs === undefined ? {} : { ttlMs }, signal: options?.signal })
  }

  /** shared -> exclusive, for the only reader there is. Rejects with HELD. */
  async upgradeLease(leaseId: string, options?: RequestOptions): Promise<LeaseInfo> {
    return this.#transport.json({ method: 'POST', path: `/api/v1/leases/${encodeURIComponent(leaseId)}/upgrade`, json: {}, signal: options?.signal })
  }

  async releaseLease(leaseId: string, options?: RequestOptions): Promise<LeaseInfo> {
    return this.#transport.json({ method: 'DELETE', path: `/api/v1/leases/${encodeURIComponent(leaseId)}`, signal: options?.signal })
  }

  async lease(leaseId: string, options?: RequestOptions): Promise<LeaseInfo> {
    return this.#get(`/api/v1/leases/${encodeURIComponent(leaseId)}`, options)
  }

  /** Active ones in the whole mesh: whose scope begins with `scope`, of `agent`. */
  async leases(filter: { scope?: string; agent?: string } = {}, options?: RequestOptions): Promise<LeaseInfo[]> {
    return this.#get(`/api/v1/leases${queryOf({ ...filter })}`, options)
  }

  async leaseLocked(scope: string, options?: RequestOptions): Promise<LeaseLocked> {
    return this.#get(`/api/v1/leases/locked${queryOf({ scope })}`, options)
  }

  /** Of this node, oldest first. */
  async leaseHistory(query: LeaseHistoryQuery = {}, options?: RequestOptions): Promise<LeaseTransition[]> {
    return this.#get(`/api/v1/leases/history${queryOf({ ...query, limit: query.limit === undefined ? undefined : String(query.limit) })}`, options)
  }

  /** Ends all leases of an agent, on whatever node. */
  async forceReleaseLeases(agent: string, options?: RequestOptions): Promise<{ released: number }> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/leases/force-release', json: { agent }, signal: options?.signal })
  }

  async leaseSettings(options?: RequestOptions): Promise<LeaseSettings> {
    return this.#get('/api/v1/leases/settings', options)
  }

  /** For the whole mesh, from now on. */
  async setLeaseSettings(changes: LeaseSettings, options?: RequestOptions): Promise<LeaseSettings> {
    return this.#transport.json({ method: 'PATCH', path: '/api/v1/leases/settings', json: changes, signal: options?.signal })
  }

  async voters(options?: RequestOptions): Promise<VotersInfo> {
    return this.#get('/api/v1/voters', options)
  }

  /** How many there should be (null: by the number of nodes), or exactly who. */
  async setVoters(wanted: { target: number | null } | { voters: string[] }, options?: RequestOptions): Promise<VotersInfo> {
    return this.#transport.json({ method: 'PUT', path: '/api/v1/voters', json: wanted, signal: options?.signal })
  }

  /** A majority of the voters is lost for good. Without `force` it only tells which. On the node with the authority's key. */
  async recoverVoters(options: { force: boolean } & RequestOptions): Promise<VotersRecovered> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/voters/recover', json: { force: options.force }, signal: options.signal })
  }

  /** Thin: costs nothing until it is written. Rejects with EXISTS, BAD_NAME, BAD_SIZE. */
  async createVolume(name: string, volume: CreateVolume, options?: RequestOptions): Promise<VolumeInfo> {
    return this.#transport.json({ method: 'POST', path: '/api/v1/volumes', json: { name, ...volume }, signal: options?.signal })
  }

  async volumes(options?: RequestOptions): Promise<VolumeInfo[]> {
    return this.#get('/api/v1/volumes', options)
  }

  async volume(name: string, options?: RequestOptions): Promise<VolumeDetails> {
    return this.#get(volumePath(name), options)
  }

  /** Grows only. */
  async resizeVolume(name: string, sizeBytes: number, options?: RequestOptions): Promise<VolumeInfo> {
    return this.#transport.json({ method: 'PATCH', path: volumePath(name), json: { sizeBytes }, signal: options?.signal })
  }

  /** Its content is gone for good. Rejects with IN_USE while any node has it open. */
  async removeVolume(name: string, options?: RequestOptions): Promise<void> {
    await this.#transport.json({ method: 'DELETE', path: volumePath(name), signal: options?.signal })
  }

  /** Until `unexport`; also after the node was started again. */
  async exportVolume(name: string, wish: ExportVolume = {}, options?: RequestOptions): Promise<VolumeExport> {
    return this.#transport.json({ method: 'POST', path: `${volumePath(name)}/exports`, json: { ...wish, detached: true }, signal: options?.signal })
  }

  /**
   * For as long as the answer is read: first the export, then its state whenever that changes. It ends with the signal,
   * with this process, or with an error that says why the node ended it.
   */
  async *holdExport(name: string, wish: ExportVolume = {}, options: RequestOptions = {}): AsyncIterable<VolumeExport> {
    const response = await this.#transport.call({
      method: 'POST', path: `${volumePath(name)}/exports`, json: { ...wish, detached: false }, headers: { accept: 'application/x-ndjson' },
      signal: options.signal, timeoutMs: 0,
    })
    for await (const line of linesOf(bodyOf(response, options.signal))) {
      const value = JSON.parse(line) as VolumeExport | { error: { code: string; message: string } } | { alive: true }
      if ('error' in value) throw new ClientError(value.error.code, value.error.message)
      if (!('alive' in value)) yield value
    }
  }

  /** Lets what clients have under way finish, flushes, and disconnects them. Without an ID: all exports of the volume at this node. */
  async unexportVolume(name: string, exportId?: string, options?: RequestOptions): Promise<{ ended: number }> {
    const path = `${volumePath(name)}/exports${exportId === undefined ? '' : `/${encodeURIComponent(exportId)}`}`
    return this.#transport.json({ method: 'DELETE', path, signal: options?.signal })
  }

  async volumeLeases(name: string, options?: RequestOptions): Promise<VolumeLeaseInfo[]> {
    return this.#get(`${volumePath(name)}/leases`, options)
  }

  async volumeHeat(name: string, options?: RequestOptions): Promise<VolumeHeat[]> {
    return this.#get(`${volumePath(name)}/heat`, options)
  }

  /** What happens at the node from now on, until the signal aborts or the node stops. */
  async *events(options: RequestOptions = {}): AsyncIterable<NodeEvent> {
    const response = await this.#transport.call({
      method: 'GET',
      path: '/api/v1/events',
      headers: { accept: 'text/event-stream' },
      signal: options.signal,
    })
    for await (const event of parseEvents(bodyOf(response, options.signal))) {
      yield { type: event.name, ...(JSON.parse(event.data) as object) } as NodeEvent
    }
  }

  /** Any JSON document of the API that has no method here, for example `/api/v1/openapi.json`. */
  async document(path: string, options?: RequestOptions): Promise<unknown> {
    return this.#get(path, options)
  }

  /** The text of a page outside the API: `/readyz`, `/metrics`. */
  async text(path: string, options?: RequestOptions): Promise<string> {
    const response = await this.#transport.call({ method: 'GET', path, headers: { accept: '*/*' }, signal: options?.signal })
    return (await collect(response, 64 * 1024 * 1024)).toString('utf8')
  }

  /** The node answers by then; the usual time on top is for the way. */
  /** Where the mesh's settings say how long, the node ends the wait: within a day, which is the most they can say. */
  #waitMs({ waitMs, wait = false }: AcquireLease): number {
    return this.#timeoutMs + (waitMs ?? (wait ? 86_400_000 : 0))
  }

  async #get<T>(path: string, options: RequestOptions | undefined): Promise<T> {
    return this.#transport.json<T>({ method: 'GET', path, signal: options?.signal })
  }
}

function volumePath(name: string): string {
  return `/api/v1/volumes/${encodeURIComponent(name)}`
}

function queryOf(fields: Record<string, string | undefined>): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(fields)) if (value !== undefined) query.set(name, value)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

function putQuery(options: PutOptions): string {
  const query = new URLSearchParams()
  if (options.priority !== undefined) query.set('priority', options.priority)
  if (options.replicas !== undefined) query.set('replicas', String(options.replicas))
  if (options.pin === true) query.set('pin', 'true')
  if (options.wait === true) query.set('wait', 'true')
  if (options.lease !== undefined) query.set('lease', options.lease)
  const text = query.toString()
  return text === '' ? '' : `?${text}`
}

function contentPath(target: string): string {
  return target.startsWith('/') ? `/api/v1/files/${encodePath(target)}` : `/api/v1/content/${encodeURIComponent(said(target))}`
}

function rangeHeader(range: ByteRange): string {
  return `bytes=${range.from === undefined ? '' : String(range.from)}-${range.to === undefined ? '' : String(range.to)}`
}

function lengthOf(response: IncomingMessage): number | undefined {
  const text = response.headers['content-length']
  return text === undefined ? undefined : Number(text)
}

function etagOf(response: IncomingMessage): string | undefined {
  return response.headers.etag?.replace(/^"|"$/g, '')
}

/** The body, with a break half-way told as one: a short file must never look like a whole one. */
async function* bodyOf(response: IncomingMessage, signal: AbortSignal | undefined): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array
  } catch (error) {
    if (signal?.aborted === true) throw signal.reason instanceof Error ? signal.reason : new ClientError('ABORTED', 'cancelled')
    throw new ClientError('CONNECTION', `the node broke off half-way: ${messageOf(error)}`, {}, { cause: error })
  } finally {
    response.destroy()
  }
}

/** A line of ours is at most a CID and a sentence. */
const lineBytesMax = 1024 * 1024

async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncIterable<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of bytes) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    if (rest.length > lineBytesMax) throw new ClientError('BAD_ANSWER', 'the node sent a line without an end')
    for (const line of parts) if (line !== '') yield line
  }
  if (rest !== '') yield rest
}
