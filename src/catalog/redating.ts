import type { Hlc, NodeId, Signer } from '../base/index.js'
import { runsMax, unionOf } from './lineage.js'
import type { Version } from './merge.js'
import { join, viewOf } from './merge.js'
import { signRecord } from './record.js'
import type { Moved, Run } from './types.js'

/**
 * Versions of one path with those from the future dated anew. A node whose clock was ahead has signed versions that
 * nobody takes, for as long as it was ahead; and as its timestamps never go back, nor does anybody take what it writes
 * after. Once its clock is right (see clock-agreement.ts) it says the same again with the date of today.
 *
 * What makes that safe: the old versions are heard of nowhere, or only by nodes with the same wrong clock, which do the
 * same. A new version supersedes what the old one did *before* today, and nothing else: neither the old versions (should
 * one come back, its content is that of the new one) nor each other, so that conflict copies stay. What wins goes last,
 * so that it still wins. What was hidden is left out, as by any edit.
 *
 * Road not taken: to sign whatever is from the future as its own writer did. Only the writer can; a version of somebody
 * else's is said again in the name of this node, its owner kept.
 */
export interface RedatingInit {
  signer: Signer
  /** What is later is from the future. */
  latest: Hlc
  now: () => Hlc
  /** What the version is called now that a file was moved to; undefined if there is none from before `latest`. */
  movedTo: (moved: Moved) => Moved | undefined
}

export function redated(leaves: readonly Version[], init: RedatingInit): { after: readonly Version[]; written: readonly Version[] } {
  const isLate = (at: { modified: Hlc }): boolean => at.modified > init.latest
  const { winner, copies, hidden } = viewOf(leaves)
  const visible = [...(winner === undefined ? [] : [winner]), ...copies].filter(({ record }) => isLate(record))
  let first: Hlc | undefined
  const written: Version[] = []
  for (const version of visible.reverse()) {
    const dot = { writer: init.signer.nodeId, modified: init.now() }
    first ??= dot.modified
    const { record } = version
    const knows = version === winner ? [record.lineage, ...hidden.map((one) => one.record.lineage)] : [record.lineage]
    const { basis, content, moved, owner, path, token } = record
    const target = moved === undefined || !isLate(moved) ? moved : init.movedTo(moved)
    written.push(signRecord({
      ...dot, path, content, owner, token,
      basis: isLate(basis) ? dot : basis,
      lineage: [{ writer: dot.writer, from: dot.modified, to: dot.modified }, ...before(first, unionOf(knows)).slice(0, runsMax - 1)],
      ...(target === undefined ? {} : { moved: target }),
    }, init.signer))
  }
  const kept = leaves.filter(({ record }) => !isLate(record))
  return { after: join(kept, written), written }
}

/** The part of each run that is earlier. */
function before(end: Hlc, runs: readonly Run[]): Run[] {
  return runs
    .filter(({ from }) => from < end)
    .map((run) => (run.to < end ? run : { ...run, to: end - 1n }))
    .sort((a, b) => (a.to > b.to ? -1 : a.to < b.to ? 1 : 0))
}

/** The newest of a writer's versions there, if it is not from the future. */
export function newestOf(writer: NodeId, leaves: readonly Version[], latest: Hlc): Moved | undefined {
  let newest: Version | undefined
  for (const version of leaves) {
    const { record } = version
    if (record.writer === writer && record.modified <= latest && record.modified > (newest?.record.modified ?? 0n)) newest = version
  }
  return newest === undefined ? undefined : { path: newest.record.path, modified: newest.record.modified, writer }
}
