import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { constants } from 'node:os'
import { codeOf, messageOf } from '../../base/index.js'
import type { LeaseInfo, MeshClient } from '../../client/index.js'
import { ClientError } from '../../client/index.js'
import type { Context } from '../context.js'
import { CliError, ExitWith } from '../errors.js'
import type { Register } from '../register.js'
import type { AcquireFlags } from './leases.js'
import { acquireOf, scopeOf, withAcquireFlags } from './leases.js'

/** A lease that another took is noticed within this. */
const lookEveryMs = 500
/** A renewal that fails can be tried again before the time is up. */
const renewAfterShare = 1 / 3
/**
 * A command that was told to stop gets this long to obey, and of a short TTL a quarter: it is told so much before the
 * last moment for which the node has vouched, and killed at that moment.
 */
const killMs = 1_000
const killShare = 1 / 4

/** `lease run`: a command that runs only while its lease holds. */
export function runUnderLeaseCommand(register: Register): void {
  register('lease run <scope> <command...>', 'run a command (after --) under a lease, and end it if the lease is lost', withAcquireFlags, async (context, [name = '', ...words], flags: AcquireFlags) => {
    const scope = scopeOf(name)
    const client = context.client()
    const wish = acquireOf(flags)
    const sentMs = nowMs()
    const lease = await client.acquireLease(scope, wish, { signal: context.signal })
    const exitCode = await new Guarded({ client, context }, lease, sentMs).run(words)
    throw new ExitWith(exitCode)
  })
}

/**
 * The lease is believed for as long as the node's last answer said, counted from when it was *asked* for, and never
 * because nothing was heard to the contrary: a node that hangs, or is gone, ends the command, too.
 */
