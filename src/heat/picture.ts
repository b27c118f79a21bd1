import type { HeatEntry } from './types.js'

/** What came from one region to one range. */
export interface Contribution {
  readonly region: string
  /** Blocks `[start, end)` of the volume. */
  readonly start: number
  readonly end: number
  readonly writes: number
  readonly reads: number
  /** Unix ms. */
  readonly lastWriteMs: number | undefined
  readonly latencyMs: number
}

interface Sum {
  writes: number
  /** Writes · latency. */
  latency: number
}

interface Piece {
  start: number
  end: number
  reads: number
  lastWriteMs: number | undefined
  readonly regions: Map<string, Sum>
}

/** More lines than anybody reads, and than any mesh of honest nodes makes. */
export const entriesMax = 4096

/**
 * One picture of a volume from what many nodes tell, each by ranges of its own: cut at everybody's boundaries, counts
 * shared out by blocks, and joined again where the same regions write.
 */
export function pictureOf(contributions: readonly Contribution[]): HeatEntry[] {
  const cuts = [...new Set(contributions.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b)
  const byStart = [...contributions].sort((a, b) => a.start - b.start)
  const pieces: Piece[] = []
  let active: Contribution[] = []
  let next = 0
  for (let i = 0; i + 1 < cuts.length && pieces.length < entriesMax; i++) {
    const [start, end] = [cuts[i] ?? 0, cuts[i + 1] ?? 0]
    active = active.filter((one) => one.end > start)
    for (; next < byStart.length && (byStart[next] as Contribution).start <= start; next++) active.push(byStart[next] as Contribution)
    if (active.length > 0) add(pieces, pieceOf(start, end, active))
  }
  return pieces.map(entryOf).filter((entry) => entry.writes > 0 || entry.reads > 0)
}

function pieceOf(start: number, end: number, active: readonly Contribution[]): Piece {
  const piece: Piece = { start, end, reads: 0, lastWriteMs: undefined, regions: new Map() }
  for (const one of active) {
    const share = (end - start) / (one.end - one.start)
    piece.reads += one.reads * share
    if (one.writes <= 0) continue
    if (one.lastWriteMs !== undefined) piece.lastWriteMs = Math.max(piece.lastWriteMs ?? 0, one.lastWriteMs)
    const sum = piece.regions.get(one.region) ?? { writes: 0, latency: 0 }
    sum.writes += one.writes * share
    sum.latency += one.writes * share * one.latencyMs
    piece.regions.set(one.region, sum)
  }
  return piece
}

function add(pieces: Piece[], piece: Piece): void {
  const last = pieces.at(-1)
  if (last === undefined || last.end !== piece.start || last.regions.size !== piece.regions.size || [...piece.regions.keys()].some((region) => !last.regions.has(region))) {
    pieces.push(piece)
    return
  }
  last.end = piece.end
  last.reads += piece.reads
  if (piece.lastWriteMs !== undefined) last.lastWriteMs = Math.max(last.lastWriteMs ?? 0, piece.lastWriteMs)
  for (const [region, { writes, latency }] of piece.regions) {
    const sum = last.regions.get(region)
    if (sum === undefined) continue
    sum.writes += writes
    sum.latency += latency
  }
}

function entryOf(piece: Piece): HeatEntry {
  const regions = [...piece.regions].sort(([, a], [, b]) => b.writes - a.writes)
  return {
    start: piece.start,
    blocks: piece.end - piece.start,
    writes: Math.round(regions.reduce((sum, [, { writes }]) => sum + writes, 0)),
    reads: Math.round(piece.reads),
    lastWrite: piece.lastWriteMs ?? null,
    regions: Object.fromEntries(regions.map(([region, { writes, latency }]) => [region, { writes: Math.round(writes), latencyMs: writes > 0 ? Math.round((latency / writes) * 1000) / 1000 : 0 }])),
  }
}
