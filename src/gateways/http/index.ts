/**
 * The HTTP door: `/api/v1` for programs, one page for people, `/healthz`, `/readyz` and `/metrics` for whoever watches.
 * Turns requests into calls of a `NodeApi` and answers into JSON; knows nothing of how a node does things.
 *
 * @example
 * const gateway = await startHttpGateway({ node, clock, random, log }, { host: '127.0.0.1', port: 4780, token, hosts: [], version })
 * console.log(gateway.url)
 */
export * from './errors.js'
export * from './node-api.js'
export { startHttpGateway } from './server.js'
export type { HttpGateway, HttpGatewayComponents, HttpGatewayInit } from './server.js'
