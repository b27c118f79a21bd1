import type { KeyValue, WriteOperation } from '../../base/index.js'
import {
  acceptedFromWire, acceptedToWire, ballotFromWire, ballotToWire, chainFromWire, decoding, decreeFromWire, decreeToWire, hexFromWire, hexToWire,
  membersFromWire, recordToWire, revocationFromWire, revocationToWire, snapshotFromWire, snapshotToWire, voterToWire, whole,
} from '../codec.js'
import type { ConfigRecord } from '../config.js'
import type { Batch, Change, KeptBase, VoterRecord } from '../durable.js'
import { voterRecordEmpty } from '../durable.js'
import { revocationKey } from '../revocation.js'
import type { RevocationRecord } from '../revocation.js'
import type { SessionRecord, Snapshot } from '../snapshot.js'
import { slotBatchBytesMax } from '../rounds/memory.js'
import { noBytes } from '../value.js'
import type { Register } from '../value.js'
import type { RegisterTable } from '../voter/table.js'
import { neededBases } from '../voter/voter.js'
import type { VoterState } from '../voter/voter.js'
import type { BaseChunk } from '../base.js'
import { BaseRows, baseRow, encodeBaseRow } from './base-rows.js'
import * as wire from '../wire/lease.js'

/**
 * A voter's state in its slice of `meta`. Keys (values are messages of lease.proto unless said):
 *
 *   n:i        incarnation, 32 hex digits as text
 *   n:e        the node's highest epoch, decimal text
 *   n:c        the node's chain of configurations
 *   q          sequence number (vseq) of the last batch, decimal text: in every batch
 *   w          VoterRecord, once there are generations; then `v` says that it votes in nothing
 *   v          VoterRecord, else
 *   c          the voter's chain
 *   r:SCOPE    RegisterRecord, of the first generation
 *   t:NAME/SCOPE   RegisterRecord, of the generation that is named in `w`: what changed since the configuration began
 *   b:NAME/N   BaseRow: the Nth chunk of a base, N in six digits. Of the base that is named in `w`: what it began with
 *   s:NODE/INCARNATION   SessionEntry
 *   x:KEY      RevocationEntry
 *   k:HASH/N   Snapshot, staged or started from: its Nth piece of 1 MiB, N in six digits
 *   g:HASH/N   the same, as the first version wrote it
 *
 * NAME: 8 digits of the incarnation, `-`, the number of the batch in which it began, `-`, a count; never used twice. `v` and `g:` are what the first version
 * reads: it must not take what it finds there for all there is.
 */
/** Of a snapshot in one value: LevelDB copies values at each of its levels, and the store takes 4 MiB at most. */
const pieceBytes = 1024 * 1024

const encoder = new TextEncoder()
const decoder = new TextDecoder()
const key = (name: string): Uint8Array => encoder.encode(name)

export class VoterDisk {
  readonly #store: KeyValue
  readonly #bases: BaseRows
  /** By key: of what was changed again and again only the last is written. */
  #waiting = new Map<string, WriteOperation>()
  /** Names whose rows mean nothing once what waits is written. */
  #orphans: string[] = []
  /** Where registers are. */
  #generation: string | undefined

  constructor(components: { store: KeyValue }) {
    this.#store = components.store
    this.#bases = new BaseRows(components)
  }

  async incarnation(): Promise<string | undefined> {
    return this.#text('n:i')
  }

