import type { FastifyInstance, FastifyReply } from 'fastify'
import type { AcquireLease, LeaseInfo } from '../../../client/index.js'
import { signalOf } from '../exchange.js'
import type { NodeApi } from '../node-api.js'
import { answers, bodies, queries } from '../schemas.js'

type Acquire = AcquireLease & { scope: string }

/** Leases of agents, and the voters that decide who has them. */
export function leaseRoutes(server: FastifyInstance, node: NodeApi): void {
  const { leases } = node

  /** Granted just as the client went away: nobody knows of it, so nobody would give it back before its time is up. */
  const granted = (reply: FastifyReply, lease: LeaseInfo): LeaseInfo => {
    const giveBack = (): void => {
      if (!reply.raw.writableFinished) leases.release(lease.leaseId, {}).catch(() => undefined)
    }
    if (reply.raw.destroyed) giveBack()
    else reply.raw.once('close', giveBack)
    void reply.status(201)
    return lease
  }

  server.post<{ Body: Acquire }>('/api/v1/leases', {
    schema: { summary: 'Acquire a lease, waiting for it if asked to', body: bodies.acquire, response: { 201: answers.lease } },
  }, async (request, reply) => {
    const { scope, ...options } = request.body
    return granted(reply, await leases.acquire(scope, { ...options, signal: signalOf(reply) }))
  })

  server.post<{ Body: Acquire }>('/api/v1/leases/steal', {
    schema: { summary: 'Take a lease from whoever has it, if its node lets it go', body: bodies.acquire, response: { 201: answers.lease } },
  }, async (request, reply) => {
    const { scope, ...options } = request.body
    return granted(reply, await leases.steal(scope, { ...options, signal: signalOf(reply) }))
  })

  server.get<{ Querystring: { scope?: string; agent?: string } }>('/api/v1/leases', {
    schema: { summary: 'Active leases of the mesh, by the beginning of their scope and by agent', querystring: queries.leases, response: { 200: answers.leases } },
  }, async (request, reply) => leases.list(request.query, { signal: signalOf(reply) }))

  server.get<{ Querystring: { scope: string } }>('/api/v1/leases/locked', {
    schema: { summary: 'Whether a scope is held, and by whom', querystring: queries.locked, response: { 200: answers.leaseLocked } },
  }, async (request, reply) => leases.locked(request.query.scope, { signal: signalOf(reply) }))

  server.get<{ Querystring: { scope?: string; agent?: string; leaseId?: string; limit?: string } }>('/api/v1/leases/history', {
    schema: { summary: 'What happened to leases at this node', querystring: queries.leaseHistory, response: { 200: answers.leaseHistory } },
  }, async (request) => {
    const { limit, ...query } = request.query
    return leases.history({ ...query, ...(limit === undefined ? {} : { limit: Number(limit) }) })
  })

  server.post<{ Body: { agent: string } }>('/api/v1/leases/force-release', {
    schema: { summary: 'End all leases of an agent, on whatever node', body: bodies.forceRelease, response: { 200: answers.released } },
  }, async (request, reply) => leases.forceRelease(request.body.agent, { signal: signalOf(reply) }))

  server.get('/api/v1/leases/settings', {
    schema: { summary: 'Settings of leases, the same in the whole mesh', querystring: queries.none, response: { 200: answers.leaseSettings } },
  }, async (_request, reply) => leases.settings({ signal: signalOf(reply) }))

  server.patch<{ Body: Record<string, unknown> }>('/api/v1/leases/settings', {
    schema: { summary: 'Change settings of leases in the whole mesh', body: bodies.leaseSettings, response: { 200: answers.leaseSettings } },
  }, async (request, reply) => leases.setSettings(request.body, { signal: signalOf(reply) }))

  server.get<{ Params: { leaseId: string } }>('/api/v1/leases/:leaseId', {
    schema: { summary: 'One lease, by its ID or a beginning of it', querystring: queries.none, response: { 200: answers.lease } },
  }, async (request, reply) => leases.get(request.params.leaseId, { signal: signalOf(reply) }))

  server.post<{ Params: { leaseId: string }; Body: { ttlMs?: number } }>('/api/v1/leases/:leaseId/renew', {
    schema: { summary: 'Give a lease of this node a fresh TTL', body: bodies.renew, response: { 200: answers.lease } },
  }, async (request, reply) => leases.renew(request.params.leaseId, request.body.ttlMs, { signal: signalOf(reply) }))

  server.post<{ Params: { leaseId: string } }>('/api/v1/leases/:leaseId/upgrade', {
    schema: { summary: 'Make a shared lease of this node an exclusive one, if nobody else reads', body: bodies.empty, response: { 200: answers.lease } },
  }, async (request, reply) => leases.upgrade(request.params.leaseId, { signal: signalOf(reply) }))

  server.delete<{ Params: { leaseId: string } }>('/api/v1/leases/:leaseId', {
    schema: { summary: 'Release a lease of this node', querystring: queries.none, response: { 200: answers.lease } },
  }, async (request, reply) => leases.release(request.params.leaseId, { signal: signalOf(reply) }))

  server.get('/api/v1/voters', {
    schema: { summary: 'Which nodes decide who has what', querystring: queries.none, response: { 200: answers.voters } },
  }, async (_request, reply) => leases.voters({ signal: signalOf(reply) }))

  server.put<{ Body: { target: number | null } | { voters: string[] } }>('/api/v1/voters', {
    schema: { summary: 'Set how many voters there should be (null: by the number of nodes), or exactly who', body: bodies.voters, response: { 200: answers.voters } },
  }, async (request, reply) => leases.setVoters(request.body, { signal: signalOf(reply) }))

  server.post<{ Body: { force: boolean } }>('/api/v1/voters/recover', {
    schema: { summary: 'A majority of the voters is lost for good: vote here alone, from what is left', body: bodies.recoverVoters, response: { 200: answers.votersRecovered } },
  }, async (request, reply) => leases.recoverVoters({ ...request.body, signal: signalOf(reply) }))
}
