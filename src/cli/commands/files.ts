import { formatSize } from '../../base/index.js'
import type { FileInfo, ListEntry, MeshClient } from '../../client/index.js'
import type { Context } from '../context.js'
import { CliError, withError } from '../errors.js'
import { Progress } from '../progress.js'
import type { Register } from '../register.js'
import { ago, clean, counted, shortId, table } from '../table.js'
import { writeWhole } from '../whole-file.js'
import { checkUnicode, priorityOf, replicasOf } from './put.js'

const none = (): void => undefined

/** What can be done with files besides putting and getting them. */
export function fileCommands(register: Register): void {
  register('ls [path]', 'list a folder of the mesh', (command) => {
    command.option('-r, --recursive', 'with all that is below')
  }, async (context, [path = '/'], options: { recursive?: boolean }) => {
    const entries = await context.client().list(path, { recursive: options.recursive === true, signal: context.signal })
    context.print(entries, () => listing(entries))
  })

  register('stat <what>', 'what is known of a path or CID', none, async (context, [what = '']) => {
    const client = context.client()
    const info = await client.stat(what, { signal: context.signal })
    const names = context.json || info.replicas.holders.length === 0 ? new Map<string, string>() : await namesOf(client, context.signal)
    context.print(info, () => described(info, names))
  })

  register('rm <path>', 'remove a file from the mesh', (command) => {
    command.option('-r, --recursive', 'remove a folder with all that is in it')
  }, async (context, [path = ''], options: { recursive?: boolean }) => {
    const result = await context.client().remove(path, { recursive: options.recursive === true, signal: context.signal })
    context.print(result, () => '')
    if (options.recursive === true) context.say(`${counted(result.removed, 'file')} removed`)
  })

  register('mv <from> <to>', 'move a file or folder of the mesh', none, async (context, [from = '', to = '']) => {
    checkUnicode(to)
    const result = await context.client().move(from, to, { signal: context.signal })
    context.print(result, () => '')
  })

  register('export <what> <file>', 'write a CID or path, and all under it, as a CAR archive', none, async (context, [what = '', file = '']) => {
    const client = context.client()
    let cid = what
    if (what.startsWith('/')) {
      const info = await client.stat(what, { signal: context.signal })
      if (info.cid === null) throw new CliError('USAGE', `in ${what} there are files where folders are, too, and an archive cannot hold both: move them away first`, { path: what })
      cid = info.cid
    }
    const chunks = await client.exportCar(cid, { signal: context.signal })
    if (file === '-') {
      for await (const chunk of chunks) if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve))
      return
    }
    const progress = new Progress(cid, undefined, { quiet: context.json })
    let bytes = 0
    try {
      bytes = await writeWhole(file, progress.through(chunks), undefined)
    } finally {
      progress.clear()
    }
    context.print({ cid, file, size: bytes }, () => '')
    context.say(`${file}: ${formatSize(bytes)}`)
  })

  register('verify [cid]', 'hash again what this node holds, and heal what is corrupt', none, async (context, [cid]) => {
    const results = []
    let corrupt = 0
    let healed = 0
    for await (const result of context.client().verify(cid, { signal: context.signal })) {
      results.push(result)
      if (result.healed) healed++
      else if (!result.ok) {
        corrupt++
        context.say(`${result.cid}: ${clean(result.error ?? 'corrupt')}`)
      }
    }
    const checked = results.length
    const error = corrupt === 0 ? undefined : new CliError('CORRUPT', `${String(corrupt)} are corrupt and could not be healed: no other holder answered with the right bytes`, { corrupt })
    context.print(withError({ checked, corrupt, healed, results: results.filter((result) => !result.ok || result.healed) }, error), () =>
      `${String(checked)} checked, ${String(corrupt)} corrupt, ${String(healed)} healed`)
    if (error !== undefined) throw error
  })

  register('pin add <what>', 'a path: never evict it, on any node (of a folder: what is in it now); a CID: keep it on this node, though no file has it', none, async (context, [what = '']) => {
    context.print(await setPin(context, what, true), () => '')
  })
  register('pin rm <what>', 'let a path or a CID be evicted like anything else', none, async (context, [what = '']) => {
    context.print(await setPin(context, what, false), () => '')
  })
  register('pin ls', 'what is pinned', none, async (context) => {
    const entries = await context.client().pins({ signal: context.signal })
    context.print(entries, () => listing(entries))
  })

  register('priority set <path> <priority>', 'how much it matters; of a folder: all that is in it now', none, async (context, [path = '', priority = '']) => {
    context.print(await context.client().update(path, { priority: priorityOf(priority) }, { signal: context.signal }), () => '')
  })

  register('replicas set <path> <number>', 'on how many nodes it should be; of a folder: all that is in it now', none, async (context, [path = '', count = '']) => {
    const client = context.client()
    const replicas = replicasOf(count)
    context.print(await client.update(path, { replicas }, { signal: context.signal }), () => '')
    if (replicas === 1) context.say('one copy is lost with its node')
    if (context.json) return
    const nodes = (await client.members({ signal: context.signal })).filter(({ state }) => state !== 'gone').length
    if (replicas > nodes) context.say(`there are ${String(nodes)} nodes: there will be no more copies than that until others join`)
  })
  register('replicas ls [path]', 'who has what', none, async (context, [path = '/']) => {
    const client = context.client()
    const entries = await client.list(path, { recursive: true, signal: context.signal })
    const infos: FileInfo[] = []
    for (const entry of entries) if (entry.type === 'file') infos.push(await client.stat(entry.path, { signal: context.signal }))
    const names = context.json ? new Map<string, string>() : await namesOf(client, context.signal)
    const rows = infos.map((info) => ({ path: info.path, cid: info.cid, replicas: info.replicas }))
    context.print(rows, () => table(['PATH', 'HAVE', 'WANTED', 'HOLDERS'], rows.map((row) => [row.path ?? '', row.replicas.have, row.replicas.wanted, row.replicas.holders.map((holder) => nameOf(holder, names)).join(' ')])))
  })
}

