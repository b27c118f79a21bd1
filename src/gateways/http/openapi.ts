import type { RouteOptions } from 'fastify'
import { answers } from './schemas.js'
import type { JsonSchema } from './schemas.js'

interface Description {
  summary?: string
  description?: string
  /** Media type of a body that is not JSON. */
  consumes?: string[]
  produces?: string[]
}

declare module 'fastify' {
  // What a route says of itself for people stands beside what is checked.
  // eslint-disable-next-line @typescript-eslint/no-empty-object-type
  interface FastifySchema extends Description {}
}

interface DescribedSchema extends Description {
  params?: JsonSchema
  querystring?: JsonSchema
  body?: JsonSchema
  response?: Record<string, JsonSchema>
}

export interface DescribedRoute {
  method: string
  url: string
  schema: DescribedSchema
}

/** Collects what the routes themselves declare: the document cannot say anything else than what is checked. */
export function describeRoute(route: RouteOptions): DescribedRoute[] {
  const schema = route.schema as DescribedSchema | undefined
  if (schema?.summary === undefined) return []
  const methods = Array.isArray(route.method) ? route.method : [route.method]
  return methods.map((method) => ({ method: method.toLowerCase(), url: route.url, schema }))
}

/** OpenAPI 3.1, whose schemas are plain JSON Schema. */
export function openapiDocument(routes: readonly DescribedRoute[], version: string): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const { method, url, schema } of routes) {
    const path = url.replace(/\*$/, '{path}').replace(/:(\w+)/g, '{$1}')
    ;(paths[path] ??= {})[method] = operation(path, method, schema)
  }
  return {
    openapi: '3.1.0',
    info: { title: 'mesh-node', version, description: 'One node of a storage mesh. Listens on loopback; every request under /api/v1 carries the bearer token of api.json.' },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths,
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
      schemas: { Error: answers.error },
    },
  }
}

function operation(path: string, method: string, schema: DescribedSchema): object {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map((match) => ({
    name: match[1],
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(match[1] === 'path' ? { description: 'a path of the mesh; its slashes stand as they are' } : {}),
  }))
  const query = schema.querystring as { properties?: Record<string, JsonSchema>; required?: string[] } | undefined
  const inQuery = Object.entries(query?.properties ?? {}).map(([name, part]) => ({
    name, in: 'query', required: query?.required?.includes(name) ?? false, schema: part,
  }))
  const responses: Record<string, object> = {}
  for (const [status, part] of Object.entries(schema.response ?? {})) {
    responses[status] = { description: 'done', content: { [schema.produces?.[0] ?? 'application/json']: { schema: part } } }
  }
  if (schema.response === undefined) {
    responses['200'] = { description: 'done', content: { [schema.produces?.[0] ?? 'application/json']: {} } }
  }
  responses.default = { description: 'what went wrong', content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } } }
  const body = schema.body ?? (schema.consumes === undefined ? undefined : { type: 'string', format: 'binary' })
  return {
    operationId: `${method}${path.replace('/api/v1', '').replace(/[^a-zA-Z]+(\w)?/g, (_, next: string | undefined) => next?.toUpperCase() ?? '')}`,
    summary: schema.summary,
    ...(schema.description === undefined ? {} : { description: schema.description }),
    parameters: [...inPath, ...inQuery],
    ...(body === undefined ? {} : { requestBody: { required: true, content: { [schema.consumes?.[0] ?? 'application/json']: { schema: body } } } }),
    responses,
  }
}
