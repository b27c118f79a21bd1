import type { Register } from '../register.js'
import { CliError } from '../errors.js'
import { table } from '../table.js'
import { memberOf } from './mesh.js'

/** Which nodes decide who has what. */
export function voterCommands(register: Register): void {
  register('voters ls', 'who votes', () => undefined, async (context) => {
    const info = await context.client().voters({ signal: context.signal })
    context.print(info, () => table(['NAME', 'REGION', 'UP', 'PEER'], info.voters.map((voter) => [voter.name, voter.region, voter.up ? 'yes' : 'no', voter.peerId])))
    if (info.voters.length < info.target) context.say(`there should be ${String(info.target)}; the mesh sees to it within seconds`)
  })

  register('voters recover', 'a majority of the voters is lost for good: go on with this node, from what is left', (command) => {
    command.option('--force', 'do it; without, only say what is lost')
  }, async (context, _args, flags: { force?: boolean }) => {
    const client = context.client()
    const done = await client.recoverVoters({ force: flags.force === true, signal: context.signal })
    context.print(done, () => '')
    if (done.lost.length === 0) {
      context.say(flags.force === true ? 'this node votes now, and others will join it' : 'this mesh has no voters yet; with --force this node becomes the first')
      return
    }
    if (flags.force === true) {
      context.say(`this node votes alone now, and others will join it; tokens go on above ${String(done.floor)}. Leases of before are over`)
      return
    }
    context.say(`${String(done.lost.length)} of ${String(done.lost.length + done.reached.length)} voters do not answer: ${done.lost.join(', ')}`)
    context.say('If they come back, leases work again by themselves. If they are lost for good, add --force: what only they knew of leases is gone, and should they live on somewhere, two could hold the same lease until they meet')
  })

  register('voters set <what...>', 'how many there should be (1, 3, 5, or auto), or exactly which nodes', () => undefined, async (context, what) => {
    const [first = ''] = what
    const client = context.client()
    const options = { signal: context.signal }
    const isCount = what.length === 1 && (first === 'auto' || /^\d$/.test(first))
    if (!isCount && what.length % 2 === 0) throw new CliError('USAGE', 'voters are 1, 3 or 5 nodes')
    const wanted = isCount
      ? { target: first === 'auto' ? null : Number(first) }
      : await client.members(options).then((members) => ({ voters: what.map((one) => memberOf(one, members).peerId) }))
    const info = await client.setVoters(wanted, options)
    context.print(info, () => '')
  })
}
