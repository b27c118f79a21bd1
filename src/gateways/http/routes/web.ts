import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'

const pages: Record<string, { file: string; type: string }> = {
  '/': { file: 'index.html', type: 'text/html; charset=utf-8' },
  '/app.js': { file: 'app.js', type: 'text/javascript; charset=utf-8' },
  '/style.css': { file: 'style.css', type: 'text/css; charset=utf-8' },
}

/** One page without a build step and without anything from elsewhere. It needs the token like every other client. */
export function webRoutes(server: FastifyInstance): void {
  for (const [url, page] of Object.entries(pages)) {
    server.get(url, async (_request, reply) => {
      void reply
        .type(page.type)
        .header('cache-control', 'no-cache')
        .header('content-security-policy', "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
      return readFile(join(import.meta.dirname, '..', 'web', page.file))
    })
  }
}