function listing(entries: readonly ListEntry[]): string {
  if (entries.length === 0) return ''
  return table(
    ['SIZE', 'COPIES', 'PRIORITY', 'MODIFIED', 'PATH'],
    entries.map((entry) => [
      entry.type === 'dir' ? '' : formatSize(entry.size),
      entry.type === 'dir' ? '' : `${String(entry.replicas.have)}/${String(entry.replicas.wanted)}`,
      entry.priority ?? '',
      entry.modified === null ? '' : ago(entry.modified),
      entry.type === 'dir' ? `${entry.path}/` : entry.path,
    ]),
  )
}

function described(info: FileInfo, names: ReadonlyMap<string, string>): string {
  const rows: [string, string | null][] = [
    ['path', info.path],
    ['type', info.type],
    ['cid', info.cid],
    ['size', `${formatSize(info.size)} (${String(info.size)} bytes)`],
    ['files', info.files === undefined ? null : String(info.files)],
    ['blobs', info.type === 'dir' ? null : String(info.blobs)],
    ['priority', info.priority],
    ['replicas', info.type === 'dir' ? (info.replicas.wanted === 0 ? null : `${String(info.replicas.wanted)} wanted of each`) : `${String(info.replicas.have)} of ${String(info.replicas.wanted)}`],
    ['holders', info.replicas.holders.length === 0 ? null : info.replicas.holders.map((holder) => holderOf(holder, names)).join('\n          ')],
    ['pinned', info.pinned ? 'yes' : 'no'],
    ['owner', info.owner],
    ['modified', info.modified === null ? null : new Date(info.modified).toISOString()],
    ['token', info.token === '0' ? null : info.token],
  ]
  return rows.filter((row): row is [string, string] => row[1] !== null).map(([name, value]) => `${name.padEnd(10)}${name === 'holders' ? value : clean(value)}`).join('\n')
}

/** What people call the nodes; nothing of one that has left. */
async function namesOf(client: MeshClient, signal: AbortSignal): Promise<Map<string, string>> {
  return new Map((await client.members({ signal })).map(({ peerId, name }) => [peerId, name]))
}

function nameOf(peerId: string, names: ReadonlyMap<string, string>): string {
  const name = names.get(peerId) ?? ''
  return name === '' ? shortId(peerId) : clean(name)
}

function holderOf(peerId: string, names: ReadonlyMap<string, string>): string {
  const name = names.get(peerId) ?? ''
  return name === '' ? peerId : `${peerId}  ${clean(name)}`
}

/** A path begins with a slash; anything else is a CID, or the beginning of one. */
async function setPin(context: Context, what: string, pinned: boolean): Promise<{ changed: number }> {
  const { signal } = context
  return what.startsWith('/') ? context.client().update(what, { pinned }, { signal }) : context.client().pinContent(what, pinned, { signal })
}
