import { Agent, request as httpRequest } from 'node:http'
import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { codeOf, messageOf } from '../base/index.js'
import type { Facts } from '../base/index.js'
import { ClientError } from './error.js'

export interface TransportInit {
  url: string
  token: string
  /** How long to wait for the head of an answer, ms. Bodies take as long as bytes keep coming. */
  timeoutMs: number
}

export interface Call {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'
  /** Percent-encoded already, and sent as it is: no URL parser may fold a `..` in it on the way. */
  path: string
  headers?: OutgoingHttpHeaders
  json?: unknown
  body?: AsyncIterable<Uint8Array>
  signal?: AbortSignal | undefined
  /** 0 waits for as long as it takes. */
  timeoutMs?: number
}

/** An error document larger than this is not one of ours. */
const errorBytesMax = 64 * 1024
const jsonBytesMax = 512 * 1024 * 1024

/**
 * Requests over Node's own http client and not `fetch`: the path goes out untouched, an answer that comes before the
 * body is sent is seen, and it costs a command line no start-up time.
 */
export class Transport {
  readonly #init: TransportInit
  readonly #host: string
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 })

  constructor(init: TransportInit) {
    this.#init = init
    const url = new URL(init.url)
    this.#host = url.hostname.replace(/^\[|\]$/g, '')
    this.#port = Number(url.port === '' ? 80 : url.port)
  }

  close(): void {
    this.#agent.destroy()
  }

  /** The answer, its body unread, if its status is 2xx; a `ClientError` if not. */
  async call(call: Call): Promise<IncomingMessage> {
    const headers: OutgoingHttpHeaders = { authorization: `Bearer ${this.#init.token}`, accept: 'application/json', ...call.headers }
    let payload: string | undefined
    if (call.json !== undefined) {
      payload = JSON.stringify(call.json)
      headers['content-type'] = 'application/json'
      headers['content-length'] = Buffer.byteLength(payload)
    }
    const timeoutMs = call.timeoutMs ?? this.#init.timeoutMs
    const response = await this.#send(call, headers, payload, timeoutMs)
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return response
    throw await errorOf(response, status)
  }

  async json<T>(call: Call): Promise<T> {
    const response = await this.call(call)
    const text = (await collect(response, jsonBytesMax)).toString('utf8')
    try {
      return JSON.parse(text) as T
    } catch (error) {
      throw new ClientError('BAD_ANSWER', `${this.#init.url} answered with something that is not JSON; is it a mesh-node?`, {}, { cause: error })
    }
  }

  async #send(call: Call, headers: OutgoingHttpHeaders, payload: string | undefined, timeoutMs: number): Promise<IncomingMessage> {
    call.signal?.throwIfAborted()
    return new Promise<IncomingMessage>((resolve, reject) => {
      const request = httpRequest({
        host: this.#host,
        port: this.#port,
        method: call.method,
        path: call.path,
        headers,
        agent: this.#agent,
        ...(call.signal === undefined ? {} : { signal: call.signal }),
      })
      let timer: NodeJS.Timeout | undefined
      // The clock runs while nothing of the request is left to send: an upload takes as long as it takes.
      const startTimer = (): void => {
        if (timeoutMs <= 0) return
        timer = setTimeout(() => {
          request.destroy(new ClientError('DEADLINE', `no answer from ${this.#init.url} within ${String(timeoutMs)} ms`, { timeoutMs }))
        }, timeoutMs)
      }
      request.once('response', (response) => {
        clearTimeout(timer)
        resolve(response)
      })
      request.once('error', (error) => {
        clearTimeout(timer)
        // The node closes what was idle for some seconds; a question that meets that moment has not been heard by anybody.
        const isStale = request.reusedSocket && codeOf(error) === 'ECONNRESET' && call.method === 'GET' && call.signal?.aborted !== true
        if (isStale) resolve(this.#send(call, headers, payload, timeoutMs))
        else reject(this.#translate(error, call.signal))
      })
      if (call.body === undefined) {
        startTimer()
        request.end(payload)
      } else {
        // A failing source destroys the request with its own error, which then arrives above.
        pipeline(Readable.from(call.body, { objectMode: false, highWaterMark: 1 << 20 }), request).then(startTimer, (error: unknown) => {
          clearTimeout(timer)
          reject(this.#translate(error, call.signal))
        })
      }
    })
  }

  #translate(error: unknown, signal: AbortSignal | undefined): unknown {
    if (error instanceof ClientError) return error
    if (signal?.aborted === true) return signal.reason instanceof Error ? signal.reason : new ClientError('ABORTED', 'cancelled')
    switch (codeOf(error)) {
      case 'ECONNREFUSED':
      case 'ENOTFOUND':
        return new ClientError('NOT_RUNNING', `nobody answers at ${this.#init.url}`, { url: this.#init.url }, { cause: error })
      case 'ECONNRESET':
      case 'EPIPE':
      case 'ERR_STREAM_PREMATURE_CLOSE':
        return new ClientError('CONNECTION', `the connection to ${this.#init.url} broke: ${messageOf(error)}`, {}, { cause: error })
      default:
        return error
    }
  }
}

async function errorOf(response: IncomingMessage, status: number): Promise<ClientError> {
  const text = (await collect(response, errorBytesMax).catch(() => Buffer.alloc(0))).toString('utf8')
  response.destroy()
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) {
      const { code, message, ...facts } = value as Record<string, unknown>
      if (typeof code === 'string' && typeof message === 'string') return new ClientError(code, message, facts as Facts, { status })
    }
  } catch {
    // Falls through: not one of our error documents.
  }
  // Whoever it is, what was asked for may be there all the same: a 404 of his is no NOT_FOUND.
  return new ClientError('BAD_ANSWER', `the answer was ${`${String(status)} ${response.statusMessage ?? ''}`.trim()}, in words that are not a mesh-node's: is it one?`, { status })
}

export async function collect(stream: AsyncIterable<Uint8Array>, bytesMax: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    if (bytes > bytesMax) throw new ClientError('BAD_ANSWER', `the answer is larger than ${String(bytesMax)} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** A path or a CID. Nothing would be the root folder, which is not what a variable that is not set was to mean. Throws BAD_PATH. */
export function said(target: string): string {
  if (target === '') throw new ClientError('BAD_PATH', 'a path begins with a slash, and this is empty: is a variable not set?')
  return target
}

/** `/a/b c` → `a/b%20c`. Dots are encoded where a segment is only dots, so that nothing on the way takes them for steps. */
export function encodePath(path: string): string {
  try {
    return said(path)
      .replace(/^\//, '')
      .split('/')
      .map((segment) => (/^\.+$/.test(segment) ? segment.replaceAll('.', '%2E') : encodeURIComponent(segment)))
      .join('/')
  } catch (error) {
    if (error instanceof ClientError) throw error
    throw new ClientError('BAD_PATH', 'the path is not well-formed Unicode', { path }, { cause: error })
  }
}
