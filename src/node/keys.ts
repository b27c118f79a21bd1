import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { codeOf, messageOf } from '../base/index.js'
import type { Random } from '../base/index.js'
import { NodeError } from './errors.js'
import { writePrivately } from './private-file.js'

/**
 * Key files: three lines of text, so that a person who opens one knows what it is and what not to do with it, and a
 * damaged one is told from a wrong one.
 *
 *   mesh-node identity key 1       kind and version
 *   64 hex digits                  the 32-byte Ed25519 seed (RFC 8032)
 *   8 hex digits                   the first 4 bytes of SHA-256 over the two lines above, as they stand, with their ends
 *
 * Lines that begin with # are not looked at.
 */
export type KeyKind = 'identity' | 'authority'

const seedBytes = 32
/** A key file has some 200 bytes. */
const fileBytesMax = 4096

const warnings: Record<KeyKind, string> = {
  identity: '# Secret. Whoever has this can be this node. Keep one copy, and never run two nodes from it.',
  authority: '# Secret. Whoever has this can invite nodes to the mesh and remove them. Keep a copy offline.',
}

export function newSeed(random: Random): Uint8Array {
  return random.bytes(seedBytes)
}

export function encodeKey(kind: KeyKind, seed: Uint8Array): string {
  const body = `mesh-node ${kind} key 1\n${Buffer.from(seed).toString('hex')}\n`
  return `${warnings[kind]}\n${body}${checksum(body)}\n`
}

/** Throws BAD_KEY and says what is wrong, never what stands in it. */
export function decodeKey(kind: KeyKind, text: string, file: string): Uint8Array {
  const bad = (why: string): NodeError => new NodeError('BAD_KEY', `${file} is not a usable ${kind} key: ${why}; restore it from a copy`, { file })
  const lines = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
  const header = /^mesh-node ([a-z]{1,20}) key (\d{1,4})$/.exec(lines[0] ?? '')
  if (header === null) throw bad('it does not begin like one')
  if (header[1] !== kind) throw bad(`it is an ${header[1] ?? ''} key`)
  if (header[2] !== '1') throw bad(`it is of version ${header[2] ?? ''}, which a newer mesh-node has written`)
  const [, seed = '', sum = ''] = lines
  if (lines.length !== 3 || !/^[0-9a-f]{64}$/.test(seed)) throw bad('the key in it is cut short or changed')
  if (checksum(`${lines[0] ?? ''}\n${seed}\n`) !== sum) throw bad('its checksum does not match')
  return Uint8Array.from(Buffer.from(seed, 'hex'))
}

function checksum(body: string): string {
  return createHash('sha256').update(body).digest('hex').slice(0, 8)
}

/** Undefined if there is no such file. */
export function readKey(kind: KeyKind, file: string): Uint8Array | undefined {
  let text: string
  try {
    if (statSync(file).size > fileBytesMax) throw new NodeError('BAD_KEY', `${file} is far too long for a key`, { file })
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    if (error instanceof NodeError) throw error
    throw new NodeError('BAD_KEY', `${file} cannot be read: ${messageOf(error)}`, { file }, { cause: error })
  }
  return decodeKey(kind, text, file)
}

export function writeKey(kind: KeyKind, file: string, seed: Uint8Array): void {
  writePrivately(file, encodeKey(kind, seed))
}

/** Whether others than the owner may read it. Always false on Windows, which has no such bits. */
export function isExposed(file: string): boolean {
  if (process.platform === 'win32') return false
  try {
    return (statSync(file).mode & 0o077) !== 0
  } catch {
    return false
  }
}
