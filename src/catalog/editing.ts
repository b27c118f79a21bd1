import type { Hlc, NodeId, Signer } from '../base/index.js'
import { invariant } from '../base/index.js'
import { hashOfPath } from './digest-tree.js'
import { lineageOfNext } from './lineage.js'
import type { PathChange, Version } from './merge.js'
import { join, sameDot, viewOf } from './merge.js'
import { conflictPath } from './path.js'
import { checkContent, signIn, usualCid } from './record.js'
import { modifiedMaxOf } from './record-table.js'
import { SigningGroup } from './signing.js'
import type { Edit, FileContent, FileRecord, Moved, Run } from './types.js'
import { CatalogError } from './types.js'

/** What a new file is wanted on where nobody says: two copies, the least that survives a loss. */
const replicasDefault = 2

/** Edits on locked paths, one after the other, each on what the ones before it left. Pure but for the clock and the key. */
export class Editing {
  /** All that was signed, also what a later edit of the same path superseded at once. */
  readonly signed: Version[] = []
  readonly #before: ReadonlyMap<string, readonly Version[]>
  readonly #leaves: Map<string, readonly Version[]>
  readonly #sources: ReadonlyMap<string, string>
  readonly #signer: Signer
  readonly #signing: SigningGroup
  readonly #now: () => Hlc

  constructor(leaves: ReadonlyMap<string, readonly Version[]>, sources: ReadonlyMap<string, string>, signer: Signer, now: () => Hlc) {
    this.#before = leaves
    this.#leaves = new Map(leaves)
    this.#sources = sources
    this.#signer = signer
    this.#signing = new SigningGroup(signer)
    this.#now = now
  }

  apply(edit: Edit): FileRecord {
    const winner = this.#of(edit.path)[0]?.record
    const source = this.#sources.get(edit.path)
    const copy = source === undefined || winner?.content !== undefined ? undefined : this.#copyAt(source, edit.path)
    const seen = copy?.record ?? (winner?.content === undefined ? undefined : winner)
    if (edit.ifVersion !== undefined && (seen === undefined || !sameDot(seen, edit.ifVersion))) {
      throw new CatalogError('CHANGED', `${edit.path} has been changed meanwhile`, { path: edit.path })
    }
    if (source === undefined || copy === undefined) return this.#write(edit, winner)
    // An edit of a conflict copy makes a file of its own of it (unless it deletes it), and settles the conflict.
    const settled = this.#resolve(source, copy, this.#movedTo(edit))
    return edit.content === 'deleted' ? settled : this.#write(edit, copy.record)
  }

  changes(): PathChange[] {
    const changes: PathChange[] = []
    for (const [path, after] of this.#leaves) {
      const before = this.#before.get(path) ?? []
      if (before !== after) changes.push({ path, pathHash: hashOfPath(path), before, after })
    }
    return changes
  }

