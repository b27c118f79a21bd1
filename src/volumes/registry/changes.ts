import type { ChangeFunction, Value } from '../../consensus/index.js'
import { VolumeError } from '../geometry.js'
import type { Session } from '../segment.js'
import { sameSession } from '../segment.js'
import type { VolumeEntry, VolumeRecord } from './entry.js'
import { decodeEntry, encodeEntry, isOpenBy, openingsMax } from './entry.js'

/**
 * Every change that a round may make of a volume's register: pure, and each a function of what this very round read. A
 * round may be tried again after a try of unknown outcome, so each change knows its own work again: by the id (of a
 * creation), by the session (of an opening), or because the value is as it should be.
 */
export interface Outcome {
  readonly record: VolumeRecord
  readonly changed: boolean
}

type EntryChange = (entry: VolumeEntry | undefined) => VolumeEntry | Outcome

/** The change as the consensus wants it. An entry that cannot be read is never written over. */
function onEntry(op: string, change: EntryChange): ChangeFunction<Outcome | VolumeError> {
  return ({ value, token }) => {
    try {
      const result = change(decodeEntry(value?.payload ?? noBytes))
      if ('changed' in result) return { kind: 'keep', answer: result }
      const next: Value = { holder: null, token: token + 1, op, payload: encodeEntry(result) }
      return { kind: 'set', value: next, answer: { record: result.type === 'volume' ? result.record : gone(result.id), changed: true } }
    } catch (error) {
      if (error instanceof VolumeError) return { kind: 'keep', answer: error }
      throw error
    }
  }
}

const noBytes = new Uint8Array(0)

/** EXISTS. */
export function create(op: string, name: string, record: VolumeRecord): ChangeFunction<Outcome | VolumeError> {
  return onEntry(op, (entry) => {
    if (entry?.type === 'volume') {
      if (entry.record.id === record.id) return { record: entry.record, changed: false }
      throw new VolumeError('EXISTS', `there is a volume "${name}" already`, { name })
    }
    // The retry of a creation whose volume somebody has removed meanwhile must not bring it back.
    if (entry?.id === record.id) throw notFound(name)
    return { type: 'volume', record }
  })
}

/** BAD_SIZE for a smaller one: what lies past the new end would be lost, and the file system in it would not know. */
export function resize(op: string, name: string, sizeBytes: number): ChangeFunction<Outcome | VolumeError> {
  return onEntry(op, (entry) => {
    const record = existing(entry, name)
    if (sizeBytes < record.sizeBytes) {
      throw new VolumeError('BAD_SIZE', `a volume only grows: "${name}" has ${record.sizeBytes} bytes already`, { name, sizeBytes: record.sizeBytes })
    }
    return sizeBytes === record.sizeBytes ? { record, changed: false } : { type: 'volume', record: { ...record, sizeBytes } }
  })
}

/** `id`: only the volume that had the name when somebody asked. IN_USE (fact `nodes`), NOT_FOUND. */
export function remove(op: string, name: string, id: string): ChangeFunction<Outcome | VolumeError> {
  return onEntry(op, (entry) => {
    if (entry?.type === 'removed' && entry.id === id) return { record: gone(id), changed: false }
    const record = existing(entry, name)
    if (record.id !== id) throw notFound(name)
    if (record.openings.length > 0) throw inUse(name, record)
    return { type: 'removed', id }
  })
}

/** One entry a node: an older session of the same store is over, or this one would not be. */
export function open(op: string, name: string, id: string | undefined, session: Session): ChangeFunction<Outcome | VolumeError> {
  return onEntry(op, (entry) => {
    const record = existing(entry, name)
    if (id !== undefined && record.id !== id) throw notFound(name)
    if (isOpenBy(record, session)) return { record, changed: false }
    const others = record.openings.filter((opening) => opening.node !== session.node)
    if (others.length >= openingsMax) throw new VolumeError('IN_USE', `"${name}" is open on ${others.length} nodes, and that is all it may be`, { name })
    return { type: 'volume', record: { ...record, openings: [...others, session] } }
  })
}

export function close(op: string, name: string, id: string, session: Session): ChangeFunction<Outcome | VolumeError> {
  return onEntry(op, (entry) => {
    const record = existing(entry, name)
    if (record.id !== id) throw notFound(name)
    if (!isOpenBy(record, session)) return { record, changed: false }
    return { type: 'volume', record: { ...record, openings: record.openings.filter((opening) => !sameSession(opening, session)) } }
  })
}

/** Forgets an opening if the voters have said in this very round that its session is over for good. */
export function forgetDead(op: string, name: string, session: Session): ChangeFunction<Outcome | VolumeError> {
  return (reading) => onEntry(op, (entry) => {
    const record = existing(entry, name)
    if (!reading.evicted || !isOpenBy(record, session)) return { record, changed: false }
    return { type: 'volume', record: { ...record, openings: record.openings.filter((opening) => !sameSession(opening, session)) } }
  })(reading)
}

function existing(entry: VolumeEntry | undefined, name: string): VolumeRecord {
  if (entry?.type !== 'volume') throw notFound(name)
  return entry.record
}

export function notFound(name: string): VolumeError {
  return new VolumeError('NOT_FOUND', `there is no volume "${name}"`, { name })
}

export function inUse(name: string, record: VolumeRecord): VolumeError {
  const nodes = record.openings.map(({ node }) => node as string)
  return new VolumeError('IN_USE', `the volume "${name}" is open on ${nodes.join(', ')}; end its exports there first`, { name, nodes })
}

function gone(id: string): VolumeRecord {
  return { id, sizeBytes: 0, durability: 'flush', replicas: 1, policy: 'adaptive', createdMs: 0, openings: [] }
}
