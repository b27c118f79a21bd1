import { systemClock, systemRandom, createSigner, codeOf, shellWord } from '../base/index.js'
import type { Signer } from '../base/index.js'
import { readApiFile } from '../client/index.js'
import type { NodeStatus } from '../client/index.js'
import { foundVoters } from '../consensus/index.js'
import { createMesh, decodeInvite, joinMesh, meshOf, newAuthoritySeed } from '../membership/index.js'
import { openStore } from '../store/index.js'
import type { Store } from '../store/index.js'
import { silentLog } from '../base/index.js'
import { fromText, loadConfig } from './config/index.js'
import type { Config, SettingName } from './config/index.js'
import { NodeError } from './errors.js'
import { homeAt, isAlive, prepareHome } from './home.js'
import type { Home } from './home.js'
import { newSeed, readKey, writeKey } from './keys.js'
import { packageVersion } from './version.js'

/** How a home comes to hold a node and to belong to a mesh. */
export interface Founded {
  peerId: string
  meshId: string
  name: string
  home: string
}

type Flags = Partial<Record<SettingName, string | undefined>>

/** Opens the home's store; ALREADY_RUNNING, with the process if it can be told, if another has it. */
export async function openHomeStore(home: Home, open: () => Promise<Store>): Promise<Store> {
  try {
    return await open()
  } catch (error) {
    if (codeOf(error) !== 'LOCKED') throw error
    const pid = readApiFile(home.path)?.pid
    const who = pid !== undefined && isAlive(pid) ? `process ${String(pid)}` : 'another process'
    throw new NodeError('ALREADY_RUNNING', `a node runs in ${home.path} already (${who}); stop it with \`mesh-node stop --home ${shellWord(home.path)}\`, or use another --home`, {
      home: home.path,
      ...(pid === undefined ? {} : { pid }),
    }, { cause: error })
  }
}

/** The node's own key, made at its first use. */
export function identityOf(home: Home): { seed: Uint8Array; signer: Signer } {
  let seed = readKey('identity', home.identityFile)
  if (seed === undefined) {
    seed = newSeed(systemRandom)
    writeKey('identity', home.identityFile, seed)
  }
  return { seed, signer: createSigner(seed) }
}

/** A new mesh whose authority is this home. Throws ALREADY_MEMBER. */
export async function found(home: Home, store: Store, signer: Signer): Promise<string> {
  const meta = store.meta('membership')
  const before = await meshOf(meta)
  if (before !== undefined) {
    throw new NodeError('ALREADY_MEMBER', `${home.path} belongs to a mesh already (${before}); use another --home for a new one`, { meshId: before, home: home.path })
  }
  let seed = readKey('authority', home.authorityFile)
  if (seed === undefined) {
    seed = newAuthoritySeed(systemRandom)
    writeKey('authority', home.authorityFile, seed)
  }
  const authority = createSigner(seed)
  const voters = await foundVoters({ store: store.meta('lease-registers'), random: systemRandom, authority }, { self: signer.nodeId })
  return createMesh({ meta, signer, clock: systemClock }, authority, voters)
}

/**
 * Joins by an invite. With one of the mesh that the home belongs to already little is done, expired or not, so that the
 * same `start --join TOKEN` can be given at every start; a fresh one helps a node whose first invite ran out before it
 * met anybody. Resolves to the mesh.
 */
export async function join(store: Store, signer: Signer, token: string): Promise<{ meshId: string; isNew: boolean }> {
  const { meshId, isNew } = await joinMesh({ meta: store.meta('membership'), signer, clock: systemClock }, token)
  return { meshId, isNew }
}

export async function initHome(path: string, flags: Flags): Promise<Founded> {
  return founding(path, flags, async (home, store, signer) => found(home, store, signer))
}

export async function joinHome(path: string, token: string, flags: Flags): Promise<Founded> {
  // Before anything is made: a mistyped token leaves no home behind.
  decodeInvite(token)
  return founding(path, flags, async (_home, store, signer) => (await join(store, signer, token)).meshId)
}

async function founding(path: string, flags: Flags, work: (home: Home, store: Store, signer: Signer) => Promise<string>): Promise<Founded> {
  const home = homeAt(path)
  const initial = new Map<SettingName, unknown>()
  for (const [name, value] of Object.entries(flags)) {
    if (value !== undefined) initial.set(name as SettingName, fromText(name as SettingName, value, `--${name.slice(name.lastIndexOf('.') + 1).replaceAll('_', '-')}`))
  }
  const { config } = loadConfig({ file: home.configFile, environment: process.env })
  prepareHome(home, initial)
  const store = await openHomeStore(home, async () => openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home: home.path }))
  try {
    const { signer } = identityOf(home)
    const meshId = await work(home, store, signer)
    const name = initial.get('node.name')
    return { peerId: signer.nodeId, meshId, name: typeof name === 'string' ? name : config['node.name'], home: home.path }
  } finally {
    await store.close()
  }
}

/** What `id` says of a node that does not run. Throws NO_MESH where there is none, and writes nothing. */
export async function describeHome(path: string): Promise<NodeStatus> {
  const home = homeAt(path)
  const seed = readKey('identity', home.identityFile)
  if (seed === undefined) throw new NodeError('NO_MESH', `there is no node in ${home.path} yet; make one with \`mesh-node start --home ${shellWord(home.path)}\``, { home: home.path })
  const { config } = loadConfig({ file: home.configFile, environment: process.env })
  const store = await openHomeStore(home, async () => openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home: home.path }))
  try {
    const meshId = await meshOf(store.meta('membership'))
    return stopped(config, createSigner(seed).nodeId, meshId ?? '', readKey('authority', home.authorityFile) !== undefined)
  } finally {
    await store.close()
  }
}

function stopped(config: Config, peerId: string, meshId: string, isAdmin: boolean): NodeStatus {
  return {
    peerId,
    meshId,
    name: config['node.name'],
    region: config['node.region'],
    segment: config['node.segment'],
    addresses: [],
    apiUrl: null,
    peers: 0,
    state: 'stopped',
    problems: [],
    storage: {
      maxBytes: config['storage.max_storage'], usedBytes: 0, ownBytes: 0, othersBytes: 0, pinnedBytes: 0,
      reservedBytes: config['storage.reserved'], volumesBytes: 0, metadataBytes: 0, reclaimableBytes: 0, freeDiskBytes: 0,
    },
    blobs: 0,
    files: 0,
    underReplicated: 0,
    voters: [],
    uptimeMs: 0,
    version: packageVersion(),
    isAdmin,
  }
}
