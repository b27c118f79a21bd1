// GlusterFS replica 2 on this machine: two bricks in one folder, a daemon with working folders of its own, a FUSE mount,
// and nbdkit's file plugin on a file there. Needs Debian's glusterfs-server, root, /dev/fuse and the daemon's port.
import { execFile, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const execute = promisify(execFile)
/** Bricks ask the daemon for their configuration at this port, and nowhere else. */
const daemonPort = 24007

export interface Gluster {
  readonly uri: string
  readonly stop: () => Promise<void>
}

/** Or why there is none. `eventually` waits for a condition. */
export async function startGluster(folder: string, sizeBytes: number, nbdPort: number, eventually: (condition: () => Promise<boolean>, what: string) => Promise<void>): Promise<Gluster | string> {
  for (const program of ['glusterd', 'gluster', 'glusterfs', 'nbdkit']) if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) return `${program} is not installed here`
  if (process.getuid?.() !== 0) return 'bricks need root'
  if (!existsSync('/dev/fuse')) return 'there is no /dev/fuse'
  if (!(await isFree(daemonPort))) return `port ${String(daemonPort)} is taken`
  const [work, run, mount] = ['work', 'run', 'mount'].map((name) => join(folder, name)) as [string, string, string]
  const bricks = ['one', 'two'].map((name) => join(folder, name))
  for (const made of [work, run, mount, ...bricks]) mkdirSync(made, { recursive: true })
  const socket = join(run, 'glusterd.socket')
  const config = join(folder, 'glusterd.vol')
  writeFileSync(config, `volume management
    type mgmt/glusterd
    option working-directory ${work}
    option run-directory ${run}
    option glusterd-sockfile ${socket}
    option transport-type socket
    option transport.socket.bind-address 127.0.0.1
    option transport.socket.listen-port ${String(daemonPort)}
end-volume
`)
  const daemon = spawn('glusterd', ['--no-daemon', '-f', config, '-p', join(folder, 'glusterd.pid'), '-l', join(folder, 'glusterd.log')], { stdio: 'ignore' })
  const gluster = async (...args: string[]): Promise<unknown> => execute('gluster', ['--mode=script', `--glusterd-sock=${socket}`, ...args], { timeout: 60_000 })
  let nbdkit: ReturnType<typeof spawn> | undefined
  const stop = async (): Promise<void> => {
    nbdkit?.kill()
    // The file is let go of a moment after the program was told to end.
    await eventually(async () => !isMounted(mount) || (await works(execute('umount', [mount]))), 'the mount to be taken down').catch(() => undefined)
    await gluster('volume', 'stop', 'bench', 'force').catch(() => undefined)
    daemon.kill()
    for (const brick of bricks) rmSync(join('/var/log/glusterfs/bricks', `${brick.slice(1).replaceAll('/', '-')}.log`), { force: true })
  }
  try {
    await eventually(async () => works(gluster('volume', 'list')), 'glusterd to answer')
    await gluster('volume', 'create', 'bench', 'replica', '2', ...bricks.map((brick) => `${hostname()}:${brick}`), 'force')
    await gluster('volume', 'start', 'bench')
    await execute('glusterfs', ['--volfile-server=127.0.0.1', '--volfile-id=bench', '-l', join(folder, 'mount.log'), mount], { timeout: 60_000 })
    const file = join(mount, 'bench.img')
    // Not before both bricks are there: what is written to one alone is healed later, beside the measurement.
    await eventually(async () => {
      if (!isMounted(mount)) return false
      writeFileSync(file, '')
      return bricks.every((brick) => existsSync(join(brick, 'bench.img')))
    }, 'both bricks to take a file')
    truncateSync(file, sizeBytes)
    nbdkit = spawn('nbdkit', ['-f', '-i', '127.0.0.1', '-p', String(nbdPort), 'file', file], { stdio: 'ignore' })
    const uri = `nbd://127.0.0.1:${String(nbdPort)}/`
    await eventually(async () => works(execute('nbdinfo', ['--size', uri])), 'nbdkit on GlusterFS to serve')
    return { uri, stop }
  } catch (error) {
    await stop()
    return `it did not start: ${error instanceof Error ? error.message : String(error)}`
  }
}

async function works(work: Promise<unknown>): Promise<boolean> {
  return work.then(() => true, () => false)
}

function isMounted(folder: string): boolean {
  return spawnSync('mountpoint', ['-q', folder]).status === 0
}

async function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => { resolve(false) })
    server.listen(port, '127.0.0.1', () => { server.close(() => { resolve(true) }) })
  })
}
