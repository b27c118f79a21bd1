import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { PutOptions, Priority } from '../../../client/index.js'
import type { Clock } from '../../../base/index.js'
import { uploadOf } from '../body.js'
import { attachment, jsonArray, primed, sendLent, signalOf } from '../exchange.js'
import type { RequestCounts } from '../metrics.js'
import type { NodeApi, OpenContent } from '../node-api.js'
import { parseRange } from '../range.js'
import { answers, bodies, queries } from '../schemas.js'

export interface FileRoutesComponents {
  node: NodeApi
  clock: Clock
  requests: RequestCounts
}

export interface PutQuery {
  priority?: Priority
  replicas?: string
  pin?: 'true' | 'false'
  wait?: 'true' | 'false'
  lease?: string
}

interface PathParams {
  '*': string
}

/** Files by path: bodies in and out, and what the catalog says of them. */
export function fileRoutes(server: FastifyInstance, components: FileRoutesComponents): void {
  const { node } = components

  server.put<{ Params: PathParams; Querystring: PutQuery }>('/api/v1/files/*', {
    schema: {
      summary: 'Put a file', description: 'The body is the content, of any length and type. Durable when answered.',
      querystring: queries.put, consumes: ['application/octet-stream'], response: { 201: answers.put },
    },
  }, async (request, reply) => {
    const content = counted(uploadOf(request.raw, components.clock), components.requests)
    const result = await node.files.put(pathOf(request.params), content, { ...putOptions(request.query), signal: signalOf(reply), size: lengthOf(request) })
    void reply.status(201).header('etag', `"${result.cid ?? ''}"`)
    return result
  })

  server.route<{ Params: PathParams }>({
    method: ['GET', 'HEAD'],
    url: '/api/v1/files/*',
    schema: {
      summary: 'Read a file', description: 'Range, If-Range and If-None-Match are understood; the ETag is the CID.',
      querystring: queries.read, produces: ['application/octet-stream'],
    },
    handler: async (request, reply) => {
      const path = pathOf(request.params)
      void reply.header('content-disposition', attachment(path))
      return sendContent(request, reply, await node.files.open(path, {}))
    },
  })

  server.delete<{ Params: PathParams; Querystring: { recursive?: string } }>('/api/v1/files/*', {
    schema: { summary: 'Remove a file, or a folder with all that is in it', querystring: queries.remove, response: { 200: answers.removed } },
  }, async (request) => node.files.remove(pathOf(request.params), { recursive: request.query.recursive === 'true' }))

  server.get<{ Querystring: { target: string } }>('/api/v1/stat', {
    schema: { summary: 'What is known of a file, a folder or a CID', querystring: queries.stat, response: { 200: answers.stat } },
  }, async (request, reply) => node.files.stat(request.query.target, { signal: signalOf(reply) }))

  server.get<{ Querystring: { path?: string; recursive?: string } }>('/api/v1/ls', {
    schema: { summary: 'What is in a folder', querystring: queries.list, response: { 200: answers.list } },
  }, async (request, reply) => {
    const entries = node.files.list(request.query.path ?? '/', { recursive: request.query.recursive === 'true' })
    void reply.type('application/json')
    return primed(jsonArray(entries))
  })

  server.get('/api/v1/pins', {
    schema: { summary: 'Pinned files', querystring: queries.none, response: { 200: answers.list } },
  }, async (_request, reply) => {
    void reply.type('application/json')
    return primed(jsonArray(node.files.pins()))
  })

  server.put<{ Params: { cid: string } }>('/api/v1/pins/:cid', {
    schema: { summary: 'Keep content at this node, by CID; what is not here is fetched', response: { 200: answers.changed } },
  }, async (request, reply) => node.files.pinContent(request.params.cid, true, { signal: signalOf(reply) }))

  server.delete<{ Params: { cid: string } }>('/api/v1/pins/:cid', {
    schema: { summary: 'Content pinned by CID may go', response: { 200: answers.changed } },
  }, async (request, reply) => node.files.pinContent(request.params.cid, false, { signal: signalOf(reply) }))
}

/** Apart from the rest, since here a JSON body is a document and not a file's content. */
export function fileDocumentRoutes(server: FastifyInstance, node: NodeApi): void {
  server.patch<{ Params: PathParams; Body: { priority?: Priority; replicas?: number; pinned?: boolean } }>('/api/v1/files/*', {
    schema: { summary: 'Change priority, wanted replicas or pin of a file, or of every file in a folder', body: bodies.update, response: { 200: answers.changed } },
  }, async (request) => node.files.update(pathOf(request.params), request.body))

  server.post<{ Body: { from: string; to: string } }>('/api/v1/move', {
    schema: { summary: 'Move a file or folder', body: bodies.move, response: { 200: answers.moved } },
  }, async (request) => node.files.move(request.body.from, request.body.to))
}

/** Only where it is said: a chunked body has none. */
function lengthOf(request: FastifyRequest): number | undefined {
  const length = Number(request.headers['content-length'] ?? 'none')
  return Number.isSafeInteger(length) && length >= 0 ? length : undefined
}

export function pathOf(params: PathParams): string {
  return `/${params['*']}`
}

export function putOptions(query: PutQuery): PutOptions {
  return {
    ...(query.priority === undefined ? {} : { priority: query.priority }),
    ...(query.replicas === undefined ? {} : { replicas: Number(query.replicas) }),
    pin: query.pin === 'true',
    wait: query.wait === 'true',
    ...(query.lease === undefined ? {} : { lease: query.lease }),
  }
}

export async function* counted(content: AsyncIterable<Uint8Array>, requests: RequestCounts): AsyncIterable<Uint8Array> {
  for await (const chunk of content) {
    requests.uploaded(chunk.length)
    yield chunk
  }
}

/** RFC 9110, sections 13 and 14: the whole, a part, or "you have it". */
export async function sendContent(request: FastifyRequest, reply: FastifyReply, content: OpenContent): Promise<unknown> {
  const etag = `"${content.cid}"`
  void reply
    .header('etag', etag)
    .header('accept-ranges', 'bytes')
    // What people put into the mesh must never run as a page of this origin.
    .type('application/octet-stream')
    .header('content-security-policy', "default-src 'none'; sandbox")
  if (listed(request.headers['if-none-match'], etag)) return reply.status(304).send()
  const ifRange = request.headers['if-range']
  const range = ifRange !== undefined && ifRange !== etag ? undefined : parseRange(request.headers.range, content.size)
  const length = range === undefined ? content.size : range.to - range.from + 1
  if (range !== undefined) {
    void reply.status(206).header('content-range', `bytes ${String(range.from)}-${String(range.to)}/${String(content.size)}`)
  }
  if (request.method === 'HEAD') {
    void reply.header('content-length', length)
    return reply.send()
  }
  void reply.header('content-length', length)
  return sendLent(reply, content.read(range, signalOf(reply), { isLent: true }))
}

function listed(header: string | undefined, etag: string): boolean {
  return header !== undefined && header.split(',').some((part) => part.trim().replace(/^W\//, '') === etag || part.trim() === '*')
}
