// Syncthing between two instances on this machine: node syncthing.mjs HOME
// stdin: {bytes} or {files, fileBytes}; stdout: what it took from "there are new files" to "the other side has them all";
// with `known: true` from when the one side has them indexed and the other side is let at them.
// Nothing leaves the machine: discovery, relays, NAT traversal and reports are off, both listen on 127.0.0.1.
import { execFileSync, spawn } from 'node:child_process'
import { createWriteStream, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { contentOf, heard, say } from './content.mjs'

const home = process.argv[2]
const freePort = () =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })

async function instance(name) {
  const config = join(home, name, 'config')
  const folder = join(home, name, 'files')
  mkdirSync(folder, { recursive: true })
  execFileSync('syncthing', ['generate', '--home', config, '--no-default-folder'], { stdio: 'ignore' })
  const id = execFileSync('syncthing', ['--home', config, '--device-id'], { encoding: 'utf8' }).trim()
  const gui = await freePort()
  const listen = await freePort()
  const key = /<apikey>(.*?)<\/apikey>/.exec(readFileSync(join(config, 'config.xml'), 'utf8'))[1]
  const child = spawn('syncthing', ['serve', '--home', config, '--no-browser', '--no-upgrade', `--gui-address=127.0.0.1:${gui}`, '--no-restart'], {
    stdio: 'ignore',
    env: { ...process.env, STNODEFAULTFOLDER: '1' },
  })
  const call = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${gui}/rest/${path}`, { method, headers: { 'X-API-Key': key }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    if (!response.ok) throw new Error(`${path}: ${response.status}`)
    const text = await response.text()
    return text === '' ? undefined : JSON.parse(text)
  }
  await until(async () => (await call('GET', 'system/ping')).ping === 'pong')
  return { id, listen, folder, child, call }
}

async function until(check, pauseMs = 100) {
  for (let i = 0; i < 300_000 / pauseMs; i++) {
    try {
      if (await check()) return
    } catch {
      // Not up yet.
    }
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
  throw new Error('it took too long')
}

const a = await instance('a')
const b = await instance('b')
process.on('exit', () => {
  a.child.kill()
  b.child.kill()
})
for (const [self, other] of [[a, b], [b, a]]) {
  const config = await self.call('GET', 'config')
  Object.assign(config.options, {
    listenAddresses: [`tcp://127.0.0.1:${self.listen}`], globalAnnounceEnabled: false, localAnnounceEnabled: false, relaysEnabled: false,
    natEnabled: false, urAccepted: -1, crashReportingEnabled: false, autoUpgradeIntervalH: 0, announceLANAddresses: false,
  })
  config.devices = [...config.devices.filter((device) => device.deviceID === self.id), { deviceID: other.id, name: 'other', addresses: [`tcp://127.0.0.1:${other.listen}`] }]
  config.folders = [{ id: 'bench', path: self.folder, type: 'sendreceive', devices: [{ deviceID: self.id }, { deviceID: other.id }], fsWatcherEnabled: false, rescanIntervalS: 0 }]
  await self.call('PUT', 'config', config)
}
await until(async () => (await a.call('GET', 'system/connections')).connections[b.id]?.connected === true)

let round = 0
for await (const order of heard()) {
  round++
  let bytes = 0
  if (order.bytes !== undefined) {
    const file = createWriteStream(join(a.folder, `big${round}`))
    for (const chunk of contentOf(order.bytes, round)) if (!file.write(chunk)) await new Promise((resolve) => file.once('drain', resolve))
    await new Promise((resolve) => file.end(resolve))
    bytes += order.bytes
  }
  mkdirSync(join(a.folder, `small${round}`))
  for (let i = 0; i < (order.files ?? 0); i++) {
    writeFileSync(join(a.folder, `small${round}`, String(i)), [...contentOf(order.fileBytes, i + 2)][0])
    bytes += order.fileBytes
  }
  if (order.known === true) {
    await b.call('PATCH', 'config/folders/bench', { paused: true })
    await a.call('POST', 'db/scan?folder=bench')
  }
  const start = performance.now()
  if (order.known === true) await b.call('PATCH', 'config/folders/bench', { paused: false })
  else await a.call('POST', 'db/scan?folder=bench')
  const wanted = (await a.call('GET', 'db/status?folder=bench')).globalBytes
  await until(async () => {
    const status = await b.call('GET', 'db/status?folder=bench')
    return status.globalBytes === wanted && status.needBytes === 0 && status.needFiles === 0 && status.state === 'idle'
    // Seen soon after it is so: of a sync of three seconds a look every tenth adds two percent. More often would cost it as much.
  }, 25)
  const ms = performance.now() - start
  const there = readdirSync(join(b.folder, `small${round}`)).length + (order.bytes === undefined ? 0 : statSync(join(b.folder, `big${round}`)).size)
  say({ ms, bytes, there })
}
process.exit(0)
