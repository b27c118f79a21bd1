import { shellWord } from '../../base/index.js'
import { defaultHome } from '../../client/index.js'
import type { NodeStatus } from '../../client/index.js'
import { ClientError } from '../../client/index.js'
import type { Context } from '../context.js'
import { explained } from '../context.js'
import type { Register } from '../register.js'
import { clean } from '../table.js'

const none = (): void => undefined

/** Commands on a home: they need no running node, and those that write refuse while one runs. */
export function homeCommands(register: Register): void {
  register('init', 'make a new mesh, with this node as its first member', (command) => {
    command.option('--name <name>', 'what people call this node').option('--region <region>', 'where it stands').option('--max-storage <size>', 'what it may use on disk')
  }, async (context, _args, options: { name?: string; region?: string; maxStorage?: string }) => {
    const { initHome } = await import('../../node/index.js')
    const made = await initHome(context.home, { 'node.name': options.name, 'node.region': options.region, 'storage.max_storage': options.maxStorage })
    context.print(made, () => made.meshId)
    context.say(`${clean(made.name)} is the first node of a new mesh; start it with \`mesh-node start${homeFlag(context)}\``)
  })

  register('join <token>', 'make this node a member of the mesh that an invite is for', (command) => {
    command.option('--name <name>', 'what people call this node').option('--region <region>', 'where it stands').option('--max-storage <size>', 'what it may use on disk')
  }, async (context, [token = ''], options: { name?: string; region?: string; maxStorage?: string }) => {
    const { joinHome } = await import('../../node/index.js')
    const joined = await joinHome(context.home, token, { 'node.name': options.name, 'node.region': options.region, 'storage.max_storage': options.maxStorage })
    context.print(joined, () => joined.meshId)
    context.say(`${clean(joined.name)} may join; start it with \`mesh-node start${homeFlag(context)}\` before the invite expires`)
  })

  register('id', 'who this node is', none, async (context) => {
    const status = await idOf(context)
    context.print(status, () => status.peerId)
  })
}

/** Of the running node if it runs; else what its home says. */
async function idOf(context: Context): Promise<NodeStatus> {
  try {
    return await context.client().status({ signal: context.signal })
  } catch (error) {
    const why = explained(error, context)
    if (!(why instanceof ClientError) || why.code !== 'NOT_RUNNING') throw why
  }
  const { describeHome } = await import('../../node/index.js')
  return describeHome(context.home)
}

function homeFlag(context: Context): string {
  return context.home === defaultHome() ? '' : ` --home ${shellWord(context.home)}`
}

