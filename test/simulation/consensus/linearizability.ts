import { demand } from './violation.js'

/**
 * Is there an order of all operations on one scope that agrees with what each returned and with real time? In general
 * that is NP-hard (Gibbons & Korach 1997). Here every value of the register has a place in one chain, which its token
 * tells: held under t, then perhaps free after t, then t+1. With the order of the writes given, a greedy pass decides it
 * exactly: let every operation take effect as early as it may; if one of them then takes effect after it had returned,
 * no other choice could have helped. O(n log n), so that histories of 10⁵ operations are no matter.
 *
 * An operation whose outcome is unknown may take effect at any time after it began, or never: its end is infinity, and it
 * is in the history only if somebody saw its value.
 */
export interface Version {
  readonly token: number
  readonly free: boolean
}

export interface Write {
  readonly version: Version
  /** Names the operation; readers see it in the value. */
  readonly op: string
  readonly beganMs: number
  /** Infinity: unknown. */
  readonly endedMs: number
}

export type Read = Write

/** The first value of all: nobody wrote it. */
export const initialVersion: Version = { token: 0, free: true }

export function rank(version: Version): number {
  return version.token * 2 + (version.free ? 1 : 0)
}

/** Throws a `Violation` of rule `linearizable` if there is no such order. */
export function checkLinearizable(scope: string, writes: readonly Write[], reads: readonly Read[]): void {
  const fail = (what: string): never => {
    demand(false, 'linearizable', () => `${scope}: ${what}`)
    throw new Error('unreachable')
  }
  const byRank = new Map<number, Write>()
  for (const write of writes) {
    const other = byRank.get(rank(write.version))
    if (other !== undefined && other.op !== write.op) fail(`token ${write.version.token} was made by ${other.op} and by ${write.op}`)
    if (other === undefined || write.endedMs < other.endedMs) byRank.set(rank(write.version), write)
  }
  const readsByRank = new Map<number, Read[]>()
  for (const read of reads) {
    const key = rank(read.version)
    const writer = byRank.get(key)
    if (writer === undefined) {
      if (key !== rank(initialVersion)) fail(`token ${read.version.token} of ${read.op} was seen, which nobody wrote`)
    } else if (writer.op !== read.op) fail(`token ${read.version.token} was made by ${writer.op} and seen as ${read.op}'s`)
    const list = readsByRank.get(key)
    if (list === undefined) readsByRank.set(key, [read])
    else list.push(read)
  }
  let pointMs = -Infinity
  for (const key of [...new Set([...byRank.keys(), ...readsByRank.keys()])].sort((a, b) => a - b)) {
    const write = byRank.get(key)
    if (write !== undefined) {
      pointMs = Math.max(pointMs, write.beganMs)
      if (pointMs > write.endedMs) fail(`${write.op} (token ${write.version.token}) ended at ${write.endedMs} but cannot have happened before ${pointMs}`)
    }
    let next = pointMs
    for (const read of readsByRank.get(key) ?? []) {
      const atMs = Math.max(pointMs, read.beganMs)
      if (atMs > read.endedMs) fail(`a read that ended at ${read.endedMs} saw token ${read.version.token}, which cannot have been there before ${atMs}`)
      next = Math.max(next, atMs)
    }
    pointMs = next
  }
}
