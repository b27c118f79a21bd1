import { hash as hashOf } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import type { NodeId, Signer } from '../base/index.js'
import { cidOfText, messageOf, nodeIdOfPublicKey, publicKeyOf, signatureBytes, textOfCid } from '../base/index.js'
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

/** On the wire a priority is its value of the placement table, so that a new one finds its place between. */
const priorityValues = { critical: 10, high: 8, normal: 5, low: 3, expendable: 1 } as const satisfies Record<Priority, number>
const priorityNames = new Map(Object.entries(priorityValues).map(([name, value]) => [value as number, name as Priority]))

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
  const bad = (why: string): CatalogError => new CatalogError('BAD_RECORD', why, { size, replicas, priority })
  if (!Number.isSafeInteger(size) || size < 0) throw bad('a size must be a whole number of bytes')
  if (!Number.isSafeInteger(replicas) || replicas < 1 || replicas > replicasMax) throw bad(`replicas must be 1 to ${replicasMax}`)
  if (!Object.hasOwn(priorityValues, priority)) throw bad('no such priority')
}

/** `record`: valid (see `checkContent`, `normalizePath`, `lineageOfNext`). */
export function signRecord(record: FileRecord, signer: Signer): Version {
  return signIn(new SigningGroup(signer), record)
}

/** The same, together with others: whoever asks for the version's bytes has all signed that have come until then. */
export function signIn(group: SigningGroup, record: FileRecord): Version {
  const [own, ...others] = record.lineage
  const { content, moved } = record
  const body = RecordBody.encode({
    path: Buffer.from(record.path),
    writer: rawKey(record.writer),
    ...(record.owner === record.writer ? {} : { owner: rawKey(record.owner) }),
    modified: record.modified,
    token: record.token,
    ...(content === undefined
      ? {}
      : { content: { ...content, cid: parseCid(content.cid).bytes, size: BigInt(content.size), priority: priorityValues[content.priority] } }),
    ...(sameDot(record.basis, record) ? {} : { basisModified: record.basis.modified, basisWriter: rawKey(record.basis.writer) }),
    ownFrom: own?.from ?? record.modified,
    lineage: others.map((run) => ({ ...(run.writer === record.writer ? {} : { writer: rawKey(run.writer) }), from: run.from, to: run.to })),
    ...(moved === undefined
      ? {}
      : { movedPath: Buffer.from(moved.path), movedModified: moved.modified, ...(moved.writer === record.writer ? {} : { movedWriter: rawKey(moved.writer) }) }),
  })
  const signed = group.add(body)
  let bytes: Uint8Array | undefined
  return versionOf(record, () => (bytes ??= SignedRecord.encode(signed())))
}

/** Everything but the signature and the membership of the writer is checked. Throws BAD_RECORD, and nothing else. */
export function decodeRecord(bytes: Uint8Array): Version {
  return versionOf(decodeBody(signedParts(bytes).body), () => bytes)
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
  return StoredVersions.encode({ versions: versions.map((version) => version.bytes) })
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
function versionOf(record: FileRecord, bytesOf: () => Uint8Array): Version {
  let hash: Uint8Array | undefined
  return {
    record,
    get bytes() {
      return bytesOf()
    },
    get hash() {
      return (hash ??= hashOf('sha256', bytesOf(), 'buffer').subarray(0, hashBytes))
    },
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
