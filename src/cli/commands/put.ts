import { createReadStream } from 'node:fs'
import type { Stats } from 'node:fs'
import { open, readFile, stat } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Command } from 'commander'
import { codeOf, formatSize, messageOf } from '../../base/index.js'
import type { FolderSource, Priority, PutOptions } from '../../client/index.js'
import { priorities } from '../../client/index.js'
import type { Context } from '../context.js'
import { CliError, withError } from '../errors.js'
import { filesBelow } from '../folder-files.js'
import type { FolderFile } from '../folder-files.js'
import { Progress } from '../progress.js'
import type { Register } from '../register.js'
import { clean, counted } from '../table.js'

interface Options {
  as?: string
  priority?: string
  replicas?: string
  pin?: boolean
  wait?: boolean
  lease?: string
}

export function putCommand(register: Register): void {
  register('put <file>', 'put a file, a folder, or - (standard input) into the mesh; prints its CID', (command) => {
    withPutOptions(command.option('--as <path>', 'its path in the mesh [/ and its own name]'))
  }, async (context, [file = ''], options: Options) => {
    const put = putOptionsOf(options)
    if (file === '-') {
      if (options.as === undefined) throw new CliError('USAGE', 'standard input has no name of its own: give it one with --as /path')
      checkUnicode(options.as)
      await putFile(context, options.as, process.stdin as AsyncIterable<Uint8Array>, undefined, put)
      return
    }
    const info = await lookAt(file)
    const path = pathFor(file, options.as)
    if (info.isDirectory()) await putFolder(context, file, path, put)
    else if (info.isFile()) await putFile(context, path, contentOf(file), info.size, put)
    else throw new CliError('CANNOT_READ', `${file} is neither a file nor a folder${info.isFIFO() ? '; what comes through a pipe is put by `mesh-node put - --as /path`' : ''}`, { file })
  })
}

function withPutOptions(command: Command): void {
  command
    .option('--priority <priority>', `one of ${priorities.join(', ')}`)
    .option('--replicas <number>', 'on how many nodes it should be')
    .option('--pin', 'never evict it here')
    .option('--wait', 'return when that many nodes have it')
    .option('--lease <id>', 'only while this lease of this node holds, and under its token')
}

/** Large enough that a call costs nothing beside its bytes. */
const chunkBytes = 1 << 20

/** Opened when it is read first: what is refused before leaves nothing open. */
async function* contentOf(file: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(file, { highWaterMark: chunkBytes }) as AsyncIterable<Uint8Array>
}

/** A file at most this large goes into the stream in one piece. */
const smallBytesMax = 1 << 20
/** How often `--wait` looks how many copies there are. */
const lookAgainMs = 500
/** Files opened ahead of the one that is being sent. Reading small files is waiting for the disk, mostly. */
const readAhead = 32

/** Of a folder in which much is wrong, the first are enough to see what. */
const failuresShownMax = 20

export function priorityOf(text: string): Priority {
  const priority = priorities.find((name) => name === text)
  if (priority === undefined) throw new CliError('USAGE', `there is no priority "${text}": it is one of ${priorities.join(', ')}`)
  return priority
}

export function replicasOf(text: string): number {
  const replicas = Number(text)
  if (!/^\d{1,4}$/.test(text) || replicas < 1 || replicas > 999) throw new CliError('USAGE', `the number of replicas is a whole number from 1 to 999, not "${text}"`)
  return replicas
}

function putOptionsOf(options: Options): PutOptions {
  return {
    ...(options.priority === undefined ? {} : { priority: priorityOf(options.priority) }),
    ...(options.replicas === undefined ? {} : { replicas: replicasOf(options.replicas) }),
    ...(options.pin === true ? { pin: true } : {}),
    ...(options.wait === true ? { wait: true } : {}),
    ...(options.lease === undefined ? {} : { lease: options.lease }),
  }
}

/** What is no UTF-8 has come here as U+FFFD, and a file by that name would be another one. */
export function checkUnicode(path: string): void {
  if (path.includes('\ufffd')) throw new CliError('USAGE', `"${path.slice(0, 100)}" has bytes in it that are no UTF-8, or the sign that stands for such: no name for a file here`)
}

/** `--as /a/` means: in there, under its own name. */
function pathFor(file: string, as: string | undefined): string {
  const name = basename(resolve(file))
  checkUnicode(as ?? name)
  if (as === undefined) {
    if (name === '') throw new CliError('USAGE', `${file} has no name of its own: give it one with --as /path`)
    return `/${name}`
  }
  return as.endsWith('/') && as !== '/' ? as + name : as
}

async function lookAt(file: string): Promise<Stats> {
  try {
    return await stat(file)
  } catch (error) {
    checkUnicode(file)
    if (codeOf(error) === 'ENOENT') throw new CliError('NOT_FOUND', `there is no file ${file}`, { file }, { cause: error })
    throw new CliError('CANNOT_READ', `${file} cannot be read: ${messageOf(error)}`, { file }, { cause: error })
  }
}

