import type { AddressInfo, Socket } from 'node:net'
import fastify from 'fastify'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Clock, Log, Random } from '../../base/index.js'
import { Access } from './access.js'
import { describeError, HttpError, schemaSentence } from './errors.js'
import { Metrics, RequestCounts } from './metrics.js'
import type { NodeApi } from './node-api.js'
import { describeRoute, openapiDocument } from './openapi.js'
import type { DescribedRoute } from './openapi.js'
import { contentRoutes } from './routes/content.js'
import { eventRoutes } from './routes/events.js'
import { fileRoutes, fileDocumentRoutes } from './routes/files.js'
import { folderRoutes } from './routes/folders.js'
import { leaseRoutes } from './routes/leases.js'
import { contributionRoutes } from './routes/contribution.js'
import { nodeRoutes } from './routes/node.js'
import { volumeRoutes } from './routes/volumes.js'
import { webRoutes } from './routes/web.js'
import { answers, bodies, queries } from './schemas.js'
import { Tickets } from './tickets.js'

export interface HttpGatewayComponents {
  node: NodeApi
  clock: Clock
  random: Random
  log: Log
}

export interface HttpGatewayInit {
  host: string
  /** 0 takes any free one. */
  port: number
  token: string
  /** Names besides loopback's that the API answers to. */
  hosts: readonly string[]
  version: string
}

export interface HttpGateway {
  /** `http://127.0.0.1:4780`. */
  readonly url: string
  /** Takes no more requests, lets those under way finish for `graceMs`, then cuts them. */
  close(graceMs: number): Promise<void>
}

/** A JSON document to us is a path or two. */
const jsonBytesMax = 64 * 1024
/** A path of 4096 bytes, every one percent-encoded, and the usual headers. */
const headerBytesMax = 24 * 1024
/** Time for the head of a request: what a slowloris draws out. */
const headersMs = 10_000
const connectionsMax = 1024
/** A client that goes on sending after it was refused is given this long to notice. */
const drainMs = 5_000

/** What is answered without the token: the page, which has none of its own, and what tells a supervisor how the node is. */
const openRoutes: ReadonlySet<string> = new Set(['/', '/app.js', '/style.css', '/healthz', '/readyz', '/metrics'])

