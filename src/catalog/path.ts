import { hlcToMs } from '../base/index.js'
import type { Dot } from './types.js'
import { CatalogError } from './types.js'

/**
 * Paths have one form only, so that two people who mean the same file name it by the same bytes: `/a/b`, Unicode NFC (a
 * Mac types `é` as two code points, Linux as one), no empty, `.` or `..` segment, no control character. A backslash is a
 * letter like any other: a path never becomes a path of the machine's file system by itself.
 */
export const pathBytesMax = 4096
/** What Linux, macOS and Windows agree on for one name, so that every tree can be written out again. */
export const segmentBytesMax = 255
/** How much longer than `pathBytesMax` the path of a conflict copy may be: its suffix, `conflictSuffixBytesMax`. */
export const conflictSuffixBytesMax = 64

/** ` (conflict 2026-11-21 12-34-56 WRITER123-0abc)` before the extension. */
const conflictPattern = / ?\(conflict \d{4,6}-\d\d-\d\d \d\d-\d\d-\d\d [1-9A-HJ-NP-Za-km-z]{8}-[0-9a-z]{1,6}\)(?:\.[^/]*)?$/

/** The normal form of a file's path. Throws BAD_PATH with a sentence that says what is wrong. */
export function normalizePath(text: string): string {
  if (text === '/') throw new CatalogError('BAD_PATH', 'the path is the root folder; a file needs a name', { path: '/' })
  return normalize(text)
}

/** The normal form of a folder's path: `/`, or as a file's. A slash at the end is allowed, and taken off. */
export function normalizeFolder(text: string): string {
  if (text === '/') return text
  return normalize(text.endsWith('/') ? text.slice(0, -1) : text)
}

/** The folder that a path is in; `/` for the top. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(1, path.lastIndexOf('/')))
}

/** All folders above a path, the nearest first, without `/`. */
export function foldersAbove(path: string): string[] {
  const folders = []
  for (let folder = parentOf(path); folder !== '/'; folder = parentOf(folder)) folders.push(folder)
  return folders
}

/** Of what Unicode has one form of only, without a character or a name that is not allowed. */
const plainPath = /^(?:\/(?!\.{1,2}(?:\/|$))[ -.0-~]+)+$/

function normalize(text: string): string {
  // Nearly all paths, once more for each room that they pass: within every limit there is, and in normal form already.
  if (text.length <= segmentBytesMax && plainPath.test(text)) return text
  const bad = (why: string): CatalogError => new CatalogError('BAD_PATH', why, { path: printable(text) })
  const bytesMax = pathBytesMax + conflictSuffixBytesMax
  // UTF-8 never has fewer bytes than UTF-16 has units, and NFC at most triples: bound the work before doing any.
  if (text.length > 3 * bytesMax) throw bad(`the path is longer than ${pathBytesMax} bytes`)
  if (!text.startsWith('/')) throw bad('the path must begin with /')
  if (/\p{Cs}/u.test(text)) throw bad('the path has half a character in it (a lone surrogate)')
  if (/\p{Cc}/u.test(text)) throw bad('the path has a control character in it (NUL, line break, …)')
  const path = text.normalize('NFC')
  for (const segment of path.slice(1).split('/')) {
    if (segment === '') throw bad('the path has an empty name in it (// or a slash at the end)')
    if (segment === '.' || segment === '..') throw bad('the path has . or .. in it, which mean nothing here')
    const bytes = Buffer.byteLength(segment)
    if (bytes > segmentBytesMax) throw bad(`a name in the path has ${bytes} bytes; ${segmentBytesMax} are allowed`)
  }
  const bytes = Buffer.byteLength(path)
  if (bytes > (conflictPattern.test(path) ? bytesMax : pathBytesMax)) throw bad(`the path has ${bytes} bytes; ${pathBytesMax} are allowed`)
  // So that the conflict copy of a conflict copy still finds room for its name.
  if (Buffer.byteLength(parentOf(path)) > pathBytesMax - 2) throw bad(`the folders of the path have more than ${pathBytesMax - 2} bytes`)
  return path
}

/** For an error's facts: short, and nothing that a terminal would obey. */
function printable(text: string): string {
  return text.slice(0, 100).replace(/[\p{Cc}\p{Cs}]/gu, '\ufffd')
}

/**
 * The key of a path: UTF-8 with 01 for each slash. Nothing allowed in a name is lower than a space, so that everything
 * in a folder is next to each other, depth first: `/a`, `/a/b`, `/a b`, `/a-b`. With `/` itself (2f) the last two would
 * come in between.
 */
export function pathKey(path: string): Uint8Array {
  return Buffer.from(path.replaceAll('/', '\u0001'))
}

export function pathOfKey(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString().replaceAll('\u0001', '/')
}

/** The keys of everything below a folder, the folder's own path not included. */
export function folderRange(folder: string): { gte: Uint8Array; lt: Uint8Array } {
  const prefix = folder === '/' ? '' : folder.replaceAll('/', '\u0001')
  return { gte: Buffer.from(`${prefix}\u0001`), lt: Buffer.from(`${prefix}\u0002`) }
}

/**
 * Where a version that lost its path is seen: the same on every node, from nothing but the version's name. The date is
 * for people; writer and the rest of the timestamp (ms and counter, base 36) make it unique. `/d/name.txt` →
 * `/d/name (conflict 2026-11-21 12-34-56 Ab3dEf7h-2x4c).txt`. A name that would be too long is cut, between characters.
 */
export function conflictPath(path: string, dot: Dot): string {
  const ms = hlcToMs(dot.modified)
  const rest = (BigInt(ms % 1000) << 16n) | (dot.modified & 0xffffn)
  const suffix = ` (conflict ${dateText(ms)} ${dot.writer.slice(-8)}-${rest.toString(36)})`
  const folder = parentOf(path)
  const name = path.slice(folder === '/' ? 1 : folder.length + 1)
  const dotAt = name.lastIndexOf('.')
  // `.profile` is a name and not an extension, and an extension of 32 letters is none.
  const isExtension = dotAt > 0 && Buffer.byteLength(name) - dotAt <= 32
  const base = isExtension ? name.slice(0, dotAt) : name
  const extension = isExtension ? name.slice(dotAt) : ''
  const folderBytes = folder === '/' ? 0 : Buffer.byteLength(folder)
  const nameBytes = Math.min(segmentBytesMax, pathBytesMax + conflictSuffixBytesMax - folderBytes - 1)
  const tail = Buffer.byteLength(suffix + extension) <= nameBytes ? suffix + extension : suffix
  // Cutting between two code points may leave one that no longer composes: NFC again, which is never longer here.
  const cut = cutBytes(base, nameBytes - Buffer.byteLength(tail))
  return `${folder === '/' ? '' : folder}/${cut === '' ? tail.trimStart() : cut + tail}`.normalize('NFC')
}

function cutBytes(text: string, bytesMax: number): string {
  let bytes = 0
  let cut = ''
  for (const character of text) {
    bytes += Buffer.byteLength(character)
    if (bytes > bytesMax) break
    cut += character
  }
  return cut
}

/** `2026-11-21 12-34-56`, UTC. HLC's 48 bits of ms reach the year 10889: `Date` knows it as `+010889`. */
function dateText(ms: number): string {
  return new Date(ms).toISOString().replace(/^\+0?/, '').replace('T', ' ').replaceAll(':', '-').slice(0, -5)
}
