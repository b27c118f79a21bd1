import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Clock } from '../../../base/index.js'
import type { CreateVolume, ExportVolume } from '../../../client/index.js'
import { describeError, HttpError } from '../errors.js'
import { signalOf } from '../exchange.js'
import type { HeldExport, NodeVolumes } from '../node-api.js'
import { answers, bodies, queries } from '../schemas.js'

/** So that whoever holds an export, and the node, notice within a quarter of a minute that the other is gone. */
const heartbeatMs = 15_000

interface Named {
  Params: { name: string }
}

/** Virtual disks: what there is, and at what address clients of NBD find it. */
export function volumeRoutes(server: FastifyInstance, components: { volumes: NodeVolumes; clock: Clock; closing: AbortSignal }): void {
  const { volumes } = components

  server.post<{ Body: CreateVolume & { name: string } }>('/api/v1/volumes', {
    schema: { summary: 'Make a virtual disk', description: 'Thin: it costs nothing until it is written.', body: bodies.volume, response: { 201: answers.volume } },
  }, async (request, reply) => {
    const { name, ...volume } = request.body
    const made = await volumes.create(name, volume, { signal: signalOf(reply) })
    void reply.status(201)
    return made
  })

  server.get('/api/v1/volumes', {
    schema: { summary: 'Virtual disks of the mesh', querystring: queries.none, response: { 200: answers.volumes } },
  }, async (_request, reply) => volumes.list({ signal: signalOf(reply) }))

  server.get<Named>('/api/v1/volumes/:name', {
    schema: { summary: 'One virtual disk, its exports at this node, and who has it open', querystring: queries.none, response: { 200: answers.volumeDetails } },
  }, async (request, reply) => volumes.stat(request.params.name, { signal: signalOf(reply) }))

  server.patch<Named & { Body: { sizeBytes: number } }>('/api/v1/volumes/:name', {
    schema: { summary: 'Let a virtual disk grow', body: bodies.volumeResize, response: { 200: answers.volume } },
  }, async (request, reply) => volumes.resize(request.params.name, request.body.sizeBytes, { signal: signalOf(reply) }))

  server.delete<Named>('/api/v1/volumes/:name', {
    schema: { summary: 'Remove a virtual disk with all its content', querystring: queries.none, response: { 200: answers.done } },
  }, async (request, reply) => {
    await volumes.remove(request.params.name, { signal: signalOf(reply) })
    return { ok: true }
  })

  server.get<Named>('/api/v1/volumes/:name/leases', {
    schema: { summary: 'Which nodes write which blocks without asking', querystring: queries.none, response: { 200: answers.volumeLeases } },
  }, async (request, reply) => volumes.leases(request.params.name, { signal: signalOf(reply) }))

  server.get<Named>('/api/v1/volumes/:name/heat', {
    schema: { summary: 'Who uses which blocks, from where, and how slowly', querystring: queries.none, response: { 200: answers.volumeHeat } },
  }, async (request, reply) => volumes.heat(request.params.name, { signal: signalOf(reply) }))

  server.post<Named & { Body: ExportVolume & { detached: boolean } }>('/api/v1/volumes/:name/exports', {
    schema: {
      summary: 'Export a virtual disk over NBD at this node',
      description: 'Detached: until it is ended, also over restarts. Else the answer is a stream of JSON lines, the export first, and the export lasts as long as the stream is read.',
      body: bodies.volumeExport, response: { 201: answers.volumeExport },
    },
  }, async (request, reply) => {
    const { detached, ...wish } = request.body
    const signal = signalOf(reply)
    if (detached) {
      const made = await volumes.exportDetached(request.params.name, wish, { signal })
      void reply.status(201)
      return made
    }
    const held = await volumes.exportHeld(request.params.name, wish, { signal })
    if (reply.raw.destroyed || components.closing.aborted) {
      await held.close()
      throw new HttpError('STOPPING', 'the node is stopping')
    }
    hold(reply, held, components)
    return reply
  })

  server.delete<Named>('/api/v1/volumes/:name/exports', {
    schema: { summary: 'End all exports of a virtual disk at this node', querystring: queries.none, response: { 200: answers.ended } },
  }, async (request) => volumes.unexport(request.params.name, undefined))

  server.delete<{ Params: { name: string; exportId: string } }>('/api/v1/volumes/:name/exports/:exportId', {
    schema: { summary: 'End one export: what is under way is finished and flushed', querystring: queries.none, response: { 200: answers.ended } },
  }, async (request) => volumes.unexport(request.params.name, request.params.exportId))
}

/** Lines of JSON until the client goes, which ends the export, or the export ends, which is told. */
function hold(reply: FastifyReply, held: HeldExport, { clock, closing }: { clock: Clock; closing: AbortSignal }): void {
  reply.hijack()
  const response = reply.raw
  response.writeHead(201, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff', connection: 'close' })
  const write = (line: object): void => {
    if (!response.writableEnded) response.write(`${JSON.stringify(line)}\n`)
  }
  const off = held.onChange(() => { write(held.state()) })
  let cancel = (): void => undefined
  const beat = (): void => {
    cancel = clock.setTimer(heartbeatMs, () => {
      write({ alive: true })
      beat()
    })
  }
  const end = (): void => {
    write({ error: describeError(held.ended.aborted ? held.ended.reason : new HttpError('STOPPING', 'the node is stopping')).document })
    response.end()
  }
  closing.addEventListener('abort', end, { once: true })
  held.ended.addEventListener('abort', end, { once: true })
  response.once('close', () => {
    off()
    cancel()
    closing.removeEventListener('abort', end)
    held.ended.removeEventListener('abort', end)
    held.close().catch(() => undefined)
  })
  write(held.state())
  beat()
  if (held.ended.aborted) end()
}
