import { resolve } from 'node:path'
import { formatSize, parseTypedSize } from '../../base/index.js'
import type { CreateVolume, ExportVolume, VolumeDetails, VolumeExport } from '../../client/index.js'
import { ClientError } from '../../client/index.js'
import type { Context } from '../context.js'
import { CliError } from '../errors.js'
import type { Register } from '../register.js'
import { ago, clean, counted, shortId, table } from '../table.js'

const none = (): void => undefined

interface ExportFlags {
  unix?: string
  tcp?: string
  readOnly?: boolean
  read?: string
  detach?: boolean
}

/** Virtual disks, and the way for clients of NBD to them. */
export function volumeCommands(register: Register): void {
  register('volume create <name>', 'make a virtual disk; it costs nothing until it is written', (command) => {
    command
      .requiredOption('--size <size>', 'how large, e.g. 10GiB')
      .option('--durability <how>', 'flush: safe on all copies at every flush, as a disk with a cache; writethrough: at every write [flush]')
      .option('--replicas <number>', 'copies of each part [volumes.replicas]')
      .option('--policy <name>', 'when blocks follow their writer: adaptive or basic [adaptive]')
  }, async (context, [name = ''], flags: { size: string; durability?: string; replicas?: string; policy?: string }) => {
    const volume: CreateVolume = {
      sizeBytes: sizeOf(flags.size),
      ...(flags.durability === undefined ? {} : { durability: oneOf(['flush', 'writethrough'] as const, flags.durability, '--durability') }),
      ...(flags.replicas === undefined ? {} : { replicas: wholeNumber(flags.replicas, '--replicas') }),
      ...(flags.policy === undefined ? {} : { policy: oneOf(['adaptive', 'basic'] as const, flags.policy, '--policy') }),
    }
    const made = await context.client().createVolume(name, volume, { signal: context.signal })
    context.print(made, () => made.id)
    context.say(`${made.name}: ${formatSize(made.sizeBytes)}. \`mesh-node volume export ${made.name}\` makes it usable on this machine`)
  })

  register('volume ls', 'virtual disks of the mesh', none, async (context) => {
    const volumes = await context.client().volumes({ signal: context.signal })
    context.print(volumes, () => volumes.length === 0 ? '' : table(
      ['NAME', 'SIZE', 'WRITTEN HERE', 'COPIES', 'DURABILITY', 'EXPORTED HERE'],
      volumes.map((volume) => [volume.name, formatSize(volume.sizeBytes), formatSize(volume.usedBytes), volume.replicas, volume.durability, volume.exports.map(({ uri }) => uri).join(' ')]),
    ))
  })

  register('volume stat <name>', 'one of them: size, exports, who has it open', none, async (context, [name = '']) => {
    const volume = await context.client().volume(name, { signal: context.signal })
    context.print(volume, () => described(volume))
  })

  register('volume resize <name> <size>', 'let it grow', none, async (context, [name = '', size = '']) => {
    const volume = await context.client().resizeVolume(name, sizeOf(size), { signal: context.signal })
    context.print(volume, () => '')
    context.say(`${volume.name} has ${formatSize(volume.sizeBytes)} now; clients see it when they connect anew`)
  })

  register('volume rm <name>', 'remove it, with all that is in it, on every node', none, async (context, [name = '']) => {
    await context.client().removeVolume(name, { signal: context.signal })
    context.print({ name, removed: true }, () => '')
  })

  register('volume export <name>', 'let programs on this machine use it over NBD, until Ctrl-C', (command) => {
    command
      .option('--unix <path>', 'at a Unix socket, that only you can open')
      .option('--tcp <host:port>', 'at this address of this machine; port 0 takes any free one [127.0.0.1:10809]')
      .option('--read-only', 'clients cannot write')
      .option('--read <how>', 'stale: reads may come from any copy, and be behind [the newest]')
      .option('--detach', 'stay exported when this command has ended, and when the node is started again')
  }, async (context, [name = ''], flags: ExportFlags) => {
    if (flags.unix !== undefined && flags.tcp !== undefined) throw new CliError('USAGE', 'either --unix or --tcp')
    const wish: ExportVolume = {
      ...(flags.unix === undefined ? {} : { unix: resolve(flags.unix) }),
      ...(flags.tcp === undefined ? {} : { tcp: flags.tcp }),
      ...(flags.readOnly === true ? { readOnly: true } : {}),
      ...(flags.read === undefined || oneOf(['newest', 'stale'] as const, flags.read, '--read') === 'newest' ? {} : { staleReads: true }),
    }
    if (flags.detach === true) {
      const made = await context.client().exportVolume(name, wish, { signal: context.signal })
      context.print(made, () => made.uri)
      explain(context, made)
      context.say(`it stays until \`mesh-node volume unexport ${name}\``)
      return
    }
    await hold(context, name, wish)
  })

  register('volume unexport <name>', 'end its exports at this node: finishes and flushes what is under way, and disconnects clients', (command) => {
    command.option('--id <id>', 'only this export (`volume stat` shows them)')
  }, async (context, [name = ''], flags: { id?: string }) => {
    const result = await context.client().unexportVolume(name, flags.id, { signal: context.signal })
    context.print(result, () => '')
    context.say(`${String(result.ended)} ended`)
  })

  register('volume leases <name>', 'which node writes which blocks without asking anybody', none, async (context, [name = '']) => {
    const leases = await context.client().volumeLeases(name, { signal: context.signal })
    context.print(leases, () => leases.length === 0 ? '' : table(
      ['START', 'BLOCKS', 'REGION', 'TOKEN', 'NODE'], leases.map((lease) => [lease.start, lease.blocks, lease.region, lease.token, shortId(lease.holder)]),
    ))
  })

  register('volume heat <name>', 'which blocks are used, from where, and how slowly', none, async (context, [name = '']) => {
    const heat = await context.client().volumeHeat(name, { signal: context.signal })
    context.print(heat, () => heat.length === 0 ? '' : table(
      ['START', 'BLOCKS', 'WRITES', 'READS', 'LAST WRITE', 'BY REGION', 'WHERE IT BELONGS'],
      heat.map((range) => [
        range.start, range.blocks, Math.round(range.writes), Math.round(range.reads), range.lastWrite === null ? '' : ago(range.lastWrite),
        Object.entries(range.regions).map(([region, { writes, latencyMs }]) => `${clean(region)} ${String(Math.round(writes))} at ${latencyMs.toFixed(1)} ms`).join(', '),
        clean(range.decision?.explanation ?? ''),
      ]),
    ))
  })
}

