import { hash as hashOf } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import type { NodeId, Signer } from '../base/index.js'
import { cidOfText, messageOf, nodeIdOfPublicKey, publicKeyOf, signatureBytes, textOfCid, usualTextOf } from '../base/index.js'
import { FieldWriter } from './field-writer.js'
import type { Version } from './merge.js'
import { sameDot } from './merge.js'
import { runsMax } from './lineage.js'
import { normalizePath } from './path.js'
import type { Signed } from './signing.js'
import { isProof, SigningGroup } from './signing.js'
import type { FileContent, FileRecord, Priority, Run } from './types.js'
import { CatalogError } from './types.js'
import { RecordBody, SignedRecord, StoredVersions } from './wire/catalog.js'

/** The longest path twice, 64 runs of other writers and a generous CID come to under 14 KiB. */
export const recordBytesMax = 16 * 1024
/** A sha2-512 CID has 70. */
const cidBytesMax = 128
/** Nobody has more nodes to put them on. */
export const replicasMax = 1000
export const hashBytes = 16
const keyBytes = 32

/** For one message after the other. */
const fields = new FieldWriter()

/** On the wire a priority is its value of the placement table, so that a new one finds its place between. */
const priorityValues = { critical: 10, high: 8, normal: 5, low: 3, expendable: 1 } as const satisfies Record<Priority, number>
const priorityNames = new Map(Object.entries(priorityValues).map(([name, value]) => [value as number, name as Priority]))

/** The text of a CID in its usual form. Throws BAD_RECORD. */
export function usualCid(text: string): string {
  parseCid(text)
  return usualTextOf(text)
}

/** The CID in its usual text form, whatever base it was given in. Throws BAD_RECORD. */
export function parseCid(text: string): CID {
  let cid: CID
  try {
    cid = cidOfText(text)
  } catch (error) {
    throw new CatalogError('BAD_RECORD', `not a CID: ${messageOf(error)}`, { cid: text.slice(0, 100) }, { cause: error })
  }
  if (cid.bytes.length > cidBytesMax) throw new CatalogError('BAD_RECORD', `not a CID: it has ${cid.bytes.length} bytes; ${cidBytesMax} are allowed`, { cid: text.slice(0, 100) })
  return cid
}

/** Throws BAD_RECORD for content that no record may carry. */
export function checkContent(content: FileContent): void {
  const { size, replicas, priority } = content
  const why = whyBad(content)
  if (why !== undefined) throw new CatalogError('BAD_RECORD', why, { size, replicas, priority })
}

function whyBad({ size, replicas, priority }: FileContent): string | undefined {
  if (!Number.isSafeInteger(size) || size < 0) return 'a size must be a whole number of bytes'
  if (!Number.isSafeInteger(replicas) || replicas < 1 || replicas > replicasMax) return `replicas must be 1 to ${replicasMax}`
  return Object.hasOwn(priorityValues, priority) ? undefined : 'no such priority'
}

/** `record`: valid (see `checkContent`, `normalizePath`, `lineageOfNext`). */
export function signRecord(record: FileRecord, signer: Signer): Version {
  return signIn(new SigningGroup(signer), record)
}

/** The same, together with others: whoever asks for the version's bytes has all signed that have come until then. */
export function signIn(group: SigningGroup, record: FileRecord): Version {
  return new SignedVersion(record, group.add(encodeBody(record)))
}

