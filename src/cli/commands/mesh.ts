import { formatDuration, formatSize } from '../../base/index.js'
import type { MemberInfo, NodeStatus } from '../../client/index.js'
import { ClientError, readApiFile } from '../../client/index.js'
import { thereName } from '../command-name.js'
import type { Context } from '../context.js'
import { durationOf } from '../context.js'
import { CliError } from '../errors.js'
import type { Register } from '../register.js'
import { ago, clean, counted, table } from '../table.js'

const none = (): void => undefined
/** How long `stop` waits for the process to be gone: drains take at most half of it. */
const stopMsMax = 30_000
const pollMs = 50
/** What the API takes: a hundred years. */
const inviteMsMax = 36_500 * 24 * 3600_000

/** The running node, its peers and its mesh. */
export function meshCommands(register: Register): void {
  register('status', 'how the node is, in words', none, async (context) => {
    const status = await context.client().status({ signal: context.signal })
    context.print(status, () => statusInWords(status))
  })

  register('peers', 'the other nodes', none, async (context) => {
    const peers = await context.client().peers({ signal: context.signal })
    context.print(peers, () =>
      peers.length === 0
        ? 'no other nodes yet; invite one with `mesh-node invite`'
        : table(['NAME', 'REGION', 'STATE', 'RTT', 'SEEN', 'USED', 'GIVES', 'PEER'], peers.map((peer) => [
          peer.name, peer.region, peer.state, peer.rttMs === null ? '' : `${peer.rttMs.toFixed(1)} ms`, ago(peer.lastSeen),
          peer.storage === null ? '' : formatSize(peer.storage.usedBytes), peer.storage === null ? '' : formatSize(peer.storage.maxBytes), peer.peerId,
        ])))
  })

  register('invite', 'make a token that lets another node into the mesh', (command) => {
    command.option('--expires <duration>', 'how long it is good for', '24h')
  }, async (context, _args, options: { expires: string }) => {
    const expiresMs = durationOf(options.expires, '--expires')
    if (expiresMs < 1000) throw new CliError('USAGE', '--expires takes at least a second')
    if (expiresMs > inviteMsMax) throw new CliError('USAGE', `an invite is good for ${formatDuration(inviteMsMax)} at most`)
    const invite = await context.client().invite(expiresMs, { signal: context.signal })
    context.print(invite, () => invite.token)
    context.say(`\nOn the other machine, within ${formatDuration(expiresMs)}:\n  ${thereName()} start --join ${invite.token}`)
  })

  register('members ls', 'who is in the mesh', none, async (context) => {
    const members = await context.client().members({ signal: context.signal })
    context.print(members, () =>
      table(['NAME', 'REGION', 'STATE', 'SEEN', 'PEER'], members.map((member) => [
        member.self ? `${member.name} (this node)` : member.name, member.region, member.revoked ? 'removed' : member.state, ago(member.lastSeen), member.peerId,
      ])))
  })

  register('members remove <peer>', 'remove a node from the mesh for good; by ID, by the end or beginning of it, or by name', none, async (context, [peer = '']) => {
    const member = memberOf(peer, await context.client().members({ signal: context.signal }))
    await context.client().removeMember(member.peerId, { signal: context.signal })
    context.print({ peerId: member.peerId, name: member.name, removed: true }, () => '')
    context.say(`${clean(member.name)} (${member.peerId}) is out; the others refuse it as soon as they hear of it. The invite it came by is void too`)
  })

  register('stop', 'let the running node finish what it is doing, and stop it', none, async (context) => {
    const pid = context.isRemote ? undefined : readApiFile(context.home)?.pid
    const client = context.client()
    await client.stop({ signal: context.signal })
    if (pid !== undefined) await untilGone(context, pid)
    context.print({ stopped: true }, () => '')
  })
}

/** By ID, by a unique beginning or ending of it (all begin alike), or by a unique name. */
export function memberOf(text: string, members: readonly MemberInfo[]): MemberInfo {
  const exact = members.find((member) => member.peerId === text)
  if (exact !== undefined) return exact
  /** Shorter than this a fragment names whoever happens to be there. */
  const fragmentMin = 4
  const byId = text.length >= fragmentMin ? members.filter((member) => member.peerId.startsWith(text) || member.peerId.endsWith(text)) : []
  const found = byId.length > 0 ? byId : members.filter((member) => member.name === text)
  const [first] = found
  if (first === undefined) throw new CliError('NOT_FOUND', `no member of the mesh is called "${text}"; \`mesh-node members ls\` lists them`, { peer: text })
  if (found.length > 1) throw new CliError('AMBIGUOUS', `"${text}" could be any of ${found.map((member) => member.peerId).join(', ')}`, { peer: text })
  return first
}

async function untilGone(context: Context, pid: number): Promise<void> {
  const deadline = performance.now() + stopMsMax
  for (;;) {
    try {
      process.kill(pid, 0)
    } catch {
      return
    }
    if (performance.now() > deadline) throw new ClientError('DEADLINE', `process ${String(pid)} still runs after ${formatDuration(stopMsMax)}`, { pid })
    context.signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
}

function statusInWords(status: NodeStatus): string {
  const { storage } = status
  const lines = [
    `${clean(status.name)} is ${status.state}, up for ${formatDuration(status.uptimeMs)}`,
    '',
    `node      ${status.peerId}`,
    `mesh      ${status.meshId}${status.isAdmin ? ' (this node can invite and remove)' : ''}`,
    `region    ${clean(status.region)}`,
    `api       ${status.apiUrl ?? ''}`,
    `address   ${status.addresses.length === 0 ? 'none: others cannot reach it' : status.addresses.join('\n          ')}`,
    `peers     ${status.peers === 0 ? 'none connected' : `${String(status.peers)} connected`}`,
    `storage   ${formatSize(storage.usedBytes)} of ${formatSize(storage.maxBytes)} used: ${formatSize(storage.ownBytes)} own, ${formatSize(storage.othersBytes)} for others; ${formatSize(storage.freeDiskBytes)} free on the disk`,
    `files     ${String(status.files)} in the mesh, ${counted(status.blobs, 'blob')} here${status.underReplicated > 0 ? `, ${counted(status.underReplicated, 'file')} with fewer copies than wanted` : ''}`,
  ]
  return [...lines, ...(status.problems.length === 0 ? [] : ['', ...status.problems.map((problem) => `! ${problem}`)])].join('\n')
}
