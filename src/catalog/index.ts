/**
 * The catalog: path → what is there, on every node, all of it. A record says which root CID a path points at, how large
 * it is, whose it is, how much it matters; it is signed by whoever wrote it. Nodes tell each other what changes and
 * compare what they have; edits that did not know of each other are both kept. Works alone, offline, from `openCatalog`
 * on. `Files` puts catalog and blobs together: what people do with files.
 *
 *   const catalog = await openCatalog({ meta: store.meta('catalog'), signer, clock, random, log, isMember })
 *   const files = createFiles({ catalog, blobs, meta: store.meta('catalog').slice('f/'), clock, log })
 *   const { cid } = await files.put('/photos/a.jpg', content)
 *   await Promise.all([catalog.run({ gossip, rpc, connections }, signal), files.run(signal)])
 *
 * The bytes on the wire and the rules of merging: `protocols/catalog/README.md`.
 */
export * from './types.js'
export { openCatalog } from './catalog.js'
export { normalizeFolder, normalizePath, pathBytesMax, segmentBytesMax } from './path.js'
export * from './files-types.js'
export { createFiles } from './files.js'
