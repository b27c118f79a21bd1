import type { FastifyInstance } from 'fastify'
import { attachment, primed, signalOf } from '../exchange.js'
import { messageOf, codeOf } from '../../../base/index.js'
import type { NodeApi } from '../node-api.js'
import { bodies, queries } from '../schemas.js'
import type { VerifyResult } from '../../../client/index.js'
import { sendContent } from './files.js'

/** Content by CID, whatever path points at it, if any. */
export function contentRoutes(server: FastifyInstance, node: NodeApi): void {
  server.route<{ Params: { cid: string } }>({
    method: ['GET', 'HEAD'],
    url: '/api/v1/content/:cid',
    schema: { summary: 'Read content by CID', querystring: queries.none, produces: ['application/octet-stream'] },
    handler: async (request, reply) => {
      const { cid } = request.params
      const content = await node.files.open(cid, { signal: signalOf(reply) })
      void reply.header('content-disposition', attachment(cid)).header('cache-control', 'private, immutable, max-age=31536000')
      return sendContent(request, reply, content)
    },
  })

  server.get<{ Params: { cid: string } }>('/api/v1/cars/:cid', {
    schema: { summary: 'Everything under a CID as a CAR archive', querystring: queries.none, produces: ['application/vnd.ipld.car'] },
  }, async (request, reply) => {
    const body = await primed(await node.files.exportCar(request.params.cid, { signal: signalOf(reply) }))
    void reply.type('application/vnd.ipld.car').header('content-disposition', attachment(`${request.params.cid}.car`))
    return reply.send(body)
  })

  server.post<{ Body: { cid?: string } }>('/api/v1/verify', {
    schema: {
      summary: 'Hash again what is held here, and heal it from other holders where it is corrupt',
      description: 'Answers one JSON document a line; a last line {"error": {code, message}} if it could not be finished.',
      body: bodies.verify, produces: ['application/x-ndjson'],
    },
  }, async (request, reply) => {
    const body = await primed(jsonLines(node.files.verify(request.body.cid, { signal: signalOf(reply) })))
    void reply.type('application/x-ndjson')
    return reply.send(body)
  })
}

async function* jsonLines(results: AsyncIterable<VerifyResult>): AsyncIterable<Uint8Array> {
  let sent = false
  try {
    for await (const result of results) {
      yield Buffer.from(`${JSON.stringify(result)}\n`)
      sent = true
    }
  } catch (error) {
    // Before the first line there is still a status to tell it with.
    if (!sent) throw error
    yield Buffer.from(`${JSON.stringify({ error: { code: codeOf(error) ?? 'INTERNAL', message: messageOf(error) } })}\n`)
  }
}
