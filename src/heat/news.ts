import type { Hlc, NodeId } from '../base/index.js'
import { CommonError, messageOf, nodeIdOfPublicKey, publicKeyOf } from '../base/index.js'
import { coordinateMsMax, isCoordinate } from './coordinates.js'
import type { Coordinate } from './coordinates.js'
import { HeatNews } from './wire/heat.js'

/** 128 ranges of 45 bytes, 64 round trips of 40, and as many names of volumes again: 12 KiB at the very most. */
export const newsBytesMax = 16 * 1024
/** As in the schema. */
export const roundTripsMax = 64
export const newsRangesMax = 128
const volumesMax = 128
/** No volume has more: 1 PiB in blocks of 4 KiB. */
const volumeBlocksMax = 2 ** 38
const uint32Max = 2 ** 32 - 1
const keyBytes = 32
const volumeBytes = 16

export interface RangeNews {
  /** In blocks from the volume's start. */
  readonly start: number
  readonly blocks: number
  readonly writes: number
  readonly reads: number
  readonly lastWrite: Hlc | undefined
  readonly latencyMs: number
}

/** What one node tells of itself. */
export interface News {
  readonly made: Hlc
  readonly coordinate: Coordinate
  readonly roundTrips: ReadonlyMap<NodeId, number>
  /** By volume id, 32 hex digits. */
  readonly volumes: ReadonlyMap<string, readonly RangeNews[]>
}

export function encodeNews(news: News): Uint8Array {
  return HeatNews.encode({
    made: news.made,
    coordinate: { position: [...news.coordinate.position], heightMs: news.coordinate.height, error: news.coordinate.error },
    roundTrips: [...news.roundTrips].slice(0, roundTripsMax).flatMap(([node, rttMs]) => {
      const key = publicKeyOf(node)
      return key === undefined ? [] : [{ node: key, microseconds: whole(rttMs * 1000) }]
    }),
    volumes: [...news.volumes].map(([volume, ranges]) => ({
      volume: new Uint8Array(Buffer.from(volume, 'hex')),
      ranges: ranges.map((range) => ({
        start: range.start,
        blocks: range.blocks,
        writes: whole(range.writes),
        reads: whole(range.reads),
        lastWrite: range.lastWrite ?? 0n,
        latencyMicroseconds: whole(range.latencyMs * 1000),
      })),
    })),
  })
}

/** Throws BAD_INPUT for anything that no node would send. */
export function decodeNews(bytes: Uint8Array): News {
  if (bytes.length > newsBytesMax) throw bad(`${String(bytes.length)} bytes`)
  let wire: HeatNews
  try {
    wire = HeatNews.decode(bytes)
  } catch (error) {
    throw bad(messageOf(error))
  }
  // The decoder takes fixed64 for signed.
  const made = BigInt.asUintN(64, wire.made)
  const point = wire.coordinate
  if (point === undefined) throw bad('no coordinate')
  const coordinate = { position: point.position, height: point.heightMs, error: point.error }
  if (!isCoordinate(coordinate)) throw bad('a coordinate out of this world')
  const roundTrips = new Map<NodeId, number>()
  for (const { node, microseconds } of wire.roundTrips) {
    if (node.length !== keyBytes) throw bad('a node without a name')
    const rttMs = microseconds / 1000
    if (rttMs > coordinateMsMax) throw bad('a round trip of minutes')
    roundTrips.set(nodeIdOfPublicKey(node), rttMs)
  }
  const volumes = new Map<string, readonly RangeNews[]>()
  if (wire.volumes.length > volumesMax) throw bad('too many volumes')
  let ranges = 0
  for (const one of wire.volumes) {
    if (one.volume.length !== volumeBytes) throw bad('a volume without a name')
    ranges += one.ranges.length
    if (ranges > newsRangesMax) throw bad('too many ranges')
    volumes.set(Buffer.from(one.volume).toString('hex'), one.ranges.map((range) => {
      if (!Number.isSafeInteger(range.start) || range.start < 0 || range.blocks < 1 || range.start + range.blocks > volumeBlocksMax) throw bad('a range that no volume has')
      return {
        start: range.start,
        blocks: range.blocks,
        writes: range.writes,
        reads: range.reads,
        lastWrite: range.lastWrite === 0n ? undefined : BigInt.asUintN(64, range.lastWrite),
        latencyMs: range.latencyMicroseconds / 1000,
      }
    }))
  }
  return { made, coordinate, roundTrips, volumes }
}

function whole(value: number): number {
  return Math.min(uint32Max, Math.max(0, Math.round(value)))
}

function bad(why: string): CommonError {
  return new CommonError('BAD_INPUT', `these are no news of heat: ${why}`)
}
