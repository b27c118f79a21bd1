import type { FastifyInstance } from 'fastify'
import { asNodeId } from '../../../base/index.js'
import type { QuotaChange } from '../../../client/index.js'
import { HttpError } from '../errors.js'
import { signalOf } from '../exchange.js'
import type { NodeContribution } from '../node-api.js'
import { answers, bodies, queries } from '../schemas.js'

/** What this node gives to the mesh, and where copies are and go. */
export function contributionRoutes(server: FastifyInstance, node: NodeContribution): void {
  server.get<{ Querystring: { target: string } }>('/api/v1/placement', {
    schema: { summary: 'Where the copies of a file are and would go, and why', querystring: queries.stat, response: { 200: answers.placement } },
  }, async (request) => node.explain(request.query.target))

  server.get('/api/v1/quota', {
    schema: { summary: 'What this node gives, and what of it is used', querystring: queries.none, response: { 200: answers.quota } },
  }, async () => node.quota())

  server.patch<{ Body: QuotaChange }>('/api/v1/quota', {
    schema: {
      summary: 'Change what this node gives, from now on',
      description: 'Also written to config.toml. Below what is used the node lets go of the rest, as others take it over.',
      body: bodies.quota, response: { 200: answers.quotaSet },
    },
  }, async (request) => node.setQuota(request.body))

  server.post<{ Body: { bytes: number; dryRun?: boolean } }>('/api/v1/evict', {
    schema: {
      summary: 'Make room here', description: 'Never what is pinned, in use or among the last copies; other holders are asked first.',
      body: bodies.evict, response: { 200: answers.evicted },
    },
  }, async (request, reply) => node.evict({ bytes: request.body.bytes, dryRun: request.body.dryRun === true, signal: signalOf(reply) }))

  server.post<{ Body: { dryRun?: boolean } }>('/api/v1/rebalance', {
    schema: { summary: 'Bring every copy to where it should be, or say what that would take', body: bodies.rebalance, response: { 200: answers.plan } },
  }, async (request) => node.rebalance({ dryRun: request.body.dryRun === true }))

  server.post('/api/v1/replication/pause', {
    schema: { summary: 'Make and trim no copies until it is resumed', body: bodies.empty, response: { 200: answers.done } },
  }, async () => {
    node.pause()
    return { ok: true }
  })

  server.post('/api/v1/replication/resume', {
    schema: { summary: 'Make and trim copies again', body: bodies.empty, response: { 200: answers.done } },
  }, async () => {
    node.resume()
    return { ok: true }
  })

  server.post('/api/v1/drain', {
    schema: {
      summary: 'Hand on all that others need, so that this node can leave', description: 'Answers when it is done; hanging up ends it.',
      body: bodies.empty, response: { 200: answers.drained },
    },
  }, async (_request, reply) => node.drain(signalOf(reply)))

  server.post<{ Body: { peerId: string } }>('/api/v1/forget', {
    schema: { summary: 'Count on a silent node no longer, until it is seen again', body: bodies.forget, response: { 200: answers.done } },
  }, async (request) => {
    const { peerId } = request.body
    if (asNodeId(peerId) === undefined) throw new HttpError('BAD_INPUT', `"${peerId}" is not the ID of a node`, { peerId })
    await node.forget(peerId)
    return { ok: true }
  })
}