export async function startHttpGateway(components: HttpGatewayComponents, init: HttpGatewayInit): Promise<HttpGateway> {
  const { node, clock, log } = components
  const access = new Access({ token: init.token, hosts: init.hosts })
  const tickets = new Tickets(components)
  const requests = new RequestCounts()
  const metrics = new Metrics({ requests, version: init.version })
  const described: DescribedRoute[] = []
  const closing = new AbortController()

  const server = fastify({
    logger: false,
    bodyLimit: jsonBytesMax,
    forceCloseConnections: 'idle',
    keepAliveTimeout: 30_000,
    // Bodies may take hours; `uploadOf` watches that they move.
    requestTimeout: 0,
    http: { headersTimeout: headersMs, connectionsCheckingInterval: 2_000, maxHeaderSize: headerBytesMax },
    exposeHeadRoutes: false,
    routerOptions: { maxParamLength: 512, ignoreTrailingSlash: false },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: false, allowUnionTypes: true } },
    schemaErrorFormatter: (errors, where) => new Error(schemaSentence(errors, where)),
    clientErrorHandler: (error, socket) => {
      answerBrokenRequest(error.code, socket)
    },
    frameworkErrors: (error, _request, reply) => {
      sendError(reply, error)
    },
  })
  server.server.maxConnections = connectionsMax
  server.removeContentTypeParser('text/plain')
  // Answers are made by us and typed: compiling a serializer for each costs memory and saves nothing here.
  server.setSerializerCompiler(() => (data) => JSON.stringify(data))

  const sendError = (reply: FastifyReply, error: unknown, request?: FastifyRequest): void => {
    const { status, document, isBug } = describeError(error)
    if (isBug) log.error('request failed', { route: request?.routeOptions.url ?? '', error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
    if (status === 401) void reply.header('www-authenticate', 'Bearer realm="mesh-node"')
    if (status === 503) void reply.header('retry-after', '1')
    for (const header of ['etag', 'content-length', 'content-range', 'content-disposition', 'cache-control', 'accept-ranges']) void reply.removeHeader(header)
    if (status === 416 && typeof document.size === 'number') void reply.header('content-range', `bytes */${String(document.size)}`)
    void reply.status(status).type('application/json; charset=utf-8').send(JSON.stringify(document))
  }

  server.addHook('onRoute', (route) => {
    described.push(...describeRoute(route))
  })
  server.addHook('onRequest', async (request, reply) => {
    void reply.header('x-content-type-options', 'nosniff').header('referrer-policy', 'no-referrer')
    access.checkCaller(request.headers)
    // By the route that was found, never by the URL as it was sent: `/%61pi/v1/status` and `http://host/api/v1/status`
    // lead to the same route. What is not listed as open is closed.
    const route = request.routeOptions.url
    if (request.is404 || (route !== undefined && openRoutes.has(route))) return
    void reply.header('cache-control', 'no-store')
    if (!hasTicket(tickets, request)) access.checkToken(request.headers)
    // Whoever was told to stop says that it did: the stop waits for that.
    const isGivingBack = request.method === 'DELETE' && route === '/api/v1/leases/:leaseId'
    if (node.state() === 'stopping' && !isGivingBack) throw new HttpError('STOPPING', 'the node is stopping and takes no more requests')
  })
  server.addHook('onResponse', async (request, reply) => {
    requests.record(request.method, request.routeOptions.url ?? 'none', reply.statusCode, reply.elapsedTime / 1000)
    if (!request.raw.readableEnded) {
      const { socket } = request.raw
      clock.setTimer(drainMs, () => {
        if (!request.raw.readableEnded) socket.destroy()
      })
    }
  })
  server.setErrorHandler((error, request, reply) => {
    sendError(reply, error, request)
  })
  server.setNotFoundHandler(async (request, reply) => {
    if (request.url.startsWith('/api/')) access.checkToken(request.headers)
    sendError(reply, new HttpError('NOT_FOUND', `there is no ${request.method} ${request.url.split('?')[0] ?? ''} here; /api/v1/openapi.json lists what there is`))
  })

  server.get('/healthz', async () => ({ ok: true }))
  server.get('/readyz', async (_request, reply) => {
    const state = node.state()
    const ready = state === 'ready' || state === 'degraded'
    return reply.status(ready ? 200 : 503).send({ ready, state })
  })
  server.get('/metrics', async (_request, reply) => {
    const { contentType, text } = await metrics.expose(await node.figures())
    return reply.type(contentType).send(text)
  })
  server.get('/api/v1/openapi.json', {
    schema: { summary: 'This document', querystring: queries.none },
  }, async () => openapiDocument(described, init.version))
  server.post<{ Body: { path: string } }>('/api/v1/tickets', {
    schema: { summary: 'A link to read one path without the token, for a minute', body: bodies.ticket, response: { 201: answers.ticket } },
  }, async (request, reply) => {
    const { path } = request.body
    const { ticket, expiresAt } = tickets.issue(path)
    return reply.status(201).send({ url: `${path}?ticket=${ticket}`, expiresAt })
  })
  webRoutes(server)
  nodeRoutes(server, node)
  leaseRoutes(server, node)
  volumeRoutes(server, { volumes: node.volumes, clock, closing: closing.signal })
  contentRoutes(server, node)
  contributionRoutes(server, node.contribution)
  eventRoutes(server, { node, clock, closing: closing.signal })
  fileDocumentRoutes(server, node)
  // A scope of its own, in which a body of whatever type is bytes to be stored and nothing that is parsed.
  await server.register(async (scope: FastifyInstance) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, payload, done) => {
      done(null, payload)
    })
    // A form wraps what is in it: stored as it comes, it would be another file than the one that was sent.
    scope.addContentTypeParser('multipart/form-data', (_request, _payload, done) => {
      done(new HttpError('UNSUPPORTED_MEDIA_TYPE', 'the body is the content itself, and no form: with curl -T FILE, not -F'))
    })
    fileRoutes(scope, { node, clock, requests })
    folderRoutes(scope, { node, clock, requests })
  })

  await server.listen({ host: init.host, port: init.port })
  const address = server.server.address() as AddressInfo
  const shown = address.address === '0.0.0.0' || address.address === '::' ? '127.0.0.1' : address.family === 'IPv6' ? `[${address.address}]` : address.address

  return {
    url: `http://${shown}:${String(address.port)}`,
    async close(graceMs) {
      closing.abort()
      const cancel = clock.setTimer(graceMs, () => {
        server.server.closeAllConnections()
      })
      try {
        await server.close()
      } finally {
        cancel()
      }
    },
  }
}

/** What is no HTTP never becomes a request; it gets its answer, in our words, straight on the socket. */
function answerBrokenRequest(code: string, socket: Socket): void {
  if (code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, ours, message] =
    code === 'ERR_HTTP_REQUEST_TIMEOUT' ? ['408 Request Timeout', 'TOO_SLOW', 'the head of the request took too long'] as const
      : code === 'HPE_HEADER_OVERFLOW' ? ['431 Request Header Fields Too Large', 'TOO_LARGE', 'the head of the request is too large'] as const
        : ['400 Bad Request', 'BAD_INPUT', 'that is not HTTP'] as const
  const body = JSON.stringify({ code: ours, message })
  socket.end(`HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${String(Buffer.byteLength(body))}\r\nconnection: close\r\n\r\n${body}`)
}

/** Tickets are for reading files and folders, and name the very URL path that they are good for. */
function hasTicket(tickets: Tickets, request: FastifyRequest): boolean {
  if (request.method !== 'GET') return false
  const [path = '', query = ''] = request.url.split('?')
  if (!path.startsWith('/api/v1/files/') && !path.startsWith('/api/v1/folders/')) return false
  const ticket = new URLSearchParams(query).get('ticket')
  return ticket !== null && tickets.admits(ticket, path)
}
