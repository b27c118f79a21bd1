import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { HttpError } from './errors.js'

/**
 * Who may speak to the API. It listens on loopback, where every web page that the user has open can send requests too,
 * so the token alone is not all:
 *   Host     must be a name of this machine, or a page could point its own name at 127.0.0.1 (DNS rebinding) and read
 *            the answers as its own origin's;
 *   Origin   if a browser sends one, must be this very server, or any page could send blind requests (CSRF);
 *   token    compared in constant time, so that it cannot be guessed byte by byte from how long the answer takes.
 */
export interface AccessInit {
  token: string
  /** Names besides loopback's that the operator reaches this API by, without port. */
  hosts: readonly string[]
}

const loopbackHosts = ['127.0.0.1', 'localhost', '[::1]']

export class Access {
  readonly #tokenDigest: Buffer
  readonly #hosts: ReadonlySet<string>

  constructor(init: AccessInit) {
    this.#tokenDigest = digest(init.token)
    this.#hosts = new Set([...loopbackHosts, ...init.hosts.map((host) => host.toLowerCase())])
  }

  /** Throws FORBIDDEN_HOST or FORBIDDEN_ORIGIN. */
  checkCaller(headers: IncomingHttpHeaders): void {
    const host = headers.host?.toLowerCase()
    if (host === undefined || !this.#hosts.has(withoutPort(host))) {
      throw new HttpError('FORBIDDEN_HOST', `this API does not answer to the name "${headers.host ?? ''}"; [api] hosts in config.toml lists the names it answers to`)
    }
    const origin = headers.origin
    if (origin !== undefined && origin.toLowerCase() !== `http://${host}`) {
      throw new HttpError('FORBIDDEN_ORIGIN', `pages of ${origin} may not use this API`)
    }
    if (headers['sec-fetch-site'] === 'cross-site') throw new HttpError('FORBIDDEN_ORIGIN', 'pages of other sites may not use this API')
  }

  /** Throws UNAUTHORIZED. */
  checkToken(headers: IncomingHttpHeaders): void {
    const match = /^bearer +(\S+) *$/i.exec(headers.authorization ?? '')
    if (match === null) throw new HttpError('UNAUTHORIZED', 'this needs the header `Authorization: Bearer TOKEN`; the token is in api.json in the node\'s home')
    // Digests have one length whatever was sent, which is what the comparison needs.
    if (!timingSafeEqual(digest(match[1] ?? ''), this.#tokenDigest)) throw new HttpError('UNAUTHORIZED', 'the token is not the one of this node')
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '')
}
