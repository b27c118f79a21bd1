/**
 * A client of a node's HTTP API: what the command line is built on, and what other programs import as
 * `mesh-node/client`. Needs no other part of mesh-node.
 *
 * @example
 * const client = MeshClient.ofHome(defaultHome())
 * const { cid } = await client.put('/notes.txt', createReadStream('notes.txt'))
 * for await (const chunk of (await client.get(cid)).bytes) process.stdout.write(chunk)
 */
export * from './client.js'
export * from './error.js'
export * from './home.js'
export * from './tar.js'
export { encodePath } from './transport.js'
export * from './types.js'