  async sequence(): Promise<number> {
    return Number((await this.#text('q')) ?? 0)
  }

  async epoch(): Promise<number> {
    return Number((await this.#text('n:e')) ?? 0)
  }

  async nodeChain(): Promise<ConfigRecord[]> {
    return this.#chain('n:c')
  }

  async putEpoch(epoch: number): Promise<void> {
    await this.#store.write([this.#store.put(key('n:e'), encoder.encode(String(epoch)))], { durable: true })
  }

  async putNodeChain(chain: readonly ConfigRecord[]): Promise<void> {
    await this.#store.write([this.#store.put(key('n:c'), encodeChain(chain))], { durable: true })
  }

  /** A new store: everything that was there is gone, the chain excepted. One batch. */
  async reset(incarnation: string, chain: readonly ConfigRecord[]): Promise<void> {
    const operations: WriteOperation[] = []
    for await (const [one] of this.#store.entries()) operations.push(this.#store.del(one))
    this.#generation = undefined
    this.#orphans = []
    this.#bases.forget()
    operations.push(this.#store.put(key('n:i'), encoder.encode(incarnation)), this.#store.put(key('n:c'), encodeChain(chain)))
    await this.#store.write(operations, { durable: true })
  }

  /**
   * Registers go into the table as they are read, in its order: there may be a million of them. Undefined: chunks of the base
   * that it votes on are gone, and with them what it has accepted. Such a store has lost memory.
   */
  async load(table: RegisterTable): Promise<VoterState | undefined> {
    const found = (await this.#store.get(key('w'))) ?? (await this.#store.get(key('v')))
    const record = found === undefined ? voterRecordEmpty : decoding(() => recordFromDisk(wire.VoterRecord.decode(found)))
    const staged = [...(await this.#staged('g:')), ...(await this.#staged('k:'))]
    this.#generation = record.generation
    // Nobody is answered from what a store had that votes no more.
    if (record.config !== -1) {
      if (record.base !== undefined && !(await this.#loadBase(record.base, table))) return undefined
      await this.#each(this.#registers(), (name, bytes) => { table.set(name, registerFromDisk(bytes)) })
    }
    if (record.generation !== undefined) this.#bases.orphaned('')
    const inUse = new Set([record.base?.name, record.generation].filter((name) => name !== undefined))
    return {
      sequence: await this.sequence(), record,
      chain: await this.#chain('c'),
      registers: [],
      sessions: await this.#all('s:', (name, bytes): readonly [string, SessionRecord] => [name, sessionFromDisk(bytes)]),
      revocations: await this.#all('x:', (_name, bytes) => revocationFromDisk(bytes)),
      staged,
      bases: await this.#bases.load(neededBases(record, staged), inUse),
    }
  }

  async #loadBase({ name, chunks }: KeptBase, table: RegisterTable): Promise<boolean> {
    let count = 0
    await this.#bases.each(name, (chunk) => {
      if (++count > chunks) return
      for (const [scope, accepted] of chunk.registers) table.set(scope, { promised: accepted.ballot, accepted })
    })
    return count >= chunks
  }

  async chunk({ name, index }: { name: string; index: number }): Promise<BaseChunk | undefined> {
    return this.#bases.chunk(name, index)
  }

  /** Deletes some of what means nothing any more. False: there is nothing. */
  async sweep(): Promise<boolean> {
    return this.#bases.sweep()
  }

  /**
   * Takes the batch in for the next `flush`. What it says, for the second file; undefined: too large for it. Where it begins a
   * configuration or drops a snapshot nothing else may wait for a flush: what is to be deleted is looked up in the database.
   */
  async prepare(batch: Batch, incarnation: string): Promise<Uint8Array | undefined> {
    // By key: a later change of the batch overwrites an earlier one, and of many promises of a scope only the last is written.
    const operations = new Map<string, WriteOperation>()
    for (const change of batch.changes) {
      // Without a turn of promises for each of what is nearly all there is.
      if (change.kind === 'register') this.#put(operations, `${this.#registers()}${change.scope}`, encodeRegister(change.register))
      else await this.#add(operations, change)
    }
    this.#put(operations, 'q', encoder.encode(String(batch.sequence)))
    // In one turn: no flush may see the one without the other.
    for (const [name, operation] of operations) this.#waiting.set(name, operation)
    for (const change of batch.changes) if (change.kind === 'orphaned') this.#orphans.push(change.name)
    return batchBytes(operations, incarnation)
  }

  /** Writes what was prepared. Atomic, and durable when it resolves. */
  async flush(): Promise<void> {
    const operations = [...this.#waiting.values()]
    const orphans = this.#orphans
    this.#waiting = new Map()
    this.#orphans = []
    if (operations.length > 0) await this.#store.write(operations, { durable: true })
    for (const name of orphans) this.#bases.orphaned(name)
  }

  /** Writes a batch that only the second file had when the process ended. False: it is not of this store, or not a batch. */
  async redo(bytes: Uint8Array, incarnation: string): Promise<boolean> {
    const entries = batchEntries(bytes, incarnation)
    if (entries === undefined) return false
    await this.#store.write(entries.map(({ name, value }) => (value === undefined ? this.#store.del(name) : this.#store.put(name, value))), { durable: true })
    return true
  }

  async #add(operations: Map<string, WriteOperation>, change: Change): Promise<void> {
    switch (change.kind) {
      case 'register': this.#put(operations, `${this.#registers()}${change.scope}`, encodeRegister(change.register)); return
      case 'base': this.#put(operations, baseRow(change.name, change.index), encodeBaseRow(change.ballot, change.chunk)); return
      case 'orphaned': return
      case 'session': this.#put(operations, `s:${change.store}`, encodeSession(change.record)); return
      case 'revocation':
        if (change.record === undefined) this.#delete(operations, `x:${change.key}`)
        else this.#put(operations, `x:${change.key}`, encodeRevocation(change.record))
        return
      case 'voter': {
        const { base, generation } = change.record
        const isPlain = base === undefined && generation === undefined
        this.#put(operations, 'v', encodeRecord(isPlain ? change.record : voterRecordEmpty))
        if (isPlain) this.#delete(operations, 'w')
        else this.#put(operations, 'w', encodeRecord(change.record))
        return
      }
      case 'chain': this.#put(operations, 'c', encodeChain(change.records)); return
      case 'staged':
        if (change.snapshot === undefined) for (const letter of ['g', 'k']) await this.#deleteAll(operations, `${letter}:${change.hash}/`, `${letter}:${change.hash}0`)
        else {
          const bytes = wire.Snapshot.encode(snapshotToWire(change.snapshot))
          for (let piece = 0; piece * pieceBytes < bytes.length || piece === 0; piece++) {
            this.#put(operations, `k:${change.hash}/${String(piece).padStart(6, '0')}`, bytes.subarray(piece * pieceBytes, (piece + 1) * pieceBytes))
          }
        }
        return
      case 'replace':
        this.#generation = change.generation
        await this.#replace(operations, change.snapshot)
    }
  }

  async #replace(operations: Map<string, WriteOperation>, snapshot: Snapshot): Promise<void> {
    // A generation begins empty.
    for (const prefix of this.#generation === undefined ? ['r:', 's:', 'x:'] : ['s:', 'x:']) await this.#deleteAll(operations, prefix, `${prefix.slice(0, -1)};`)
    for (const [scope, accepted] of snapshot.registers) this.#put(operations, `${this.#registers()}${scope}`, encodeRegister({ promised: accepted.ballot, accepted }))
    for (const [store, record] of snapshot.sessions) this.#put(operations, `s:${store}`, encodeSession(record))
    for (const record of snapshot.revocations) this.#put(operations, `x:${revocationKey(record.revocation)}`, encodeRevocation(record))
  }

  /** All keys from `prefix` to below `end`, on disk or on their way there in this very batch. */
  async #deleteAll(operations: Map<string, WriteOperation>, prefix: string, end: string): Promise<void> {
    for (const name of operations.keys()) if (name.startsWith(prefix)) operations.delete(name)
    for await (const [one] of this.#store.entries({ gte: key(prefix), lt: key(end) })) this.#delete(operations, decoder.decode(one))
  }

  /** The pieces of each come in their order. */
  async #staged(prefix: string): Promise<(readonly [string, Snapshot])[]> {
    const pieces = new Map<string, Uint8Array[]>()
    for await (const [one, bytes] of this.#store.entries(range(prefix))) {
      const hash = decoder.decode(one).slice(2).split('/')[0] ?? ''
      const found = pieces.get(hash)
      if (found === undefined) pieces.set(hash, [bytes])
      else found.push(bytes)
    }
    return [...pieces].map(([hash, parts]) => [hash, decoding(() => snapshotFromWire(wire.Snapshot.decode(Buffer.concat(parts))))])
  }

  #registers(): string {
    return this.#generation === undefined ? 'r:' : `t:${this.#generation}/`
  }

  #put(operations: Map<string, WriteOperation>, name: string, value: Uint8Array): void {
    operations.set(name, this.#store.put(key(name), value))
  }

  #delete(operations: Map<string, WriteOperation>, name: string): void {
    operations.set(name, this.#store.del(key(name)))
  }

  async #text(name: string): Promise<string | undefined> {
    const bytes = await this.#store.get(key(name))
    return bytes === undefined ? undefined : decoder.decode(bytes)
  }

  async #chain(name: string): Promise<ConfigRecord[]> {
    const bytes = await this.#store.get(key(name))
    return bytes === undefined ? [] : decoding(() => chainFromWire(wire.Chain.decode(bytes).records))
  }

  async #all<T>(prefix: string, decode: (name: string, bytes: Uint8Array) => T): Promise<T[]> {
    const found: T[] = []
    await this.#each(prefix, (name, bytes) => { found.push(decode(name, bytes)) })
    return found
  }

  async #each(prefix: string, see: (name: string, bytes: Uint8Array) => void): Promise<void> {
    for await (const [one, bytes] of this.#store.entries(range(prefix))) see(decoder.decode(one).slice(prefix.length), bytes)
  }
}

const incarnationBytes = 16
const entryHeadBytes = 5

/**
 * A batch in the second file: the incarnation (16 bytes), since a store that was made anew must not take up what its
 * predecessor had under way; then its entries, one after the other:
 *
 *   offset  bytes
 *   0       1      1: put, 0: delete
 *   1       2      length of the key, big-endian
 *   3       2      length of the value, big-endian
 *   5       …      key, without the prefix of this slice; value
 */
function batchBytes(operations: ReadonlyMap<string, WriteOperation>, incarnation: string): Uint8Array | undefined {
  const parts: Uint8Array[] = [Buffer.from(incarnation, 'hex')]
  let size = incarnationBytes
  for (const [name, operation] of operations) {
    const [names, value] = [Buffer.from(name), operation.type === 'put' ? operation.value : noBytes]
    size += entryHeadBytes + names.length + value.length
    if (size > slotBatchBytesMax) return undefined
    const head = Buffer.alloc(entryHeadBytes)
    head.writeUInt8(operation.type === 'put' ? 1 : 0)
    head.writeUInt16BE(names.length, 1)
    head.writeUInt16BE(value.length, 3)
    parts.push(head, names, value)
  }
  return Buffer.concat(parts, size)
}

/** Exported for the test that feeds it anything. */
export function batchEntries(bytes: Uint8Array, incarnation: string): { name: Uint8Array; value: Uint8Array | undefined }[] | undefined {
  const from = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (from.length < incarnationBytes || from.toString('hex', 0, incarnationBytes) !== incarnation) return undefined
  const entries: { name: Uint8Array; value: Uint8Array | undefined }[] = []
  for (let at = incarnationBytes; at < from.length;) {
    if (at + entryHeadBytes > from.length) return undefined
    const isPut = from.readUInt8(at) === 1
    const name = at + entryHeadBytes
    const value = name + from.readUInt16BE(at + 1)
    const end = value + from.readUInt16BE(at + 3)
    if (end > from.length) return undefined
    entries.push({ name: from.subarray(name, value), value: isPut ? from.subarray(value, end) : undefined })
    at = end
  }
  return entries
}

/** All keys with the prefix, which ends in ':' or '/'; ';' and '0' come right after. */
function range(prefix: string): { gte: Uint8Array; lt: Uint8Array } {
  return { gte: key(prefix), lt: key(`${prefix.slice(0, -1)}${prefix.endsWith('/') ? '0' : ';'}`) }
}

function encodeChain(records: readonly ConfigRecord[]): Uint8Array {
  return wire.Chain.encode({ records: records.map(recordToWire) })
}

function encodeRegister({ promised, accepted }: Register): Uint8Array {
  return wire.RegisterRecord.encode({ promised: ballotToWire(promised), ...(accepted === undefined ? {} : { accepted: acceptedToWire(accepted) }) })
}

function registerFromDisk(bytes: Uint8Array): Register {
  return decoding(() => {
    const { promised, accepted } = wire.RegisterRecord.decode(bytes)
    return { promised: ballotFromWire(promised), ...(accepted === undefined ? {} : { accepted: acceptedFromWire(accepted) }) }
  })
}

function encodeSession(record: SessionRecord): Uint8Array {
  return wire.SessionEntry.encode({ supported: record.supported, start: hexToWire(record.start), minimum: record.minimum })
}

function sessionFromDisk(bytes: Uint8Array): SessionRecord {
  return decoding(() => {
    const { supported, start, minimum } = wire.SessionEntry.decode(bytes)
    return { supported: whole(supported, 'epoch'), start: hexFromWire(start, 'start id', true), minimum: whole(minimum, 'epoch') }
  })
}

function encodeRevocation({ revocation, acknowledged }: RevocationRecord): Uint8Array {
  return wire.RevocationEntry.encode({ revocation: revocationToWire(revocation), acknowledged })
}

function revocationFromDisk(bytes: Uint8Array): RevocationRecord {
  return decoding(() => {
    const { revocation, acknowledged } = wire.RevocationEntry.decode(bytes)
    return { revocation: revocationFromWire(revocation), acknowledged }
  })
}

function encodeRecord(record: VoterRecord): Uint8Array {
  return wire.VoterRecord.encode({
    configPlusOne: record.config + 1, floor: record.floor, sealed: record.sealed !== undefined,
    ...(record.sealed?.base === undefined ? {} : { sealedBase: record.sealed.base }),
    ...(record.generation === undefined ? {} : { generation: record.generation }),
    ...(record.base === undefined ? {} : { base: record.base }),
    sealedFor: record.sealed?.members.map(voterToWire) ?? [],
    ...(record.decreePromised === undefined ? {} : { decreePromised: ballotToWire(record.decreePromised) }),
    ...(record.decreeAccepted === undefined ? {} : { decreeBallot: ballotToWire(record.decreeAccepted.ballot), decree: decreeToWire(record.decreeAccepted.decree) }),
  })
}

function recordFromDisk(record: wire.VoterRecord): VoterRecord {
  return {
    config: whole(record.configPlusOne, 'configuration') - 1, floor: whole(record.floor, 'floor'),
    ...(record.sealed ? { sealed: { members: membersFromWire(record.sealedFor), ...(record.sealedBase === undefined ? {} : { base: record.sealedBase }) } } : {}),
    ...(record.generation === undefined ? {} : { generation: record.generation }),
    ...(record.base === undefined ? {} : { base: { name: record.base.name, hash: record.base.hash, chunks: whole(record.base.chunks, 'count') } }),
    ...(record.decreePromised === undefined ? {} : { decreePromised: ballotFromWire(record.decreePromised) }),
    ...(record.decree === undefined ? {} : { decreeAccepted: { ballot: ballotFromWire(record.decreeBallot), decree: decreeFromWire(record.decree) } }),
  }
}