/** Until Ctrl-C, which is how it is meant to end; anything else that ends it is an error. */
async function hold(context: Context, name: string, wish: ExportVolume): Promise<void> {
  let told = false
  try {
    for await (const state of context.client().holdExport(name, wish, { signal: context.signal })) {
      if (told) continue
      told = true
      context.print(state, () => state.uri)
      explain(context, state)
      context.say('Ctrl-C ends it')
    }
  } catch (error) {
    if (told && context.signal.aborted) {
      context.say(`${name} is not exported any more`)
      return
    }
    throw error
  }
  throw new ClientError('CONNECTION', `the node ended the export of ${name}`)
}

function explain(context: Context, { uri, unix, tcp, volume, readOnly }: VolumeExport): void {
  // Unlike an address with a port behind it, a host alone has no brackets.
  const [host = '', port = ''] = tcp === null ? [] : [tcp.slice(0, tcp.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1'), tcp.slice(tcp.lastIndexOf(':') + 1)]
  const kernel = unix === null ? `nbd-client ${host} ${port} /dev/nbd0 -name ${volume}` : `nbd-client -unix ${unix} /dev/nbd0 -name ${volume}`
  context.say([
    `  look      nbdinfo '${uri}'`,
    readOnly ? `  copy      nbdcopy '${uri}' disk.img` : `  fill      qemu-img convert -n -O raw disk.qcow2 '${uri}'`,
    `  machine   qemu-system-x86_64 … -drive 'file=${uri},format=raw'`,
    `  device    sudo ${kernel}${readOnly ? ' -readonly' : ''}`,
  ].join('\n'))
}

function described(volume: VolumeDetails): string {
  const rows: [string, string][] = [
    ['name', volume.name],
    ['id', volume.id],
    ['size', `${formatSize(volume.sizeBytes)} in ${counted(volume.segments, 'segment')}; ${formatSize(volume.usedBytes)} written on this node`],
    ['durability', volume.durability],
    ['copies', String(volume.replicas)],
    ['policy', volume.policy],
    ...volume.openOn.map(({ peerId, name }): [string, string] => ['open on', `${clean(name)} (${peerId})`]),
    ...volume.exports.map((one): [string, string] => ['exported', `${one.uri} (${[
      one.exportId, ...(one.readOnly ? ['read-only'] : []), ...(one.detached ? ['detached'] : []), ...(one.ready ? [] : ['waits for the mesh']),
      `${String(one.connections)} connection${one.connections === 1 ? '' : 's'}`,
    ].join(', ')})`]),
  ]
  return rows.map(([name, value]) => `${name.padEnd(12)}${value}`).join('\n')
}

function sizeOf(text: string): number {
  const bytes = parseTypedSize(text)
  if (bytes === undefined) throw new CliError('USAGE', `the size must be one such as 10GiB or 500GB, not "${text}"`)
  return bytes
}

function oneOf<const T extends string>(allowed: readonly T[], text: string, option: string): T {
  const found = allowed.find((one) => one === text)
  if (found === undefined) throw new CliError('USAGE', `${option} is ${allowed.join(' or ')}, not "${text}"`)
  return found
}

function wholeNumber(text: string, option: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value)) throw new CliError('USAGE', `${option} takes a whole number, not "${text}"`)
  return value
}
