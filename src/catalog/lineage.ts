import type { Hlc, NodeId } from '../base/index.js'
import type { Dot, Run } from './types.js'

/**
 * Which versions of a path a version supersedes.
 *
 * The intuition: a pointer to the version before is not enough, since versions come in any order and some never: who has
 * v1 and gets v3 without v2 must know that v1 is history and no conflict. A version vector (writer → highest timestamp)
 * is too much: it says that *everything* a writer did up to then is superseded, and a writer's own earlier version may
 * have lost against another and live on as a conflict copy. So a lineage is a set of runs, (writer, from, to): *all*
 * versions that this writer made of this path in that time are superseded. A writer begins a new run whenever its last
 * version of the path is not in what it edits; else it extends the old one. Two people who take turns for years thus
 * need two runs, and each real conflict that a writer took part in adds one.
 *
 * It assumes that a writer knows its own last version: true as long as nobody runs one identity twice or restores an old
 * backup of it and edits before it has synced.
 */

/** More than anybody needs; over it the oldest runs go, and a version forgotten so shows up as a conflict copy if it ever comes back: never the other way round. */
export const runsMax = 64

export function covers(lineage: readonly Run[], dot: Dot): boolean {
  return lineage.some((run) => run.from <= dot.modified && dot.modified <= run.to && run.writer === dot.writer)
}

/** Exactly what either covers: runs of a writer that overlap become one. */
export function unionOf(lineages: readonly (readonly Run[])[]): Run[] {
  const byWriter = new Map<NodeId, Run[]>()
  for (const run of lineages.flat()) {
    const runs = byWriter.get(run.writer)
    if (runs === undefined) byWriter.set(run.writer, [run])
    else runs.push(run)
  }
  const union: Run[] = []
  for (const runs of byWriter.values()) {
    runs.sort((a, b) => (a.from < b.from ? -1 : a.from > b.from ? 1 : 0))
    let last: Run | undefined
    for (const run of runs) {
      if (last !== undefined && run.from <= last.to) last = { ...last, to: run.to > last.to ? run.to : last.to }
      else {
        if (last !== undefined) union.push(last)
        last = run
      }
    }
    if (last !== undefined) union.push(last)
  }
  return union
}

/**
 * The lineage of a new version `dot` that supersedes what `superseded` covers. `known`: the lineages of everything that
 * the writer has of the path, where its own last version is to be found.
 */
export function lineageOfNext(dot: Dot, superseded: readonly (readonly Run[])[], known: readonly (readonly Run[])[]): Run[] {
  if (superseded.length === 0) return [{ writer: dot.writer, from: dot.modified, to: dot.modified }]
  let lastOwn: Hlc | undefined
  for (const run of known.flat()) {
    if (run.writer === dot.writer && (lastOwn === undefined || run.to > lastOwn)) lastOwn = run.to
  }
  const others: Run[] = []
  let from = dot.modified
  for (const run of unionOf(superseded)) {
    if (run.writer === dot.writer && run.to === lastOwn) from = run.from
    else others.push(run)
  }
  others.sort((a, b) => (a.to > b.to ? -1 : a.to < b.to ? 1 : 0))
  return [{ writer: dot.writer, from, to: dot.modified }, ...others.slice(0, runsMax - 1)]
}
