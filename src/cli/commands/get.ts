import { lstat, mkdir, realpath, utimes } from 'node:fs/promises'
import { basename, join, sep } from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { codeOf, formatSize, messageOf } from '../../base/index.js'
import type { ByteRange } from '../../client/index.js'
import type { Context } from '../context.js'
import { CliError, withError } from '../errors.js'
import { Progress } from '../progress.js'
import type { Register } from '../register.js'
import { clean, counted } from '../table.js'
import { cannotWrite, lookAtTarget, openPartial, writeInto, writeWhole } from '../whole-file.js'
import type { Partial } from '../whole-file.js'

interface Options {
  output?: string
  range?: string
}

export function getCommand(register: Register): void {
  register('get <what>', 'read a file by path or CID, or a folder by path', (command) => {
    command
      .option('-o, --output <file>', 'where to write it; - or nothing is standard output. A folder needs one')
      .option('--range <from-to>', 'these bytes only, counted from 0, both included: 0-99, 100-, -100')
  }, async (context, [what = ''], options: Options) => {
    const range = options.range === undefined ? undefined : rangeOf(options.range)
    const info = await context.client().stat(what, { signal: context.signal })
    if (info.type === 'dir') {
      if (range !== undefined) throw new CliError('USAGE', `${what} is a folder: a range is of a file`)
      if (options.output === undefined || options.output === '-') throw new CliError('USAGE', `${what} is a folder: say where it should go with -o FOLDER`)
      await getFolder(context, info.path ?? what, options.output)
      return
    }
    const content = await context.client().get(what, { signal: context.signal, range })
    const progress = new Progress(what, content.size, { quiet: context.json })
    const chunks = progress.through(content.bytes)
    try {
      if (options.output === undefined || options.output === '-') {
        await pipeline(chunks, keptOpen(process.stdout))
        return
      }
      const target = await targetFile(options.output, info.path ?? what)
      const bytes = await writeWhole(target, chunks, content.size)
      progress.clear()
      context.print({ cid: info.cid, path: info.path, size: bytes, file: target }, () => '')
      context.say(`${target}: ${formatSize(bytes)}`)
    } finally {
      progress.clear()
    }
  })
}

export function rangeOf(text: string): ByteRange {
  const match = /^(\d{0,15})-(\d{0,15})$/.exec(text)
  const [, from = '', to = ''] = match ?? []
  if (match === null || (from === '' && to === '') || (from !== '' && to !== '' && Number(to) < Number(from))) {
    throw new CliError('USAGE', `--range takes FROM-TO, such as 0-99, 100- or -100, not "${text}"`)
  }
  return { ...(from === '' ? {} : { from: Number(from) }), ...(to === '' ? {} : { to: Number(to) }) }
}

/** Ending a pipeline must not end the process's own standard output. */
function keptOpen(stream: NodeJS.WriteStream): Writable {
  return new Writable({
    write(chunk: Uint8Array, _encoding, done) {
      stream.write(chunk, done)
    },
  })
}

/** Of a folder in which much is wrong, the first are enough to see what. */
const failuresShownMax = 20

/** An existing folder as the target of a file means: in there, under its own name. */
async function targetFile(output: string, what: string): Promise<string> {
  const isFolder = output.endsWith('/') || output.endsWith(sep) || (await lookAtTarget(output))?.isDirectory() === true
  return isFolder ? join(output, checkedName(basename(what))) : output
}

async function getFolder(context: Context, path: string, output: string): Promise<void> {
  const root = await madeFolder(output)
  const progress = new Progress(path, undefined, { quiet: context.json })
  const written: { path: string; size: number }[] = []
  const failed: { path: string; code: string; message: string }[] = []
  const known = new Set<string>()
  let bytes = 0
  try {
    for await (const entry of context.client().getFolder(path, { signal: context.signal })) {
      let target: string
      let partial: Partial
      try {
        target = await insideOf(root, entry.path, known)
        const there = await lookAtTarget(target)
        if (there?.isDirectory() === true) throw new CliError('CANNOT_WRITE', `${target} is a folder`, { path: entry.path })
        partial = await openPartial(target, there)
      } catch (error) {
        // A name that cannot be had here keeps no other from being read. A full disk half-way and a broken connection do.
        failed.push({ path: entry.path, code: codeOf(error) ?? 'CANNOT_WRITE', message: messageOf(error) })
        for await (const chunk of entry.content) progress.add(chunk.length)
        continue
      }
      await writeInto(partial, target, progress.through(entry.content), entry.size)
      await utimes(target, entry.modifiedMs / 1000, entry.modifiedMs / 1000)
      written.push({ path: entry.path, size: entry.size })
      bytes += entry.size
    }
    progress.clear()
    const error = failed.length === 0 ? undefined : new CliError('NOT_ALL', `${String(failed.length)} of ${String(failed.length + written.length)} files could not be written`, { failed: failed.length })
    context.print(withError({ path, folder: root, files: written.length, size: bytes, failed }, error), () => '')
    context.say(`${root}: ${counted(written.length, 'file')}, ${formatSize(bytes)}`)
    for (const file of failed.slice(0, failuresShownMax)) context.say(`${clean(file.path)}: ${clean(file.message)}`)
    if (error !== undefined) throw error
  } finally {
    progress.clear()
  }
}

async function madeFolder(path: string): Promise<string> {
  try {
    await mkdir(path, { recursive: true })
    return await realpath(path)
  } catch (error) {
    throw cannotWrite(path, error)
  }
}

/**
 * Where an entry goes. Names come from other people, so each part is checked, and every folder on the way is looked at
 * before it is entered: a link that is already there could lead anywhere, and nothing may be written outside `root`.
 * `known` are folders that were found good in this run.
 */
async function insideOf(root: string, path: string, known: Set<string>): Promise<string> {
  const parts = path.split('/').map(checkedName)
  let folder = root
  for (const part of parts.slice(0, -1)) {
    folder = join(folder, part)
    if (known.has(folder)) continue
    try {
      const info = await lstat(folder)
      if (!info.isSymbolicLink() && !info.isDirectory()) throw new CliError('BAD_NAME', `${path} is not written: ${folder} is a file here`, { path })
      if (info.isSymbolicLink()) throw new CliError('BAD_NAME', `${path} is not written: ${folder} is a link, and may lead out of ${root}`, { path })
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await mkdir(folder)
    }
    known.add(folder)
  }
  return join(folder, parts.at(-1) ?? '')
}

const reservedOnWindows = /^(con|prn|aux|nul|com\d|lpt\d)(\..*)?$/i

export function checkedName(name: string): string {
  const bad = name === '' || name === '.' || name === '..' || name.includes('\0') || name.includes('/') ||
    (process.platform === 'win32' && (/[\\:*?"<>|]/.test(name) || /[. ]$/.test(name) || reservedOnWindows.test(name)))
  if (bad) throw new CliError('BAD_NAME', `"${name.replace(/\p{Cc}/gu, '?')}" cannot be the name of a file on this machine`, { name })
  return name
}