  #of(path: string): readonly Version[] {
    return this.#leaves.get(path) ?? []
  }

  #copyAt(source: string, path: string): Version | undefined {
    return viewOf(this.#of(source)).copies.find(({ record }) => conflictPath(source, record) === path)
  }

  /** `current`: what the edit is made on, as its user sees it. */
  #write(edit: Edit, current: FileRecord | undefined): FileRecord {
    const { path } = edit
    const facts = { path }
    const before = current?.content
    // Without a token the edit claims no lease, and must not fall behind the version it is made on either.
    const token = edit.token ?? current?.token ?? 0n
    if (current !== undefined && token < current.token) {
      throw new CatalogError('STALE_TOKEN', `${path} was written under token ${current.token.toString()}, and ${token.toString()} is older`, {
        path,
        token: token.toString(),
        current: current.token.toString(),
      })
    }
    if (edit.ifAbsent === true && before !== undefined) throw new CatalogError('EXISTS', `there is a file at ${path} already`, facts)
    const { writer, modified } = this.#dot()
    const moved = this.#movedTo(edit) ?? this.#of(path)[0]?.record.moved
    const lineage = this.#lineage(path, { writer, modified }, [])
    if (edit.content === 'deleted') {
      if (current === undefined || before === undefined) throw new CatalogError('NOT_FOUND', `there is no file at ${path}`, facts)
      return this.#add({ path, content: undefined, owner: current.owner, writer, modified, token, basis: current.basis, lineage }, moved)
    }
    const isNew = edit.content.cid !== undefined
    const content = completed(edit.content, before, path)
    // Elsewhere than where the content was brought in, it is new content.
    const basis = isNew || current === undefined || current.path !== path ? { writer, modified } : current.basis
    const owner = edit.owner ?? (isNew ? writer : (current?.owner ?? writer))
    return this.#add({ path, content, owner, writer, modified, token, basis, lineage }, moved)
  }

  /** The winner once more (or its tombstone), now knowing of `copy` and superseding it. */
  #resolve(path: string, copy: Version, movedTo: Moved | undefined): FileRecord {
    const winner = this.#of(path)[0]?.record
    invariant(winner, 'where there is a copy there is a winner')
    const dot = this.#dot()
    const { content, owner, token, basis } = winner
    const moved = movedTo ?? winner.moved
    return this.#add({ path, content, owner, ...dot, token, basis, lineage: this.#lineage(path, dot, [copy]) }, moved)
  }

  /** The version that an earlier edit of this call made there. */
  #movedTo({ movedTo }: Edit): Moved | undefined {
    if (movedTo === undefined) return undefined
    const own = this.#of(movedTo).filter(({ record }) => record.writer === this.#signer.nodeId)
    return own.length === 0 ? undefined : { path: movedTo, modified: modifiedMaxOf(own), writer: this.#signer.nodeId }
  }

  #lineage(path: string, dot: { writer: NodeId; modified: Hlc }, also: readonly Version[]): readonly Run[] {
    const leaves = this.#of(path)
    if (leaves.length === 0) return lineageOfNext(dot, [], [])
    invariant(modifiedMaxOf(leaves) < dot.modified, 'our clock is ahead of all that we know')
    const { winner, hidden } = viewOf(leaves)
    // Hidden leaves hold nothing to lose: superseding them keeps the state small. Copies stay, until somebody edits them.
    const superseded = [...(winner === undefined ? [] : [winner]), ...hidden, ...also]
    const lineages = (versions: readonly Version[]): (readonly Run[])[] => versions.map(({ record }) => record.lineage)
    return lineageOfNext(dot, lineages(superseded), lineages(leaves))
  }

  #dot(): { writer: NodeId; modified: Hlc } {
    return { writer: this.#signer.nodeId, modified: this.#now() }
  }

  #add(made: FileRecord, moved: Moved | undefined): FileRecord {
    const record = moved === undefined ? made : { ...made, moved }
    const version = signIn(this.#signing, record)
    this.signed.push(version)
    this.#leaves.set(record.path, join(this.#of(record.path), [version]))
    return record
  }
}

/** `change` over `before`. Throws NOT_FOUND if there is nothing to change, BAD_RECORD for what no record may say. */
function completed(change: Partial<FileContent>, before: FileContent | undefined, path: string): FileContent {
  const isNew = change.cid !== undefined
  if (!isNew && before === undefined) throw new CatalogError('NOT_FOUND', `there is no file at ${path}`, { path })
  if (isNew && change.size === undefined) throw new CatalogError('BAD_RECORD', 'new content needs its size', { path })
  if (!isNew && change.size !== undefined) throw new CatalogError('BAD_RECORD', 'a size belongs to new content', { path })
  const content = {
    cid: change.cid === undefined ? (before?.cid ?? '') : usualCid(change.cid),
    size: change.size ?? before?.size ?? 0,
    priority: change.priority ?? before?.priority ?? 'normal',
    replicas: change.replicas ?? before?.replicas ?? replicasDefault,
    pinned: change.pinned ?? before?.pinned ?? false,
  }
  checkContent(content)
  return content
}
