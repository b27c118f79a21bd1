import type { NodeId } from '../../base/index.js'
import type { Ballot } from '../ballot.js'
import type { SessionId } from '../types.js'
import { noBytes } from '../value.js'
import type { Register, Value } from '../value.js'

/**
 * Registers as bytes in memory, for `CompactTable`: as objects one takes some 700 bytes, most of them names of nodes that
 * a million registers share. These bytes never leave the process, so they need no version. After the scope:
 *
 *   flags      1 byte: see below
 *   promised   ballot
 *   accepted   ballot, if there is one: config and round alone where its session is that of `promised`
 *   holder     session, unless it is free or that of the accepted ballot
 *   token      number
 *   op         name of the node, epoch, count (as `Operations.nextOp` makes them); else length and text
 *   payload    the rest
 *
 *   ballot     config, round, session            session    number of the node's name, of the incarnation's, epoch
 *   number     7 bits a byte, lowest first, the eighth says that more follow
 */
export const flagAccepted = 1
const flagSameSession = 2
const flagHeld = 4
const flagHeldByProposer = 8
const flagPlainOp = 16
export const flagFree = 32

const opPattern = /^(.+)\.(\d{1,15})\.(\d{1,15})$/

/** Names that come again and again, by number. As many as stores have ever spoken here; it starts anew with the table. */
export class Names {
  readonly #numbers = new Map<string, number>()
  readonly #names: string[] = []

  number(name: string): number {
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    const number = this.#names.push(name) - 1
    this.#numbers.set(name, number)
    return number
  }

  has(name: string): boolean {
    return this.#numbers.has(name)
  }

  name(number: number): string {
    return this.#names[number] ?? ''
  }
}

/** Where a register is put together before it is known how long it is. */
export class Packer {
  bytes = Buffer.allocUnsafeSlow(4096)
  length = 0

  number(value: number): void {
    this.#room(8)
    let rest = value
    while (rest >= 0x80) {
      this.bytes[this.length++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.bytes[this.length++] = rest
  }

  text(value: string): void {
    const size = Buffer.byteLength(value)
    this.number(size)
    this.#room(size)
    this.length += this.bytes.write(value, this.length)
  }

  raw(value: Uint8Array): void {
    this.#room(value.length)
    this.bytes.set(value, this.length)
    this.length += value.length
  }

  #room(size: number): void {
    if (this.length + size <= this.bytes.length) return
    const larger = Buffer.allocUnsafeSlow(2 * (this.length + size))
    this.bytes.copy(larger, 0, 0, this.length)
    this.bytes = larger
  }
}

export function packRegister({ promised, accepted }: Register, to: Packer, names: Names): void {
  const sameSession = accepted !== undefined && isSameSession(accepted.ballot, promised)
  const holder = accepted?.value.holder ?? null
  const heldByProposer = accepted !== undefined && holder !== null && isSameSession(holder, accepted.ballot)
  packSession(promised, to, names)
  // Interned by now, if it is the proposer's own, as it nearly always is.
  const op = accepted === undefined ? undefined : opOf(accepted.value.op, names)
  let flags = 0
  if (accepted !== undefined) flags |= flagAccepted
  if (sameSession) flags |= flagSameSession
  if (holder !== null) flags |= flagHeld
  if (heldByProposer) flags |= flagHeldByProposer
  if (accepted !== undefined && op === undefined) flags |= flagPlainOp
  if (accepted !== undefined && holder === null && accepted.value.payload.length === 0) flags |= flagFree
  to.number(flags)
  to.number(promised.config)
  to.number(promised.round)
  if (accepted === undefined) return
  const { ballot, value } = accepted
  to.number(ballot.config)
  to.number(ballot.round)
  if (!sameSession) packSession(ballot, to, names)
  if (holder !== null && !heldByProposer) packSession(holder, to, names)
  to.number(value.token)
  if (op === undefined) to.text(value.op)
  else for (const part of op) to.number(part)
  to.raw(value.payload)
}

/** The flags of what `packRegister` has put at `at`. */
export function flagsAt(bytes: Uint8Array, at: number): number {
  const reader = new Reader(bytes, at, bytes.length)
  for (let i = 0; i < 3; i++) reader.number()
  return reader.number()
}

/** Shares nothing with `bytes`, which may be moved. */
export function unpackRegister(bytes: Uint8Array, at: number, end: number, names: Names): Register {
  const from = new Reader(bytes, at, end)
  const promiser = from.session(names)
  const flags = from.number()
  const promised: Ballot = { config: from.number(), round: from.number(), ...promiser }
  if ((flags & flagAccepted) === 0) return { promised }
  const [config, round] = [from.number(), from.number()]
  const proposer = (flags & flagSameSession) === 0 ? from.session(names) : promiser
  const holder = (flags & flagHeld) === 0 ? null : (flags & flagHeldByProposer) === 0 ? from.session(names) : { ...proposer }
  const token = from.number()
  const op = (flags & flagPlainOp) === 0 ? `${names.name(from.number())}.${String(from.number())}.${String(from.number())}` : from.text()
  const payload = from.at === end ? noBytes : Uint8Array.prototype.slice.call(bytes, from.at, end)
  const value: Value = { holder, token, op, payload }
  return { promised, accepted: { ballot: { config, round, ...proposer }, value } }
}

class Reader {
  at: number
  readonly #bytes: Uint8Array
  readonly #end: number

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes
    this.at = at
    this.#end = end
  }

  number(): number {
    let value = 0
    let scale = 1
    while (this.at < this.#end) {
      const byte = this.#bytes[this.at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
      scale *= 0x80
    }
    return value
  }

  text(): string {
    const size = this.number()
    const begin = this.at
    this.at += size
    return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + begin, size).toString('utf8')
  }

  session(names: Names): SessionId {
    const node = names.name(this.number()) as NodeId
    const incarnation = names.name(this.number())
    return { node, incarnation, epoch: this.number() }
  }
}

function packSession({ node, incarnation, epoch }: SessionId, to: Packer, names: Names): void {
  to.number(names.number(node))
  to.number(names.number(incarnation))
  to.number(epoch)
}

function isSameSession(a: SessionId, b: SessionId): boolean {
  return a.epoch === b.epoch && a.node === b.node && a.incarnation === b.incarnation
}

/** Undefined unless it is written exactly as it would be read back. */
function opOf(op: string, names: Names): readonly [number, number, number] | undefined {
  const [, node = '', epoch = '', count = ''] = opPattern.exec(op) ?? []
  if (node === '' || !names.has(node) || String(Number(epoch)) !== epoch || String(Number(count)) !== count) return undefined
  return [names.number(node), Number(epoch), Number(count)]
}