class Guarded {
  readonly #client: MeshClient
  readonly #context: Context
  readonly #lease: LeaseInfo
  readonly #ttlMs: number
  readonly #killMs: number
  #validUntilMs: number
  #renewAtMs: number
  #mayRenew = true
  #lost: string | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(components: { client: MeshClient; context: Context }, lease: LeaseInfo, sentMs: number) {
    this.#client = components.client
    this.#context = components.context
    this.#lease = lease
    this.#ttlMs = lease.ttlMs ?? 0
    this.#validUntilMs = sentMs + (lease.validForMs ?? 0)
    this.#killMs = Math.min(killMs, this.#ttlMs * killShare)
    this.#renewAtMs = sentMs + this.#ttlMs * renewAfterShare
  }

  /** The command's exit code; 128 + the signal's number if one ended it. Rejects with LEASE_LOST, CANNOT_RUN. */
  async run([command = '', ...args]: readonly string[]): Promise<number> {
    const { leaseId, scope, token } = this.#lease
    // A group of its own, so that a shell's children end with the shell; at a terminal that would take its keyboard away.
    const isGroup = !process.stdin.isTTY && process.platform !== 'win32'
    const child = spawn(command, args, {
      stdio: 'inherit', detached: isGroup,
      env: { ...process.env, MESH_LEASE_ID: leaseId, MESH_LEASE_SCOPE: scope, MESH_LEASE_TOKEN: String(token) },
    })
    const send = (signal: NodeJS.Signals): void => { sendTo(child, signal, isGroup) }
    const dieWithUs = (): void => { send('SIGKILL') }
    const passOn = (): void => { send(signalOf(this.#context.signal)) }
    process.once('exit', dieWithUs)
    this.#context.signal.addEventListener('abort', passOn, { once: true })
    if (this.#context.signal.aborted) passOn()
    this.#watch(send)
    try {
      const code = await ended(child)
      if (this.#lost !== undefined) throw new CliError('LEASE_LOST', `the lease of ${scope} was lost (${this.#lost}), and the command was ended`, { leaseId, scope, token })
      return code
    } finally {
      clearTimeout(this.#timer)
      this.#timer = undefined
      process.off('exit', dieWithUs)
      this.#context.signal.removeEventListener('abort', passOn)
      // Also of a lease that was taken away: the node waits for this, and gives it to others at once.
      await this.#giveBack()
    }
  }

  #watch(send: (signal: NodeJS.Signals) => void): void {
    const look = async (): Promise<void> => {
      const failure = await this.#ask().then(() => undefined, (error: unknown) => error)
      if (this.#timer === undefined) return
      if (isOver(failure)) this.#lost = messageOf(failure)
      else if (nowMs() >= this.#validUntilMs - this.#killMs) this.#lost = failure === undefined ? 'its time was up' : messageOf(failure)
      if (this.#lost === undefined) {
        this.#again(look)
        return
      }
      send('SIGTERM')
      this.#timer = setTimeout(() => { send('SIGKILL') }, this.#killMs)
    }
    this.#again(look)
  }

  #again(look: () => Promise<void>): void {
    const leftMs = this.#validUntilMs - this.#killMs - nowMs()
    this.#timer = setTimeout(() => { void look() }, Math.max(0, Math.min(lookEveryMs, leftMs)))
  }

  /** Whether it still holds; renewed when a good part of its time is over. */
  async #ask(): Promise<void> {
    const sentMs = nowMs()
    const signal = AbortSignal.timeout(Math.max(1, Math.ceil(this.#validUntilMs - this.#killMs - sentMs)))
    let lease: LeaseInfo | undefined
    if (this.#mayRenew && sentMs >= this.#renewAtMs) {
      try {
        lease = await this.#client.renewLease(this.#lease.leaseId, undefined, { signal })
        this.#renewAtMs = sentMs + this.#ttlMs * renewAfterShare
      } catch (error) {
        if (codeOf(error) !== 'TOO_MANY_RENEWALS') throw error
        // Runs on until its time is up.
        this.#mayRenew = false
      }
    }
    lease ??= await this.#client.lease(this.#lease.leaseId, { signal })
    if (lease.state !== 'active') throw new ClientError('NOT_ACTIVE', `it is ${lease.state}${lease.history?.at(-1) === undefined ? '' : `: ${lease.history.at(-1)?.reason ?? ''}`}`)
    this.#validUntilMs = Math.max(this.#validUntilMs, sentMs + (lease.validForMs ?? 0))
  }

  async #giveBack(): Promise<void> {
    try {
      await this.#client.releaseLease(this.#lease.leaseId)
    } catch (error) {
      if (this.#lost === undefined) this.#context.say(`the lease was not released (${messageOf(error)}); it ends by itself`)
    }
  }
}

/** A node that stops, or is gone, has no leases when it comes back; others get this one at once where it can say so. */
const overCodes = ['NOT_ACTIVE', 'NOT_FOUND', 'STOPPING', 'NOT_RUNNING']

function isOver(error: unknown): boolean {
  return overCodes.includes(codeOf(error) ?? '')
}

/** Whichever of the two clocks ran further: a laptop's sleep shows in one of them only. */
function nowMs(): number {
  started ??= { monotonicMs: performance.now(), wallMs: Date.now() }
  return Math.max(performance.now() - started.monotonicMs, Date.now() - started.wallMs)
}
let started: { monotonicMs: number; wallMs: number } | undefined

function sendTo(child: ChildProcess, signal: NodeJS.Signals, isGroup: boolean): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    if (isGroup) process.kill(-child.pid, signal)
    else child.kill(signal)
  } catch {
    // It has ended in between.
  }
}

function signalOf(signal: AbortSignal): NodeJS.Signals {
  const name: unknown = signal.reason instanceof ClientError ? signal.reason.facts.signal : undefined
  return name === 'SIGINT' || name === 'SIGHUP' ? name : 'SIGTERM'
}

function whyNot(error: Error): string {
  const code = codeOf(error)
  const name = 'path' in error && typeof error.path === 'string' ? error.path : 'it'
  return code === 'ENOENT' ? `there is no program ${name}` : code === 'EACCES' ? `${name} is no program, or not yours to run` : error.message
}

async function ended(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('error', (error) => { reject(new CliError('CANNOT_RUN', `the command cannot be run: ${whyNot(error)}`, {}, { cause: error })) })
    child.once('exit', (code, signal) => { resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])) })
  })
}