/** As RecordBody.encode has it: fields in their order, and what is as the writer or as nothing left out. */
function encodeBody(record: FileRecord): Uint8Array {
  const { basis, content, lineage, modified, moved, owner, token, writer } = record
  fields.begin()
  fields.text(1, record.path)
  fields.bytes(2, rawKey(writer))
  if (owner !== writer) fields.bytes(3, rawKey(owner))
  number64(4, modified)
  number64(5, token)
  if (content !== undefined) {
    const opened = fields.open(6)
    fields.bytes(1, parseCid(content.cid).bytes)
    number64(2, BigInt(content.size))
    fields.varint(3, priorityValues[content.priority])
    if (content.replicas !== 0) fields.varint(4, content.replicas)
    if (content.pinned) fields.varint(5, 1)
    fields.close(opened)
  }
  if (!sameDot(basis, record)) {
    fields.fixed64(7, basis.modified)
    fields.bytes(8, rawKey(basis.writer))
  }
  number64(9, lineage[0]?.from ?? modified)
  for (let i = 1; i < lineage.length; i++) {
    const run = lineage[i]
    if (run === undefined) continue
    const opened = fields.open(10)
    if (run.writer !== writer) fields.bytes(1, rawKey(run.writer))
    number64(2, run.from)
    number64(3, run.to)
    fields.close(opened)
  }
  if (moved !== undefined) {
    fields.text(11, moved.path)
    fields.fixed64(12, moved.modified)
    if (moved.writer !== writer) fields.bytes(13, rawKey(moved.writer))
  }
  return fields.taken()
}

/** As SignedRecord.encode has it. */
function encodeSigned({ body, signature, proof }: Signed): Uint8Array {
  fields.begin()
  fields.bytes(1, body)
  fields.bytes(2, signature)
  if (proof !== undefined) fields.bytes(3, proof)
  return fields.taken()
}

function number64(field: number, value: bigint): void {
  if (value !== 0n) fields.fixed64(field, value)
}

/** Everything but the signature and the membership of the writer is checked. Throws BAD_RECORD, and nothing else. */
export function decodeRecord(bytes: Uint8Array): Version {
  return new SignedVersion(decodeBody(signedParts(bytes).body), bytes)
}

/** The body, and how it was signed. Throws BAD_RECORD. */
export function signedParts(bytes: Uint8Array): Signed {
  if (bytes.length > recordBytesMax) throw bad(`it has ${bytes.length} bytes; ${recordBytesMax} are allowed`)
  const signed = attempt(() => SignedRecord.decode(bytes))
  if (signed.signature.length !== signatureBytes) throw bad('its signature has a wrong length')
  if (signed.proof !== undefined && !isProof(signed.proof)) throw bad('the proof that it was signed has no form that there is')
  return signed
}

function decodeBody(body: Uint8Array): FileRecord {
  const wire = attempt(() => RecordBody.decode(body, { limits: { lineage: runsMax } }))
  const path = pathOf(wire.path)
  const writer = nodeIdOf(wire.writer)
  const modified = u64(wire.modified)
  const token = u64(wire.token)
  if ((wire.basisModified === undefined) !== (wire.basisWriter === undefined)) throw bad('half of its basis is missing')
  const basis =
    wire.basisModified === undefined || wire.basisWriter === undefined
      ? { modified, writer }
      : { modified: u64(wire.basisModified), writer: nodeIdOf(wire.basisWriter) }
  const others = wire.lineage.map((run): Run => ({ writer: run.writer === undefined ? writer : nodeIdOf(run.writer), from: u64(run.from), to: u64(run.to) }))
  const lineage = [{ writer, from: u64(wire.ownFrom), to: modified }, ...others]
  // Nothing supersedes what is newer than itself: this keeps succession free of circles, whatever members sign.
  if (others.some((run) => run.to >= modified)) throw bad('it says that it supersedes something newer')
  if (lineage.some((run) => run.from > run.to)) throw bad('a run of its lineage ends before it begins')
  if (lineage.length > runsMax) throw bad(`its lineage has ${lineage.length} runs; ${runsMax} are allowed`)
  if (!sameDot(basis, { modified, writer }) && basis.modified >= modified) throw bad('its basis is newer than itself')
  let content: FileContent | undefined
  if (wire.content !== undefined) {
    const { cid, size, priority, replicas, pinned } = wire.content
    if (cid.length > cidBytesMax) throw bad('its CID is too long')
    content = {
      cid: attempt(() => textOfCid(cid)),
      size: Number(u64(size)),
      priority: priorityNames.get(priority) ?? fail('it has a priority that does not exist'),
      replicas,
      pinned,
    }
    checkContent(content)
  }
  const { movedPath, movedModified, movedWriter } = wire
  if ((movedPath === undefined) !== (movedModified === undefined)) throw bad('half of where it was moved to is missing')
  const moved =
    movedPath === undefined || movedModified === undefined
      ? {}
      : { moved: { path: pathOf(movedPath), modified: u64(movedModified), writer: movedWriter === undefined ? writer : nodeIdOf(movedWriter) } }
  return { ...moved, path, content, owner: wire.owner === undefined ? writer : nodeIdOf(wire.owner), writer, modified, token, basis, lineage }
}

