// Helia with its blocks in LevelDB, over TCP with Noise and yamux: node helia.mjs serve|fetch HOME
// stdin: {bytes} or {files, fileBytes} for serve; {address, cids} for fetch. stdout: what it took.
import './with-resolvers.mjs'
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { unixfs } from '@helia/unixfs'
import { identify } from '@libp2p/identify'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { LevelBlockstore } from 'blockstore-level'
import { LevelDatastore } from 'datastore-level'
import { createHelia } from 'helia'
import { fixedSize } from 'ipfs-unixfs-importer/chunker'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { contentOf, heard, say } from './content.mjs'

const [, , role, home] = process.argv
const blockstore = new LevelBlockstore(`${home}/blocks`)
const datastore = new LevelDatastore(`${home}/data`)
await blockstore.open()
await datastore.open()
const libp2p = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: { identify: identify() },
})
const helia = await createHelia({ libp2p, blockstore, datastore })
const fs = unixfs(helia)
const options = { chunker: fixedSize({ chunkSize: 1 << 20 }), layout: balanced({ maxChildrenPerNode: 1024 }), rawLeaves: true, cidVersion: 1 }

for await (const order of heard()) {
  const start = performance.now()
  if (role === 'serve') {
    const cids = []
    if (order.bytes !== undefined) cids.push((await fs.addByteStream(contentOf(order.bytes), options)).toString())
    for (let i = 0; i < (order.files ?? 0); i++) cids.push((await fs.addBytes([...contentOf(order.fileBytes, i + 2)][0], options)).toString())
    say({ ms: performance.now() - start, cids, address: libp2p.getMultiaddrs()[0].toString() })
  } else {
    await libp2p.dial(multiaddr(order.address))
    let bytes = 0
    const queue = [...order.cids]
    const worker = async () => {
      for (let cid = queue.shift(); cid !== undefined; cid = queue.shift()) {
        for await (const chunk of fs.cat(CID.parse(cid))) bytes += chunk.length
      }
    }
    await Promise.all(Array.from({ length: 32 }, worker))
    say({ ms: performance.now() - start, bytes })
  }
}
await helia.stop()
process.exit(0)
