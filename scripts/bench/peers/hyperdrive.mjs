// Hyperdrive over a plain TCP socket with its own Noise encryption: node hyperdrive.mjs serve|fetch HOME
// stdin and stdout as in helia.mjs; `address` is {port, key}.
import { connect, createServer } from 'node:net'
import Corestore from 'corestore'
import Hyperdrive from 'hyperdrive'
import { contentOf, heard, say } from './content.mjs'

const [, , role, home] = process.argv
const store = new Corestore(home)
let drive
let server

for await (const order of heard()) {
  const start = performance.now()
  if (role === 'serve') {
    if (drive === undefined) {
      drive = new Hyperdrive(store)
      await drive.ready()
      server = createServer((socket) => {
        const stream = store.replicate(false)
        stream.on('error', () => undefined)
        socket.on('error', () => undefined)
        socket.pipe(stream).pipe(socket)
      })
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    }
    const cids = []
    if (order.bytes !== undefined) {
      const target = drive.createWriteStream('/big')
      for (const chunk of contentOf(order.bytes)) if (!target.write(chunk)) await new Promise((resolve) => target.once('drain', resolve))
      await new Promise((resolve, reject) => target.on('error', reject).on('close', resolve).end())
      cids.push('/big')
    }
    for (let i = 0; i < (order.files ?? 0); i++) {
      await drive.put(`/small/${i}`, [...contentOf(order.fileBytes, i + 2)][0])
      cids.push(`/small/${i}`)
    }
    say({ ms: performance.now() - start, cids, address: { port: server.address().port, key: drive.key.toString('hex') } })
  } else {
    if (drive === undefined) {
      drive = new Hyperdrive(store, Buffer.from(order.address.key, 'hex'))
      await drive.ready()
      const socket = connect(order.address.port, '127.0.0.1')
      const stream = store.replicate(true)
      stream.on('error', () => undefined)
      socket.on('error', () => undefined)
      const met = new Promise((resolve) => drive.core.once('peer-add', resolve))
      socket.pipe(stream).pipe(socket)
      await met
    }
    await drive.core.update({ wait: true })
    let bytes = 0
    const queue = [...order.cids]
    const worker = async () => {
      for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
        for await (const chunk of drive.createReadStream(path)) bytes += chunk.length
      }
    }
    await Promise.all(Array.from({ length: 32 }, worker))
    say({ ms: performance.now() - start, bytes })
  }
}
process.exit(0)