function pathOf(bytes: Uint8Array): string {
  const path = attempt(() => utf8.decode(bytes))
  if (attempt(() => normalizePath(path)) !== path) throw bad('a path of it is not in normal form')
  return path
}

export function encodeVersions(versions: readonly Version[]): Uint8Array {
  // Those that are not signed yet are so now, with the same writer.
  const all = versions.map(({ bytes }) => bytes)
  fields.begin()
  for (const bytes of all) fields.bytes(1, bytes)
  return fields.taken()
}

/** Of our own disk: no limits. What is damaged there is left out, so that it costs no other version and no other path. */
export function decodeVersions(bytes: Uint8Array): Version[] {
  return (readable(() => StoredVersions.decode(bytes))?.versions ?? []).flatMap((version) => readable(() => decodeRecord(version)) ?? [])
}

/** The same; undefined where anything is damaged. */
export function decodeAllVersions(bytes: Uint8Array): Version[] | undefined {
  const versions = readable(() => StoredVersions.decode(bytes).versions.map((version) => decodeRecord(version)))
  return versions?.length === 0 ? undefined : versions
}

/** Undefined for what is damaged. */
export function readable<T>(decode: () => T): T | undefined {
  try {
    return decode()
  } catch {
    return undefined
  }
}

/** The hash is wanted seldom (not for listings), and costs as much as the rest. */
class SignedVersion implements Version {
  readonly record: FileRecord
  #bytes: Uint8Array | (() => Signed)
  #hash: Uint8Array | undefined

  /** `bytes`: or how it is signed, once they are asked for. */
  constructor(record: FileRecord, bytes: Uint8Array | (() => Signed)) {
    this.record = record
    this.#bytes = bytes
  }

  get bytes(): Uint8Array {
    if (typeof this.#bytes === 'function') this.#bytes = encodeSigned(this.#bytes())
    return this.#bytes
  }

  get hash(): Uint8Array {
    return (this.#hash ??= hashOf('sha256', this.bytes, 'buffer').subarray(0, hashBytes))
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function bad(why: string, cause?: unknown): CatalogError {
  return new CatalogError('BAD_RECORD', `a record is refused: ${why}`, {}, { cause })
}

function fail(why: string): never {
  throw bad(why)
}

/** protons reads fixed64 as signed. */
function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value)
}

/** Whatever a library throws at bytes from elsewhere is our BAD_RECORD. */
function attempt<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw bad(messageOf(error), error)
  }
}

/** Base58 costs more than all the rest of decoding, and a mesh has few writers. */
const nodeIds = new Map<string, NodeId>()
const rawKeys = new Map<NodeId, Uint8Array>()
const nodesMax = 1024

function nodeIdOf(raw: Uint8Array): NodeId {
  if (raw.length !== keyBytes) throw bad('it names a node by something that is no Ed25519 key')
  const text = Buffer.from(raw.buffer, raw.byteOffset, raw.byteLength).toString('latin1')
  let nodeId = nodeIds.get(text)
  if (nodeId === undefined) {
    nodeId = nodeIdOfPublicKey(raw)
    if (nodeIds.size >= nodesMax) nodeIds.clear()
    nodeIds.set(text, nodeId)
  }
  return nodeId
}

function rawKey(nodeId: NodeId): Uint8Array {
  let raw = rawKeys.get(nodeId)
  if (raw === undefined) {
    raw = publicKeyOf(nodeId)
    if (raw === undefined) throw new CatalogError('BAD_RECORD', `not the name of a node: ${nodeId}`)
    if (rawKeys.size >= nodesMax) rawKeys.clear()
    rawKeys.set(nodeId, raw)
  }
  return raw
}
