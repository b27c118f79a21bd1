import { shellWord } from '../../base/index.js'
import type { DoctorCheck } from '../../client/index.js'
import { ClientError } from '../../client/index.js'
import { explained } from '../context.js'
import { exitCodes } from '../errors.js'
import type { Register } from '../register.js'

/** Everything that commonly goes wrong, with what to do about it: first what can be seen without the node, then what it says. */
export function doctorCommand(register: Register): void {
  register('doctor', 'look for what commonly goes wrong', () => undefined, async (context) => {
    const { examineHome } = await import('../../node/index.js')
    const checks: DoctorCheck[] = await examineHome(context.home)
    try {
      const client = context.client()
      const answered = await client.doctor({ signal: context.signal })
      checks.push({ name: 'node', state: 'ok', message: `runs at ${client.url}` }, ...answered)
    } catch (error) {
      const why = explained(error, context)
      if (!(why instanceof ClientError) || why.code !== 'NOT_RUNNING') throw why
      checks.push({ name: 'node', state: 'warning', message: `no node is running in ${context.home}`, advice: `start it with \`mesh-node start --home ${shellWord(context.home)}\`` })
    }
    const failed = checks.filter((check) => check.state === 'failed').length
    const marks = { ok: 'ok     ', warning: 'warning', failed: 'FAILED ' }
    context.print({ ok: failed === 0, checks }, () =>
      checks.map((check) => `${marks[check.state]}  ${check.name}: ${check.message}${check.advice === undefined ? '' : `\n         → ${check.advice}`}`).join('\n'))
    // The document says it all already; only the exit code is left to tell.
    if (failed > 0) process.exitCode = exitCodes.failed
  })
}
