/**
 * The roof: settings, the home, and the assembly of a node out of all rooms. Importing it costs little; what a running
 * node needs is loaded when one is started.
 *
 * @example
 * await runNode({ home: '/tmp/a', flags: { 'api.listen': '127.0.0.1:0' }, signal, onReady: ({ status }) => print(status), say })
 */
export * from './config/index.js'
export { examineHome } from './doctor.js'
export * from './errors.js'
export { homeAt, prepareHome } from './home.js'
export type { Home } from './home.js'
export { runNode } from './run.js'
export type { ReadyNode, RunInit } from './run.js'

import type { NodeStatus } from '../client/index.js'
import type { SettingName } from './config/index.js'
import type { Founded } from './founding.js'

type Flags = Partial<Record<SettingName, string | undefined>>

/** Makes a mesh whose first node is in `home`. Throws ALREADY_MEMBER, ALREADY_RUNNING. */
export async function initHome(home: string, flags: Flags): Promise<Founded> {
  return (await import('./founding.js')).initHome(home, flags)
}

/** Makes the node in `home` a member of the invite's mesh. Needs no network. */
export async function joinHome(home: string, token: string, flags: Flags): Promise<Founded> {
  return (await import('./founding.js')).joinHome(home, token, flags)
}

/** Who the node in `home` is, while it does not run. Throws NO_MESH. */
export async function describeHome(home: string): Promise<NodeStatus> {
  return (await import('./founding.js')).describeHome(home)
}