async function putFile(context: Context, path: string, content: AsyncIterable<Uint8Array>, size: number | undefined, options: PutOptions): Promise<void> {
  const progress = new Progress(path, size, { quiet: context.json })
  const ended = new AbortController()
  const sent = async function* (): AsyncIterable<Uint8Array> {
    yield* progress.through(readable(content))
    if (options.wait === true && progress.isShown) void tellCopies(context, path, progress, AbortSignal.any([context.signal, ended.signal]))
  }
  try {
    const result = await context.client().put(path, sent(), { ...options, signal: context.signal })
    ended.abort()
    progress.clear()
    context.print(result, () => result.cid ?? '')
    if (result.replicas.have < result.replicas.wanted) {
      context.say(`${result.path}: ${formatSize(result.size)}, on ${String(result.replicas.have)} of ${String(result.replicas.wanted)} nodes so far`)
    }
  } finally {
    ended.abort()
    progress.clear()
  }
}

/** All is sent, and others are to have it, too: how many do, until `signal` aborts. */
async function tellCopies(context: Context, path: string, progress: Progress, signal: AbortSignal): Promise<void> {
  progress.say('stored here; waiting for copies')
  for (;;) {
    try {
      await setTimeout(lookAgainMs, undefined, { signal })
    } catch {
      return
    }
    try {
      const { replicas } = await context.client().stat(path, { signal })
      progress.say(`on ${String(replicas.have)} of ${String(replicas.wanted)} nodes`)
    } catch {
      // Its record may not be written yet; and whether the put succeeds is told by its answer alone.
    }
  }
}

async function* readable(content: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    yield* content
  } catch (error) {
    throw new CliError('CANNOT_READ', messageOf(error), {}, { cause: error })
  }
}

async function putFolder(context: Context, folder: string, path: string, options: PutOptions): Promise<void> {
  const files: FolderFile[] = []
  const unnamed: { path: string; code: string; message: string }[] = []
  let bytes = 0
  for await (const found of filesBelow(folder)) {
    context.signal.throwIfAborted()
    if ('skipped' in found) context.say(`skipped ${clean(found.full)}: ${found.skipped}`)
    else if ('why' in found) unnamed.push({ path: found.path, code: 'BAD_PATH', message: found.why })
    else {
      files.push(found)
      bytes += found.size
    }
  }
  if (files.length === 0) {
    const [first] = unnamed
    if (first !== undefined) throw new CliError('NOT_ALL', `none of the files in ${folder} can be put; ${clean(first.path)}: ${first.message}`, { failed: unnamed.length })
    throw new CliError('NOT_FOUND', `there are no files in ${folder}, and the mesh keeps no empty folders`, { folder })
  }
  const progress = new Progress(path, bytes, { quiet: context.json })
  try {
    const result = await context.client().putFolder(path, sources(files, progress), { ...options, signal: context.signal })
    progress.clear()
    const failed = [...unnamed, ...(result.failed ?? [])]
    const error = failed.length === 0 ? undefined : new CliError('NOT_ALL', `${String(failed.length)} of ${String(failed.length + result.files)} files could not be put`, { failed: failed.length })
    context.print(withError({ ...result, ...(failed.length === 0 ? {} : { failed }) }, error), () => [...result.entries.map((entry) => `${entry.cid}  ${entry.path}`), ...(result.cid === null ? [] : [result.cid])].join('\n'))
    context.say(`${counted(result.files, 'file')}, ${formatSize(result.size)} at ${result.path}`)
    for (const file of failed.slice(0, failuresShownMax)) context.say(`${clean(file.path)}: ${clean(file.message)}`)
    if (error !== undefined) throw error
  } finally {
    progress.clear()
  }
}

async function* sources(files: readonly FolderFile[], progress: Progress): AsyncIterable<FolderSource> {
  const ahead = new Map<number, Promise<FolderSource>>()
  const start = (index: number): void => {
    const file = files[index]
    if (file === undefined) return
    const source = openSource(file, progress)
    source.catch(() => undefined)
    ahead.set(index, source)
  }
  for (let index = 0; index < Math.min(readAhead, files.length); index++) start(index)
  for (let index = 0; index < files.length; index++) {
    const source = await ahead.get(index)
    ahead.delete(index)
    start(index + readAhead)
    if (source !== undefined) yield source
  }
}

async function openSource(file: FolderFile, progress: Progress): Promise<FolderSource> {
  if (file.size <= smallBytesMax) {
    let content
    try {
      content = await readFile(file.full)
    } catch (error) {
      throw new CliError('CANNOT_READ', messageOf(error), { file: file.full }, { cause: error })
    }
    progress.add(content.length)
    return { path: file.path, size: content.length, modifiedMs: file.modifiedMs, content }
  }
  return { path: file.path, size: file.size, modifiedMs: file.modifiedMs, content: progress.through(exactly(file.full, file.size)) }
}

/** A tar entry says its size first, so that a file which changes while it is read cannot be sent: it is told, not cut. */
async function* exactly(file: string, size: number): AsyncIterable<Uint8Array> {
  const handle = await open(file)
  try {
    let sent = 0
    while (sent < size) {
      const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size - sent))
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, sent)
      if (bytesRead === 0) throw new CliError('CHANGED', `${file} became shorter while it was read; put it again`, { file })
      sent += bytesRead
      yield buffer.subarray(0, bytesRead)
    }
  } finally {
    await handle.close()
  }
}
