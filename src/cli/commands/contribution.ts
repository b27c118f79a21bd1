import { formatSize, parseTypedSize } from '../../base/index.js'
import type { ActionPlan, PlacementInfo, QuotaChange, QuotaInfo } from '../../client/index.js'
import type { Context } from '../context.js'
import { CliError, withError } from '../errors.js'
import type { Register } from '../register.js'
import { clean, shortId, table } from '../table.js'
import { memberOf } from './mesh.js'

const none = (): void => undefined

interface QuotaOptions {
  reserved?: string
  minFree?: string
  shareExcess?: string
}

/** What this node gives to the mesh, and where copies are and go. */
export function contributionCommands(register: Register): void {
  register('placement explain <what>', 'where the copies of a path or CID are and would go, and why', none, async (context, [what = '']) => {
    const info = await context.client().explainPlacement(what, { signal: context.signal })
    context.print(info, () => explained(info))
  })

  register('quota show', 'what this node gives, and what of it is used', none, async (context) => {
    const quota = await context.client().quota({ signal: context.signal })
    context.print(quota, () => quotaInWords(quota))
  })

  register('quota set [size]', 'change what this node gives, from now on and for later starts', (command) => {
    command
      .option('--reserved <size>', 'part of it kept for files put through this node')
      .option('--min-free <size>', 'free space to leave on the disk itself')
      .option('--share-excess <yes|no>', 'whether others may use what is not reserved')
  }, async (context, [size], options: QuotaOptions) => {
    const change: QuotaChange = {
      ...(size === undefined ? {} : { maxBytes: sizeOf(size, 'the size') }),
      ...(options.reserved === undefined ? {} : { reservedBytes: sizeOf(options.reserved, '--reserved') }),
      ...(options.minFree === undefined ? {} : { minFreeDiskBytes: sizeOf(options.minFree, '--min-free') }),
      ...(options.shareExcess === undefined ? {} : { shareExcess: yesOrNo(options.shareExcess) }),
    }
    if (Object.keys(change).length === 0) throw new CliError('USAGE', 'say what to change: a size such as 50GB, or one of the options')
    const quota = await context.client().setQuota(change, { signal: context.signal })
    context.print(quota, () => quotaInWords(quota))
    for (const source of quota.overriddenBy) context.say(`this start had ${source}, which comes before config.toml: if the next start has it too, that counts again`)
    if (!quota.persisted) context.say('it holds until the node stops: config.toml could not be written')
    if (quota.overBytes > 0) context.say(`${formatSize(quota.overBytes)} more than that are here; they go as other nodes take them over`)
  })

  register('evict', 'make room here now', (command) => {
    command.requiredOption('--bytes <size>', 'how much').option('--dry-run', 'only say what would go')
  }, async (context, _args, options: { bytes: string; dryRun?: boolean }) => {
    const dryRun = options.dryRun === true
    const result = await context.client().evict(sizeOf(options.bytes, '--bytes'), { dryRun, signal: context.signal })
    const error = dryRun || result.shortBytes === 0 ? undefined : new CliError('NOT_ALL', 'not as much could be let go of as was asked for', { shortBytes: result.shortBytes })
    context.print(withError(result, error), () => planInWords(result))
    if (!dryRun) context.say(`${formatSize(result.freedBytes)} let go of${result.refused > 0 ? `; ${String(result.refused)} kept, since other holders did not agree` : ''}`)
    if (result.shortBytes > 0) {
      const why = Object.entries(result.kept).map(([reason, count]) => `${String(count)} ${reason}`).join(', ')
      context.say(`${formatSize(result.shortBytes)} short of what was asked for${why === '' ? '' : `; kept: ${why}`}`)
    }
    if (error !== undefined) throw error
  })

  register('rebalance', 'bring every copy to where it should be, now', (command) => {
    command.option('--dry-run', 'only say what would be done').option('--pause', 'make and trim no copies until --resume').option('--resume', 'go on after --pause')
  }, async (context, _args, options: { dryRun?: boolean; pause?: boolean; resume?: boolean }) => {
    if (options.pause === true || options.resume === true) {
      if (options.pause === options.resume) throw new CliError('USAGE', 'either --pause or --resume')
      await context.client().pauseReplication(options.pause === true, { signal: context.signal })
      context.print({ paused: options.pause === true }, () => '')
      return
    }
    const plan = await context.client().rebalance({ dryRun: options.dryRun === true, signal: context.signal })
    context.print(plan, () => planInWords(plan))
  })

  register('drain', 'hand on all that others need from here, so that this node can leave', none, async (context) => {
    context.say('handing on what is here; Ctrl-C ends it')
    const result = await context.client().drain({ signal: context.signal })
    const { moved, remaining, problems } = result
    const error = remaining === 0 ? undefined : new CliError('REMAINING', `${remaining === 1 ? '1 blob is' : `${String(remaining)} blobs are`} still needed here: no other node could take ${remaining === 1 ? 'it' : 'them'}`, { remaining })
    context.print(withError(result, error), () => error === undefined
      ? `${moved === 1 ? '1 blob' : `${String(moved)} blobs`} moved; nothing that others need is left here. It takes nothing more until it is started again`
      : problems.join('\n'))
    if (error !== undefined) throw error
  })

  register('forget <peer>', 'count no longer on a silent node that will not come back', none, async (context, [peer = '']) => {
    const member = await peerOf(context, peer)
    await context.client().forget(member.peerId, { signal: context.signal })
    context.print({ peerId: member.peerId, name: member.name, forgotten: true }, () => '')
    context.say(`${clean(member.name)} is not counted on; what it had is copied from others. If it is seen again, its copies count again`)
  })
}

