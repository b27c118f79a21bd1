import { accessSync, constants, existsSync, statfsSync } from 'node:fs'
import { createServer } from 'node:net'
import { formatDuration, formatSize, messageOf } from '../base/index.js'
import type { CatalogStats } from '../catalog/index.js'
import type { DoctorCheck } from '../client/index.js'
import { readApiFile } from '../client/index.js'
import type { Member } from '../membership/index.js'
import type { QuotaSettings } from '../storage-policy/index.js'
import type { BackgroundStatus, StoreUsage } from '../store/index.js'
import { loadConfig, splitHostPort } from './config/index.js'
import type { Config } from './config/index.js'
import { homeAt, isAlive } from './home.js'
import { isExposed, readKey } from './keys.js'

/** Oldest Node that it runs on. */
const nodeOldest = [20, 19] as const

/** What can be seen without the node: this machine and the home. Changes nothing. */
export async function examineHome(path: string): Promise<DoctorCheck[]> {
  const home = homeAt(path)
  const checks: DoctorCheck[] = []
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  checks.push(
    major > nodeOldest[0] || (major === nodeOldest[0] && minor >= nodeOldest[1])
      ? { name: 'node.js', state: 'ok', message: `version ${process.versions.node}` }
      : { name: 'node.js', state: 'failed', message: `version ${process.versions.node} is too old`, advice: `install ${nodeOldest.join('.')} or newer` },
  )
  if (!existsSync(home.path)) {
    checks.push({ name: 'home', state: 'warning', message: `${home.path} does not exist yet`, advice: 'a first start makes it' })
    return checks
  }
  checks.push(tried('home', () => {
    accessSync(home.path, constants.R_OK | constants.W_OK)
    return `${home.path} can be read and written`
  }, 'give this user the right to it, or choose another with --home'))
  let config: Config | undefined
  checks.push(tried('config.toml', () => {
    const loaded = loadConfig({ file: home.configFile, environment: process.env })
    config = loaded.config
    return loaded.warnings.length === 0 ? 'is right' : loaded.warnings.join('; ')
  }, 'correct that line; `mesh-node config check` looks again'))
  for (const [kind, file] of [['identity', home.identityFile], ['authority', home.authorityFile]] as const) {
    if (!existsSync(file)) continue
    checks.push(isExposed(file)
      ? { name: `${kind}.key`, state: 'warning', message: 'others on this machine can read it', advice: `chmod 600 ${file}` }
      : tried(`${kind}.key`, () => {
        readKey(kind, file)
        return 'is whole and private'
      }, 'restore it from a copy'))
  }
  if (config !== undefined) {
    const { bavail, bsize } = statfsSync(home.path)
    const free = bavail * bsize
    const least = config['storage.min_free_space']
    const trouble = diskTrouble(free, least)
    checks.push(trouble === undefined
      ? { name: 'disk', state: 'ok', message: `${formatSize(free)} free` }
      : { name: 'disk', state: 'failed', message: trouble, advice: free < least ? `free some space, or lower that setting (${formatSize(least)})` : 'free some space' })
    checks.push(...(await examinePorts(config, home.path)))
  }
  return checks
}

function tried(name: string, look: () => string, advice: string): DoctorCheck {
  try {
    return { name, state: 'ok', message: look() }
  } catch (error) {
    return { name, state: 'failed', message: messageOf(error), advice }
  }
}

/** Whether what a start would listen at is free. Not looked at while this home's own node has it. */
async function examinePorts(config: Config, home: string): Promise<DoctorCheck[]> {
  const running = readApiFile(home)
  if (running !== undefined && isAlive(running.pid)) return []
  const wanted = [
    ...config['network.listen'].flatMap((address) => {
      const match = /^\/ip[46]\/([^/]+)\/tcp\/(\d+)/.exec(address)
      return match === null ? [] : [{ host: match[1] ?? '', port: Number(match[2]), flag: '--listen' }]
    }),
    ...[splitHostPort(config['api.listen'])].flatMap((api) => (api === undefined ? [] : [{ ...api, flag: '--api' }])),
  ]
  const checks: DoctorCheck[] = []
  for (const { host, port, flag } of wanted) {
    if (port === 0) continue
    const error = await listenError(host, port)
    const name = `port ${String(port)}`
    if (error === undefined) checks.push({ name, state: 'ok', message: `is free at ${host}` })
    else if (error === 'EADDRINUSE') checks.push({ name, state: 'failed', message: `is taken at ${host}`, advice: `choose another with ${flag}` })
    else checks.push({ name, state: 'warning', message: `cannot be listened at on ${host}: ${error}`, advice: `choose another address with ${flag}` })
  }
  return checks
}

async function listenError(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => {
      resolve(error.code ?? error.message)
    })
    server.listen(port, host, () => {
      server.close(() => {
        resolve(undefined)
      })
    })
  })
}

/** Below this nothing can be written down any more, whatever is to stay free. */
const diskLeastBytes = 2 ** 20
/** Share of the room that files and volumes may take, from which on it is worth saying. */
const nearlyFull = 0.95

