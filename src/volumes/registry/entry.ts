import { asNodeId } from '../../base/index.js'
import type { NodeId } from '../../base/index.js'
import { blockBytes, volumeBytesMax, VolumeError } from '../geometry.js'
import type { Session } from '../segment.js'
import { sameSession } from '../segment.js'
import type { VolumeSettings } from '../types.js'
import * as wire from '../wire/volume-registry.js'

/** What the register of a name holds while there is a volume of that name. */
export interface VolumeRecord extends VolumeSettings {
  /** 32 hex digits. */
  readonly id: string
  readonly sizeBytes: number
  readonly createdMs: number
  /** Who has it open: at most one entry a node. Entries of sessions that are over stay until somebody looks. */
  readonly openings: readonly Session[]
}

/** A register once written is never empty again: the last volume of the name is remembered as gone. */
export type VolumeEntry = { readonly type: 'volume'; readonly record: VolumeRecord } | { readonly type: 'removed'; readonly id: string }

/** More copies than this of every block is a typing error; each write would wait for all of them. */
export const volumeReplicasMax = 16
/** A disk is in use on one node, now and then on two: a bound on the register's size. */
export const openingsMax = 64
/** An entry with 64 openings has about 6 KB. */
export const entryBytesMax = 16 * 1024
const idBytes = 16

const empty: wire.VolumeEntry = { id: new Uint8Array(0), removed: false, sizeBytes: 0, durability: 0, replicas: 0, policy: 0, createdMs: 0, openings: [] }

const durabilities = ['flush', 'writethrough'] as const
const policies = ['adaptive', 'basic'] as const

export function encodeEntry(entry: VolumeEntry): Uint8Array {
  if (entry.type === 'removed') return wire.VolumeEntry.encode({ ...empty, id: fromHex(entry.id), removed: true })
  const { id, sizeBytes, durability, replicas, policy, createdMs, openings } = entry.record
  return wire.VolumeEntry.encode({
    id: fromHex(id), removed: false, sizeBytes, replicas, createdMs,
    durability: durabilities.indexOf(durability), policy: policies.indexOf(policy),
    openings: openings.map(({ node, incarnation, epoch }) => ({ node, incarnation: fromHex(incarnation), epoch })),
  })
}

/** Undefined for a register that was never written. Throws DAMAGED for bytes that are no entry. */
export function decodeEntry(bytes: Uint8Array): VolumeEntry | undefined {
  if (bytes.length === 0) return undefined
  if (bytes.length > entryBytesMax) throw damaged('it is too long')
  let raw: wire.VolumeEntry
  try {
    raw = wire.VolumeEntry.decode(bytes)
  } catch (error) {
    throw damaged('it is no message', error)
  }
  const id = toHex(raw.id, 'id')
  if (raw.removed) return { type: 'removed', id }
  const { sizeBytes, replicas, createdMs } = raw
  const durability = durabilities[raw.durability]
  const policy = policies[raw.policy]
  if (durability === undefined || policy === undefined) throw damaged('a setting is none that this version knows')
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0 || sizeBytes > volumeBytesMax || sizeBytes % blockBytes !== 0) throw damaged('its size is impossible')
  if (replicas < 1 || replicas > volumeReplicasMax) throw damaged('its copies are none or too many')
  if (!Number.isSafeInteger(createdMs)) throw damaged('its time is impossible')
  const openings = raw.openings.map((opening) => ({ node: nodeOf(opening.node), incarnation: toHex(opening.incarnation, 'incarnation'), epoch: opening.epoch }))
  if (openings.length > openingsMax) throw damaged('too many have it open')
  return { type: 'volume', record: { id, sizeBytes, durability, replicas, policy, createdMs, openings } }
}

export interface VolumeChanged {
  readonly name: string
  readonly id: string
}

export const changedBytesMax = 256

export function encodeChanged({ name, id }: VolumeChanged): Uint8Array {
  return wire.VolumeChanged.encode({ name, id: fromHex(id) })
}

/** Throws DAMAGED. */
export function decodeChanged(bytes: Uint8Array): VolumeChanged {
  try {
    const { name, id } = wire.VolumeChanged.decode(bytes)
    return { name, id: toHex(id, 'id') }
  } catch (error) {
    throw error instanceof VolumeError ? error : damaged('it is no message', error)
  }
}

export function isOpenBy(record: VolumeRecord, session: Session): boolean {
  return record.openings.some((opening) => sameSession(opening, session))
}

function toHex(bytes: Uint8Array, what: string): string {
  if (bytes.length !== idBytes) throw damaged(`its ${what} has not 16 bytes`)
  return Buffer.from(bytes).toString('hex')
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'hex'))
}

function nodeOf(text: string): NodeId {
  const node = asNodeId(text)
  if (node === undefined) throw damaged('who has it open is no node')
  return node
}

function damaged(why: string, cause?: unknown): VolumeError {
  return new VolumeError('DAMAGED', `the mesh's record of a volume cannot be read: ${why}`, {}, { cause })
}
