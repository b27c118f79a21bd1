import { hostname, userInfo } from 'node:os'
import type { Command } from 'commander'
import { formatDuration } from '../../base/index.js'
import type { AcquireLease, LeaseInfo } from '../../client/index.js'
import { durationOf } from '../context.js'
import { CliError } from '../errors.js'
import type { Register } from '../register.js'
import { shortId, table } from '../table.js'

const none = (): void => undefined

export interface AcquireFlags {
  ttl?: string
  wait?: string | true
  agent?: string
  shared?: boolean
  maxRenewals?: string
  priority?: string
}

export function withAcquireFlags(command: Command): void {
  command
    .option('--ttl <duration>', 'how long it is good for without a renewal [3600s, or what `lease config` says]')
    .option('--wait [duration]', 'how long to wait for it [not at all]; without a duration as long as `lease config` says')
    .option('--agent <name>', 'who wants it [user@host]')
    .option('--shared', 'together with others that want it shared')
    .option('--max-renewals <number>', 'how often it may be renewed; -1: always')
    .option('--priority <number>', 'who waits with a higher one goes first [0]')
}

export function acquireOf(flags: AcquireFlags): AcquireLease {
  return {
    agent: flags.agent ?? defaultAgent(),
    ...(flags.shared === true ? { mode: 'shared' } : {}),
    ...(flags.ttl === undefined ? {} : { ttlMs: durationOf(flags.ttl, '--ttl') }),
    ...(flags.wait === undefined ? {} : flags.wait === true ? { wait: true } : { waitMs: durationOf(flags.wait, '--wait') }),
    ...(flags.maxRenewals === undefined ? {} : { maxRenewals: wholeNumber(flags.maxRenewals, '--max-renewals') }),
    ...(flags.priority === undefined ? {} : { priority: wholeNumber(flags.priority, '--priority') }),
  }
}

/**
 * Arguments are bytes; those that are no UTF-8 have become U+FFFD before this program sees them, and two names that differ
 * in them would be one scope.
 */
export function scopeOf(text: string): string {
  if (text === '') throw new CliError('USAGE', 'a scope has at least one byte')
  if (text.includes('\ufffd')) throw new CliError('USAGE', 'a scope is UTF-8 text, and this has bytes that are none')
  return text
}