/** Why nothing more is stored for want of the disk's own space; undefined: there is some. */
export function diskTrouble(freeBytes: number, minFreeDiskBytes: number): string | undefined {
  if (freeBytes >= Math.max(minFreeDiskBytes, diskLeastBytes)) return undefined
  return `the disk has only ${formatSize(freeBytes)} free: nothing more is stored here${freeBytes < minFreeDiskBytes ? ' (storage.min_free_space)' : ''}`
}

/** The room that this node gives is used up, or nearly so. Part of a quota is the store's own: with a small one, a good part. */
export function roomTrouble(usedBytes: number, quota: Pick<QuotaSettings, 'maxBytes' | 'headroomBytes'>): string | undefined {
  const roomBytes = Math.max(0, quota.maxBytes - (quota.headroomBytes ?? 0))
  if (usedBytes <= roomBytes * nearlyFull) return undefined
  return `${formatSize(usedBytes)} of the ${formatSize(roomBytes)} that files and volumes may take here are used`
}

/** Why changes of files are refused; undefined: they are not. */
export function clockTrouble(ahead: CatalogStats['clockAhead']): string | undefined {
  if (ahead === undefined) return undefined
  return `this machine's clock is ${formatDuration(ahead.aheadMs)} ahead of ${String(ahead.nodes)} of ${String(ahead.of)} other nodes: files cannot be changed here until it is set right`
}

export interface RunningFacts {
  quota: Pick<QuotaSettings, 'maxBytes' | 'headroomBytes'>
  addresses: readonly string[]
  members: readonly Member[]
  connected: number
  /** What a member said that let this node in no more. */
  refusal: string | undefined
  usage: StoreUsage
  background: BackgroundStatus
  freeBytes: number
  provideLagMs: number
  clockAhead: CatalogStats['clockAhead']
  /** Why leases do not work, in words. */
  leaseTrouble: string | undefined
  nowMs: number
}

const lagMsMax = 3_600_000

/** What the node itself can tell. */
export function examineRunning(facts: RunningFacts): DoctorCheck[] {
  const { addresses, members, connected, usage, background, quota } = facts
  const reachable = addresses.filter((address) => !/^\/ip4\/127\.|^\/ip6\/::1\//.test(address))
  const checks: DoctorCheck[] = []
  checks.push(reachable.length > 0
    ? { name: 'addresses', state: 'ok', message: reachable.join(', ') }
    : { name: 'addresses', state: 'warning', message: 'only programs on this machine can reach the node', advice: 'see [network] listen, and announce if a router forwards a port' })
  checks.push(members.length === 0
    ? { name: 'members', state: 'warning', message: 'this node is alone: there is no second copy of anything', advice: '`mesh-node invite` makes a token for another machine' }
    : connected === 0
      ? facts.refusal === undefined
        ? { name: 'members', state: 'failed', message: `none of ${String(members.length)} members is connected`, advice: 'check that one of their addresses can be reached from here (firewall, router)' }
        : { name: 'members', state: 'failed', message: `none of ${String(members.length)} members lets this node in`, advice: `one says: ${facts.refusal}` }
      : { name: 'members', state: 'ok', message: `${String(connected)} of ${String(members.length)} connected` })
  const clock = clockTrouble(facts.clockAhead)
  if (clock !== undefined) checks.push({ name: 'clock', state: 'failed', message: clock, advice: 'let the system set it (NTP); a minute or two later all is well' })
  checks.push(facts.leaseTrouble === undefined
    ? { name: 'leases', state: 'ok', message: 'this node takes part' }
    : { name: 'leases', state: 'warning', message: facts.leaseTrouble, advice: 'files work without; for leases do as it says, or see the log' })
  const versions = new Set(members.filter((member) => member.version !== '').map((member) => member.version))
  if (versions.size > 1) checks.push({ name: 'versions', state: 'warning', message: `members run ${[...versions].join(', ')}`, advice: 'bring all to the newest' })
  const full = roomTrouble(usage.totalBytes, quota)
  checks.push(full === undefined
    ? { name: 'storage', state: 'ok', message: `${formatSize(usage.totalBytes)} of ${formatSize(quota.maxBytes)} used` }
    : { name: 'storage', state: 'warning', message: full, advice: 'raise storage.max_storage, or remove files' })
  checks.push(usage.quarantined === 0
    ? { name: 'blocks', state: 'ok', message: `${String(usage.blocks)}, none known to be corrupt` }
    : { name: 'blocks', state: 'failed', message: `${String(usage.quarantined)} of ${String(usage.blocks)} are corrupt`, advice: '`mesh-node verify` heals them from other nodes; look after the disk' })
  if (background.lastError !== undefined) checks.push({ name: 'background', state: 'warning', message: background.lastError })
  if (facts.provideLagMs > lagMsMax) {
    checks.push({ name: 'announcing', state: 'warning', message: `is ${formatDuration(facts.provideLagMs)} late`, advice: 'it catches up by itself while the node runs; a machine that is mostly off is hard to find' })
  }
  return checks
}
