import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { HttpError } from './errors.js'

/** Aborts when the client has gone before its answer was whole. */
export function signalOf(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(new HttpError('BAD_INPUT', 'the client went away'))
  })
  return controller.signal
}

/**
 * A body whose first chunk has been waited for, so that what fails at once (nobody has it, no such block) is still an
 * honest error answer, and not a 200 that breaks off.
 */
export async function primed(chunks: AsyncIterable<Uint8Array>): Promise<Readable> {
  const iterator = chunks[Symbol.asyncIterator]()
  const first = await iterator.next()
  return Readable.from(
    (async function* () {
      try {
        let result = first
        while (result.done !== true) {
          yield result.value
          result = await iterator.next()
        }
      } finally {
        await iterator.return?.()
      }
    })(),
    { objectMode: false, highWaterMark: 1 << 20 },
  )
}

/**
 * A body whose chunks are lent: each has left for the client before the next is asked for, which is when its memory is used
 * again. Content is sent so, and nothing else needs to be: through a stream each block would be copied, and what waits there
 * is more garbage than V8 likes to leave. What fails before the first chunk is still an honest error answer, as above; the
 * head of the answer, set on `reply`, goes out with the first. Resolves to the reply when all has left or the client went.
 */
export async function sendLent(reply: FastifyReply, chunks: AsyncIterable<Uint8Array>): Promise<FastifyReply> {
  const iterator = chunks[Symbol.asyncIterator]()
  let result = await iterator.next()
  const { raw } = reply.hijack()
  try {
    for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value)
    for (; result.done !== true; result = await iterator.next()) await written(raw, result.value)
    raw.end()
  } catch {
    // It has its status already: that it breaks off is all that the client can be told.
    raw.destroy()
  } finally {
    await iterator.return?.()
  }
  return reply
}

async function written(response: ServerResponse, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const end = (error?: Error | null): void => {
      response.removeListener('close', onClose)
      if (error === undefined || error === null) resolve()
      else reject(error)
    }
    // A response whose socket is gone says nothing of what is written to it.
    const onClose = (): void => {
      end(new HttpError('BAD_INPUT', 'the client went away'))
    }
    response.once('close', onClose)
    if (response.destroyed || response.closed) onClose()
    else response.write(bytes, end)
  })
}

/** An array as it is made: a hundred thousand entries never stand in memory at once. */
export async function* jsonArray(items: AsyncIterable<unknown>): AsyncIterable<Uint8Array> {
  /** Sending many small chunks costs more than making them. */
  const chunkLength = 64 * 1024
  let text = '['
  let first = true
  for await (const item of items) {
    text += (first ? '' : ',') + JSON.stringify(item)
    first = false
    if (text.length >= chunkLength) {
      yield Buffer.from(text)
      text = ''
    }
  }
  yield Buffer.from(`${text}]`)
}

/** RFC 6266 with the UTF-8 form of RFC 8187. */
export function attachment(path: string): string {
  // A lone surrogate, which no URL can carry, becomes the replacement character by going through UTF-8.
  const name = Buffer.from(path.slice(path.lastIndexOf('/') + 1), 'utf8').toString('utf8')
  const plain = name.replace(/[^\x20-\x7e]|["\\%]/g, '_')
  const encoded = encodeURIComponent(name).replace(/['()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)
  return `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`
}
