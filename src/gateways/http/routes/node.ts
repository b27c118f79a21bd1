import type { FastifyInstance } from 'fastify'
import { asNodeId } from '../../../base/index.js'
import { HttpError } from '../errors.js'
import type { NodeApi } from '../node-api.js'
import { answers, bodies, queries } from '../schemas.js'

/** The node itself, its peers, and who is in the mesh. */
export function nodeRoutes(server: FastifyInstance, node: NodeApi): void {
  server.get('/api/v1/status', {
    schema: { summary: 'State, addresses and storage of this node', querystring: queries.none, response: { 200: answers.status } },
  }, async () => node.status())

  server.get('/api/v1/peers', {
    schema: { summary: 'The other nodes of the mesh', querystring: queries.none, response: { 200: answers.peers } },
  }, async () => node.peers())

  server.get('/api/v1/members', {
    schema: { summary: 'Who is in the mesh, removed ones included', querystring: queries.none, response: { 200: answers.members } },
  }, async () => node.members())

  server.delete<{ Params: { peerId: string } }>('/api/v1/members/:peerId', {
    schema: { summary: 'Remove a node from the mesh for good', querystring: queries.none, response: { 200: answers.done } },
  }, async (request) => {
    const { peerId } = request.params
    if (asNodeId(peerId) === undefined) throw new HttpError('BAD_INPUT', `"${peerId}" is not the ID of a node`, { peerId })
    await node.removeMember(peerId)
    return { ok: true }
  })

  server.post<{ Body: { expiresMs: number } }>('/api/v1/invites', {
    schema: { summary: 'Make an invite', body: bodies.invite, response: { 201: answers.invite } },
  }, async (request, reply) => {
    void reply.status(201)
    return node.invite(request.body.expiresMs)
  })

  server.get('/api/v1/doctor', {
    schema: { summary: 'Checks of everything that commonly goes wrong', querystring: queries.none, response: { 200: answers.doctor } },
  }, async () => node.doctor())

  server.post('/api/v1/stop', {
    schema: { summary: 'Drain and stop the node', body: bodies.empty, response: { 202: answers.done } },
  }, async (_request, reply) => {
    void reply.status(202).header('connection', 'close')
    // After the answer: stopping closes this very connection.
    reply.raw.once('finish', () => {
      node.stop()
    })
    return { ok: true }
  })
}
