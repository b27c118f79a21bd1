import type { Clock, Random } from '../../base/index.js'
import { messageOf } from '../../base/index.js'
import type { ChangeFunction, Consensus, SessionId } from '../../consensus/index.js'
import { ConsensusError } from '../../consensus/index.js'
import { checkVolumeName, checkVolumeSize, VolumeError } from '../geometry.js'
import type { VolumeSettings } from '../types.js'
import * as changes from './changes.js'
import type { Outcome } from './changes.js'
import type { VolumeRecord } from './entry.js'
import { decodeEntry, volumeReplicasMax } from './entry.js'

/** What the registry needs of the consensus. */
export type Registers = Pick<Consensus, 'change' | 'read' | 'list' | 'session' | 'nextOp'>

export interface NamedVolume {
  readonly name: string
  readonly record: VolumeRecord
}

export const volumeScopePrefix = 'volume:'
/** A mesh with more volumes lists them no more at once; each of them still works. */
const listMax = 10_000

export function volumeScope(name: string): string {
  return `${volumeScopePrefix}${name}`
}

/**
 * Names of volumes, as consensus registers: one a name, so that two nodes that make the same name at once agree on who
 * was first, and a removal and an opening cannot both succeed. Every answer is linearizable, except that a list is not a
 * moment. Throws VolumeError, ConsensusError.
 *
 * A name's register outlives its volume (registers cannot be deleted without forgetting what was promised); it then says
 * which volume is gone. Ids are never used twice, so "the register of this name names another id" means gone for good.
 */
export class VolumeRegistry {
  readonly #registers: Registers
  readonly #clock: Clock
  readonly #random: Random

  constructor(components: { registers: Registers; clock: Clock; random: Random }) {
    this.#registers = components.registers
    this.#clock = components.clock
    this.#random = components.random
  }

  /** EXISTS, BAD_NAME, BAD_SIZE, BAD_SETTING. */
  async create(name: string, sizeBytes: number, settings: VolumeSettings, signal?: AbortSignal): Promise<VolumeRecord> {
    checkVolumeName(name)
    if (!Number.isInteger(settings.replicas) || settings.replicas < 1 || settings.replicas > volumeReplicasMax) {
      throw new VolumeError('BAD_SETTING', `a volume has 1 to ${volumeReplicasMax} replicas, not ${settings.replicas}`, { replicas: settings.replicas })
    }
    const { durability, replicas, policy } = settings
    const record = { durability, replicas, policy, sizeBytes: checkVolumeSize(sizeBytes), id: Buffer.from(this.#random.bytes(16)).toString('hex'), createdMs: this.#clock.wallMs(), openings: [] }
    return (await this.#change(name, (op) => changes.create(op, name, record), signal)).record
  }

  /** NOT_FOUND. */
  async get(name: string, signal?: AbortSignal): Promise<VolumeRecord> {
    const entry = await this.#entry(name, signal)
    if (entry?.type !== 'volume') throw changes.notFound(name)
    return entry.record
  }

  /** Whether this volume is certainly no more: its name's register names another, or says so. */
  async isGone(name: string, id: string, signal?: AbortSignal): Promise<boolean> {
    const entry = await this.#entry(name, signal)
    if (entry === undefined) return false
    return entry.type === 'removed' || entry.record.id !== id
  }

  /** In order of name. `damaged`: names whose records cannot be read, by this version at least. */
  async list(signal?: AbortSignal): Promise<{ volumes: NamedVolume[]; damaged: string[]; complete: boolean }> {
    const found = await this.#registers.list(volumeScopePrefix, listMax, signal === undefined ? {} : { signal })
    const volumes: NamedVolume[] = []
    const damaged: string[] = []
    for (const { scope, value } of found) {
      const name = scope.slice(volumeScopePrefix.length)
      try {
        const entry = decodeEntry(value.payload)
        if (entry?.type === 'volume') volumes.push({ name, record: entry.record })
      } catch {
        damaged.push(name)
      }
    }
    return { volumes, damaged, complete: found.length < listMax }
  }

  /** BAD_SIZE if it would shrink. */
  async resize(name: string, sizeBytes: number, signal?: AbortSignal): Promise<Outcome> {
    const size = checkVolumeSize(sizeBytes)
    return this.#change(name, (op) => changes.resize(op, name, size), signal)
  }

  /**
   * IN_USE while a session that may be alive has it open: each of those is put to the voters, who count it as over or do
   * not. A node that died seconds ago may still count.
   */
  async remove(name: string, signal?: AbortSignal): Promise<VolumeRecord> {
    const record = await this.get(name, signal)
    const own = this.#registers.session
    for (const opening of record.openings) {
      if (own !== undefined && opening.node === own.node && opening.incarnation === own.incarnation && opening.epoch === own.epoch) throw changes.inUse(name, record)
      await this.#change(name, (op) => changes.forgetDead(op, name, opening), signal, opening)
    }
    await this.#change(name, (op) => changes.remove(op, name, record.id), signal)
    return record
  }

  /** This node's session has it open from now on. `id`: only if it is still that volume. NOT_FOUND. */
  async open(name: string, id?: string, signal?: AbortSignal): Promise<{ record: VolumeRecord; session: SessionId }> {
    const session = this.#session()
    const { record } = await this.#change(name, (op) => changes.open(op, name, id, session), signal)
    return { record, session }
  }

  async close(name: string, id: string, session: SessionId, signal?: AbortSignal): Promise<void> {
    await this.#change(name, (op) => changes.close(op, name, id, session), signal)
  }

  #session(): SessionId {
    const { session } = this.#registers
    if (session === undefined) throw new ConsensusError('NO_SESSION', 'this node has no session with a majority of voters')
    return session
  }

  async #entry(name: string, signal?: AbortSignal): Promise<ReturnType<typeof decodeEntry>> {
    checkVolumeName(name)
    const value = await this.#registers.read(volumeScope(name), signal === undefined ? {} : { signal })
    return value === undefined ? undefined : decodeEntry(value.payload)
  }

  async #change(name: string, change: (op: string) => ChangeFunction<Outcome | VolumeError>, signal?: AbortSignal, evict?: SessionId): Promise<Outcome> {
    checkVolumeName(name)
    const limits = { ...(signal === undefined ? {} : { signal }), ...(evict === undefined ? {} : { evict }) }
    const { answer } = await this.#registers.change(volumeScope(name), change(this.#registers.nextOp()), limits)
    if (answer instanceof VolumeError) throw new VolumeError(answer.code, messageOf(answer), answer.facts)
    return answer
  }
}
