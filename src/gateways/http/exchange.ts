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