async function peerOf(context: Context, text: string): Promise<{ peerId: string; name: string }> {
  return memberOf(text, await context.client().members({ signal: context.signal }))
}

function sizeOf(text: string, what: string): number {
  const bytes = parseTypedSize(text)
  if (bytes === undefined) throw new CliError('USAGE', `${what} must be a size such as 100GB or 512MiB, not "${text}"`)
  return bytes
}

function yesOrNo(text: string): boolean {
  const value = { yes: true, true: true, on: true, no: false, false: false, off: false }[text.toLowerCase()]
  if (value === undefined) throw new CliError('USAGE', `--share-excess takes yes or no, not "${text}"`)
  return value
}

function explained(info: PlacementInfo): string {
  const holders = new Set(info.holders)
  const rows = info.nodes.map(({ peerId, name, score, terms, rejected }) => [
    holders.has(peerId) ? 'holds it' : info.chosen.includes(peerId) ? 'chosen' : '',
    name === '' ? shortId(peerId) : name, score.toFixed(3), terms.capacity.toFixed(3), terms.diversity.toFixed(3), terms.reliability.toFixed(3), rejected ?? '',
  ])
  return [
    `${info.cid}, ${formatSize(info.size)}: ${String(holders.size)} of ${String(info.wanted)} copies`,
    '',
    table(['', 'NODE', 'SCORE', 'CAPACITY', 'DIVERSITY', 'RELIABILITY', 'WHY NOT'], rows),
    ...info.warnings.map((warning) => `! ${warning}`),
  ].join('\n')
}

function quotaInWords(quota: QuotaInfo): string {
  const rest = quota.maxBytes - quota.usedBytes - quota.inFlightBytes - quota.freeForOwnBytes
  const isDiskTighter = quota.freeDiskBytes - quota.minFreeDiskBytes - quota.inFlightBytes <= quota.freeForOwnBytes
  const rows: [string, string][] = [
    ['given', `${formatSize(quota.maxBytes)}, bookkeeping included${quota.shareExcess ? '' : '; not shared with others'}`],
    ['used', formatSize(quota.usedBytes)],
    ['  own', formatSize(quota.ownBytes)],
    ['  others', formatSize(quota.othersBytes)],
    ['  pinned', `${formatSize(quota.pinnedBytes)} of both`],
    ['  volumes', formatSize(quota.volumesBytes)],
    ['  metadata', formatSize(quota.metadataBytes)],
    ['  garbage', `${formatSize(quota.reclaimableBytes)}, on its way back`],
    ['reserved', `${formatSize(quota.reservedBytes)} for files of this node`],
    ['on its way', formatSize(quota.inFlightBytes)],
    ['free', `${formatSize(quota.freeForOwnBytes)} for files of this node, ${formatSize(quota.freeForOthersBytes)} for others`],
    ...(rest > 0 && !isDiskTighter ? [['kept free', `${formatSize(rest)} for the store to move things in`] as [string, string]] : []),
    ['disk', `${formatSize(quota.freeDiskBytes)} free, of which ${formatSize(quota.minFreeDiskBytes)} stay free`],
    ['eviction', quota.autoEvict ? `by itself, ${quota.evictionStrategy}` : `when asked, ${quota.evictionStrategy}`],
    ['copying', quota.replication],
  ]
  return [...rows.map(([name, value]) => `${name.padEnd(12)}${value}`), ...(quota.overBytes > 0 ? [`! ${formatSize(quota.overBytes)} over the limit`] : [])].join('\n')
}

function planInWords(plan: ActionPlan): string {
  if (plan.actions.length === 0) return 'nothing to do'
  return [
    table(['WHAT', 'SIZE', 'FROM', 'TO', 'CID', 'WHY'], plan.actions.map((action) => [
      action.kind, formatSize(action.bytes), action.from === null ? '' : shortId(action.from), action.to === null ? '' : shortId(action.to), action.cid, action.reason,
    ])),
    `${String(plan.actions.length)} in all, ${formatSize(plan.bytes)}`,
  ].join('\n')
}
