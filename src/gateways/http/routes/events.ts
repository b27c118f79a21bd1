import { setMaxListeners } from 'node:events'
import type { FastifyInstance } from 'fastify'
import type { Clock } from '../../../base/index.js'
import type { NodeEvent } from '../../../client/index.js'
import { HttpError } from '../errors.js'
import type { NodeApi } from '../node-api.js'
import { queries } from '../schemas.js'

/** Listeners at once; a page and some scripts are a handful. */
const listenersMax = 64
/** A listener that is this far behind is cut off: it can ask for the state again, and must not cost us memory. */
const bufferedBytesMax = 1024 * 1024
/** Shorter than what proxies and browsers take for dead. */
const heartbeatMs = 15_000

/** Server-sent events (HTML standard, section 9.2). */
export function eventRoutes(server: FastifyInstance, components: { node: NodeApi; clock: Clock; closing: AbortSignal }): void {
  let listeners = 0
  // One for each stream of events: not the leak that Node warns of at ten.
  setMaxListeners(0, components.closing)
  server.get('/api/v1/events', {
    schema: {
      summary: 'What happens at this node, as it happens', description: 'Events: file, peer, replicas, progress, lease, voters, state. `data` is JSON.',
      querystring: queries.none, produces: ['text/event-stream'],
    },
  }, async (_request, reply) => {
    if (components.closing.aborted) throw new HttpError('STOPPING', 'the node is stopping')
    if (listeners >= listenersMax) throw new HttpError('OVERLOADED', `${String(listenersMax)} listeners are connected already`, { listenersMax })
    // Gone already: it would never say so again, and its place be taken for good.
    if (reply.raw.destroyed) return
    listeners++
    reply.hijack()
    const response = reply.raw
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      connection: 'close',
    })
    const write = (text: string): void => {
      if (response.writableLength > bufferedBytesMax) response.destroy()
      else response.write(text)
    }
    const off = components.node.onEvent((event) => {
      write(formatEvent(event))
    })
    let cancel = (): void => undefined
    const beat = (): void => {
      write(': still here\n\n')
      cancel = components.clock.setTimer(heartbeatMs, beat)
    }
    beat()
    const close = (): void => {
      response.end()
    }
    components.closing.addEventListener('abort', close, { once: true })
    response.once('close', () => {
      listeners--
      off()
      cancel()
      components.closing.removeEventListener('abort', close)
    })
    write(formatEvent({ type: 'state', state: components.node.state() }))
  })
}

function formatEvent({ type, ...data }: NodeEvent): string {
  return `event: ${type}\ndata: ${JSON.stringify(data)}\n\n`
}
