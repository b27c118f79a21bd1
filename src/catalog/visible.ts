import type { Version } from './merge.js'
import { viewOf } from './merge.js'
import { conflictPath } from './path.js'
import type { FileRecord } from './types.js'

export interface Visible {
  readonly record: FileRecord
  readonly version: Version
}

const nothing: readonly Visible[] = []

/** What is to be seen of a path: the live winner at the path itself, conflict copies at paths of their own. */
export function visibleOf(path: string, leaves: readonly Version[]): readonly Visible[] {
  if (leaves.length === 0) return nothing
  const { winner, copies } = viewOf(leaves)
  const visible: Visible[] = winner?.record.content === undefined ? [] : [{ record: winner.record, version: winner }]
  for (const version of copies) visible.push({ record: asCopy(path, version.record), version })
  return visible
}

export function asCopy(path: string, record: FileRecord): FileRecord {
  return { ...record, path: conflictPath(path, record), conflictOf: path }
}
