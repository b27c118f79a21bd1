import { formatSize, shellWord } from '../../base/index.js'
import type { SettingName } from '../../node/index.js'
import type { Register } from '../register.js'
import { commandName, thereName } from '../command-name.js'
import { clean } from '../table.js'

interface Options {
  name?: string
  region?: string
  listen?: string[]
  announce?: string[]
  bootstrap?: string[]
  join?: string
  maxStorage?: string
  api?: string
}

const collect = (value: string, before: string[] | undefined): string[] => [...(before ?? []), value]

export function startCommand(register: Register): void {
  register('start', 'run the node in the foreground; makes a mesh of its own if there is none', (command) => {
    command
      .option('--name <name>', 'what people call this node')
      .option('--region <region>', 'where it stands; where writes come from is counted by region')
      .option('--listen <multiaddr>', 'where to listen for other nodes (repeatable)', collect)
      .option('--announce <multiaddr>', 'an address to tell others (repeatable)', collect)
      .option('--bootstrap <multiaddr>', 'a node to call first (repeatable)', collect)
      .option('--join <token>', 'join the mesh of this invite first')
      .option('--max-storage <size>', 'what it may use on disk, e.g. 50GB')
      .option('--api <host:port>', 'where the API and the web page are')
  }, async (context, _args, options: Options) => {
    const { runNode } = await import('../../node/index.js')
    const flags: Partial<Record<SettingName, string | string[]>> = {
      ...(options.name === undefined ? {} : { 'node.name': options.name }),
      ...(options.region === undefined ? {} : { 'node.region': options.region }),
      ...(options.listen === undefined ? {} : { 'network.listen': options.listen }),
      ...(options.announce === undefined ? {} : { 'network.announce': options.announce }),
      ...(options.bootstrap === undefined ? {} : { 'network.bootstrap': options.bootstrap }),
      ...(options.maxStorage === undefined ? {} : { 'storage.max_storage': options.maxStorage }),
      ...(options.api === undefined ? {} : { 'api.listen': options.api }),
    }
    await runNode({
      home: context.home,
      flags,
      joinToken: options.join,
      signal: context.signal,
      onReady: ({ status, dashboardUrl }) => {
        // A node does not end for want of somebody to read, or of room for, what it prints.
        process.stdout.removeAllListeners('error').on('error', () => undefined)
        const home = `--home ${shellWord(status.home)}`
        context.print({ ...status, dashboardUrl }, () => [
          `${clean(status.name)} is up and gives up to ${formatSize(status.storage.maxBytes)} (mesh-node ${status.version})`,
          '',
          `  node       ${status.peerId}`,
          `  mesh       ${status.meshId}`,
          `  home       ${status.home}`,
          `  address    ${status.addresses.length === 0 ? 'none' : status.addresses.join('\n             ')}`,
          `  API        ${status.apiUrl ?? ''}`,
          `  dashboard  ${dashboardUrl}`,
          '',
          ...(status.isAdmin
            ? [`To let another machine in, run  ${commandName()} invite ${home}`, `and there                      ${thereName()} start --join TOKEN`]
            : ['Invites are made at the mesh\'s first node.']),
          '',
          'Ctrl-C stops it.',
        ].join('\n'))
      },
      say: (text) => {
        context.say(text)
      },
    })
  })
}