/** Locks with a time limit and a token. */
export function leaseCommands(register: Register): void {
  register('lease acquire <scope>', 'hold a scope (any name), alone or shared', withAcquireFlags, async (context, [scope = ''], flags: AcquireFlags) => {
    const lease = await context.client().acquireLease(scopeOf(scope), acquireOf(flags), { signal: context.signal })
    context.print(lease, () => lease.leaseId)
    context.say(`${lease.scope} is yours (token ${String(lease.token)}) for ${formatDuration(lease.ttlMs ?? 0)}, unless you renew or release it`)
  })

  register('lease steal <scope>', 'take a scope from whoever has it, if its node lets it go', withAcquireFlags, async (context, [scope = ''], flags: AcquireFlags) => {
    const lease = await context.client().stealLease(scopeOf(scope), acquireOf(flags), { signal: context.signal })
    context.print(lease, () => lease.leaseId)
    context.say(`${lease.scope} is yours (token ${String(lease.token)})`)
  })

  register('lease renew <id>', 'a fresh TTL, counted from now', (command) => {
    command.option('--ttl <duration>', 'another TTL than it had')
  }, async (context, [id = ''], flags: { ttl?: string }) => {
    const lease = await context.client().renewLease(id, flags.ttl === undefined ? undefined : durationOf(flags.ttl, '--ttl'), { signal: context.signal })
    context.print(lease, () => described(lease))
  })

  register('lease upgrade <id>', 'make a shared lease an exclusive one, if nobody else reads', none, async (context, [id = '']) => {
    const lease = await context.client().upgradeLease(id, { signal: context.signal })
    context.print(lease, () => described(lease))
  })

  register('lease release <id>', 'give it back', none, async (context, [id = '']) => {
    const lease = await context.client().releaseLease(id, { signal: context.signal })
    context.print(lease, () => '')
  })

  register('lease get <id>', 'one lease, and what happened to it', none, async (context, [id = '']) => {
    const lease = await context.client().lease(id, { signal: context.signal })
    context.print(lease, () => described(lease))
  })

  register('lease ls', 'active leases of the mesh', (command) => {
    command.option('--scope <beginning>', 'whose scope begins so').option('--agent <name>', 'of this agent')
  }, async (context, _args, flags: { scope?: string; agent?: string }) => {
    const filter = { ...(flags.scope === undefined ? {} : { scope: flags.scope }), ...(flags.agent === undefined ? {} : { agent: flags.agent }) }
    const leases = await context.client().leases(filter, { signal: context.signal })
    context.print(leases, () => leases.length === 0 ? '' : table(
      ['LEASE', 'SCOPE', 'MODE', 'AGENT', 'TOKEN', 'NODE'],
      leases.map((lease) => [lease.leaseId.slice(0, 12), lease.scope, lease.mode, lease.agent, lease.token, shortId(lease.holder)]),
    ))
  })

  register('lease locked <scope>', 'whether anybody holds a scope', none, async (context, [scope = '']) => {
    const answer = await context.client().leaseLocked(scopeOf(scope), { signal: context.signal })
    context.print(answer, () => answer.lease === null ? 'free' : described(answer.lease))
  })

  register('lease history', 'what happened to leases at this node', (command) => {
    command.option('--scope <scope>', 'of this scope').option('--agent <name>', 'of this agent').option('--limit <number>', 'the newest so many [1000]')
  }, async (context, _args, flags: { scope?: string; agent?: string; limit?: string }) => {
    const { limit, ...query } = { scope: flags.scope, agent: flags.agent, limit: flags.limit }
    const past = await context.client().leaseHistory({
      ...(query.scope === undefined ? {} : { scope: query.scope }), ...(query.agent === undefined ? {} : { agent: query.agent }),
      ...(limit === undefined ? {} : { limit: limitOf(limit) }),
    }, { signal: context.signal })
    context.print(past, () => past.length === 0 ? '' : table(
      ['AT', 'SCOPE', 'AGENT', 'FROM', 'TO', 'TOKEN', 'WHY'],
      past.map((one) => [new Date(one.at).toISOString(), one.scope, one.agent, one.from ?? '', one.to, one.token, one.reason]),
    ))
  })

  register('lease force-release', 'end all leases of an agent, on whatever node', (command) => {
    command.requiredOption('--agent <name>', 'whose')
  }, async (context, _args, flags: { agent: string }) => {
    const result = await context.client().forceReleaseLeases(flags.agent, { signal: context.signal })
    context.print(result, () => '')
    context.say(`${String(result.released)} released`)
  })

  register('lease config get [key]', 'settings of leases, the same in the whole mesh', none, async (context, [key]) => {
    const settings = await context.client().leaseSettings({ signal: context.signal })
    if (key === undefined) {
      context.print(settings, () => Object.entries(settings).map(([name, value]) => `${name} = ${String(value)}`).join('\n'))
      return
    }
    const value = settings[key]
    if (value === undefined) throw new CliError('USAGE', `there is no lease setting ${key}; there are ${Object.keys(settings).join(', ')}`, { key })
    context.print({ [key]: value }, () => String(value))
  })

  register('lease config set <key> <value>', 'change one, for the whole mesh', none, async (context, [key = '', text = '']) => {
    const known = Object.keys(await context.client().leaseSettings({ signal: context.signal }))
    if (!known.includes(key)) throw new CliError('USAGE', `leases have no setting "${key}"; there are ${known.join(', ')}`, { key })
    const value = text === 'true' || text === 'false' ? text === 'true' : wholeNumber(text, key)
    const settings = await context.client().setLeaseSettings({ [key]: value }, { signal: context.signal })
    context.print(settings, () => '')
  })
}

function described(lease: LeaseInfo): string {
  const rows: [string, string | null][] = [
    ['lease', lease.leaseId],
    ['scope', lease.scope],
    ['state', `${lease.state}${lease.mode === 'shared' ? ', shared' : ''}`],
    ['agent', lease.agent],
    ['node', lease.holder],
    ['token', String(lease.token)],
    ['ttl', lease.ttlMs === null ? null : formatDuration(lease.ttlMs)],
    ['expires in', lease.expiresInMs === null ? null : formatDuration(lease.expiresInMs)],
    ['valid for', lease.validForMs === null ? null : formatDuration(lease.validForMs)],
    ['renewals', lease.renewals === null ? null : `${String(lease.renewals)}${lease.maxRenewals === null || lease.maxRenewals < 0 ? '' : ` of ${String(lease.maxRenewals)}`}`],
  ]
  const shown = rows.filter((row): row is [string, string] => row[1] !== null)
  return table(['', ''], shown).split('\n').slice(1).join('\n')
}

/** Who asks, to whoever looks at what is held. */
function defaultAgent(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    // A user ID without an account, as in many containers.
    return hostname()
  }
}

function limitOf(text: string): number {
  const limit = wholeNumber(text, '--limit')
  if (limit < 1 || limit > 99_999) throw new CliError('USAGE', `--limit takes a number from 1 to 99999, not ${text}`)
  return limit
}

function wholeNumber(text: string, option: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new CliError('USAGE', `${option} takes a whole number, not "${text}"`)
  return value
}
