import { mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import type { Stats } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { codeOf, messageOf } from '../base/index.js'
import { CliError } from './errors.js'

/** A file on its way: under another name until it is whole. */
export interface Partial {
  path: string
  file: FileHandle
}

/**
 * Writes `chunks` to where the person said, and resolves to the bytes written. What has the right name is right: it has
 * another until it is whole, and a break half-way leaves nothing. A link leads to the file that it names, and a file
 * that was there hands on its permissions. What is no file (a device, a pipe) is written to as it is: put in its place,
 * a file would be the end of `/dev/null`.
 */
export async function writeWhole(output: string, chunks: AsyncIterable<Uint8Array>, size: number | undefined): Promise<number> {
  const there = await lookAtTarget(output)
  if (there === undefined) return writeInto(await openPartial(output), output, chunks, size)
  if (there.isDirectory()) throw new CliError('CANNOT_WRITE', `${output} is a folder`, { path: output })
  if (!there.isFile()) return writeTo(output, chunks, size)
  const target = await realpath(output)
  return writeInto(await openPartial(target, there), target, chunks, size)
}

const permissionBits = 0o777

/** What is there, links followed; undefined if nothing is. Throws CANNOT_WRITE. */
export async function lookAtTarget(path: string): Promise<Stats | undefined> {
  try {
    return await stat(path)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw cannotWrite(path, error)
  }
}

/** `there`: what is to be replaced. */
export async function openPartial(target: string, there?: Stats): Promise<Partial> {
  // Bytes are what a file system counts, and a character may have four.
  const path = join(dirname(target), `.${basename(target).slice(0, 50)}.${String(process.pid)}.part`)
  try {
    await mkdir(dirname(target), { recursive: true })
    const file = await open(path, 'wx')
    // Some file systems have no permissions.
    if (there?.isFile() === true) await file.chmod(there.mode & permissionBits).catch(() => undefined)
    return { path, file }
  } catch (error) {
    throw cannotWrite(target, error)
  }
}

export async function writeInto({ path: partial, file }: Partial, target: string, chunks: AsyncIterable<Uint8Array>, size: number | undefined): Promise<number> {
  try {
    const bytes = await poured(chunks, file, size)
    await rename(partial, target)
    return bytes
  } catch (error) {
    await rm(partial, { force: true })
    throw cannotWrite(target, error)
  }
}

async function writeTo(path: string, chunks: AsyncIterable<Uint8Array>, size: number | undefined): Promise<number> {
  try {
    return await poured(chunks, await open(path, 'w'), size)
  } catch (error) {
    throw cannotWrite(path, error)
  }
}

/** Closes `file`, too. */
async function poured(chunks: AsyncIterable<Uint8Array>, file: FileHandle, size: number | undefined): Promise<number> {
  let bytes = 0
  await pipeline(
    (async function* () {
      for await (const chunk of chunks) {
        bytes += chunk.length
        yield chunk
      }
    })(),
    file.createWriteStream({ highWaterMark: 1 << 20 }),
  )
  if (size !== undefined && size !== bytes) throw new CliError('CORRUPT', `${String(bytes)} bytes came where ${String(size)} were promised`, { size, bytes })
  return bytes
}

const reasons: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  EROFS: 'that file system can only be read',
  ENOTDIR: 'a part of the way there is a file and no folder',
  EEXIST: 'a file of that name is in the way',
  EISDIR: 'it is a folder',
  ENAMETOOLONG: 'the name is too long for this disk',
  EPIPE: 'whoever read it has gone',
}

/** What went wrong with a file here, in words; anything else (a broken connection) as it is. */
export function cannotWrite(target: string, error: unknown): unknown {
  const code = codeOf(error)
  if (code === 'ENOSPC') return new CliError('CANNOT_WRITE', `the disk under ${target} is full; nothing was left there`, { path: target }, { cause: error })
  if (code === undefined || !/^E[A-Z]+$/.test(code)) return error
  return new CliError('CANNOT_WRITE', `${target} cannot be written: ${reasons[code] ?? messageOf(error)}`, { path: target }, { cause: error })
}
