import { codeOf, CommonError, raceAbort } from '../base/index.js'
import type { Clock, NodeId } from '../base/index.js'
import type { CreateVolume, ExportVolume, VolumeDetails, VolumeExport, VolumeHeat, VolumeInfo as VolumeDocument, VolumeLeaseInfo } from '../client/index.js'
import type { Consensus } from '../consensus/index.js'
import type { HeldExport, NodeVolumes as Api, Signalled } from '../gateways/http/index.js'
import { VolumeError } from '../volumes/index.js'
import type { VolumeInfo, VolumeService } from '../volumes/index.js'
import type { VolumeExports } from './volume-exports.js'

export interface NodeVolumesComponents {
  readonly volumes: VolumeService
  readonly exports: VolumeExports
  readonly consensus: Pick<Consensus, 'session'>
  /** What people call a node; empty if nobody knows. */
  readonly nameOf: (node: NodeId) => string
  readonly heatOf: (id: string) => readonly VolumeHeat[]
  readonly clock: Clock
  /** Aborts when the node begins to stop. */
  readonly stopping: AbortSignal
}

/** A node that has just started, or slept, has its session with the voters again within a second or two. */
const sessionWaitMs = 5_000
const sessionPollMs = 25
/** Rounds retry by themselves; an answer that takes longer than this does not come: the voters are out of reach. */
const answerMs = 20_000
/** Opening a volume may have to wait for a dead holder's time to be up. */
const openMs = 40_000

/** Volumes as the API offers them: every wait bounded, nodes by the names people gave them. */
export class NodeVolumes implements Api {
  readonly #components: NodeVolumesComponents

  constructor(components: NodeVolumesComponents) {
    this.#components = components
  }

  async create(name: string, { sizeBytes, ...settings }: CreateVolume, { signal }: Signalled): Promise<VolumeDocument> {
    return this.#document(await this.#bounded(signal, answerMs, async (ends) => this.#components.volumes.create(name, sizeBytes, settings, ends)))
  }

  async list({ signal }: Signalled): Promise<VolumeDocument[]> {
    return (await this.#bounded(signal, answerMs, async (ends) => this.#components.volumes.list(ends))).map((info) => this.#document(info))
  }

  async stat(name: string, { signal }: Signalled): Promise<VolumeDetails> {
    const { volumes, nameOf } = this.#components
    const [info, nodes] = await this.#bounded(signal, answerMs, async (ends) => Promise.all([volumes.stat(name, ends), volumes.openOn(name, ends)]))
    return { ...this.#document(info), openOn: nodes.map((peerId) => ({ peerId, name: nameOf(peerId) })) }
  }

  async resize(name: string, sizeBytes: number, { signal }: Signalled): Promise<VolumeDocument> {
    return this.#document(await this.#bounded(signal, answerMs, async (ends) => this.#components.volumes.resize(name, sizeBytes, ends)))
  }

  async remove(name: string, { signal }: Signalled): Promise<void> {
    const { volumes, exports, nameOf } = this.#components
    const here = exports.of(name)
    if (here.length > 0) {
      throw new VolumeError('IN_USE', `the volume "${name}" is exported at this node (${here.map(({ uri }) => uri).join(', ')}); \`mesh-node volume unexport ${name}\` ends that`, { name })
    }
    try {
      await this.#bounded(signal, answerMs, async (ends) => volumes.remove(name, ends))
    } catch (error) {
      if (!(error instanceof VolumeError) || error.code !== 'IN_USE' || !Array.isArray(error.facts.nodes)) throw error
      const nodes = error.facts.nodes as NodeId[]
      const told = nodes.map((node) => (nameOf(node) === '' ? node : `${nameOf(node)} (${node})`))
      throw new VolumeError('IN_USE', `the volume "${name}" is open on ${told.join(' and ')}: end its exports there first. A node that has died stops counting after some seconds`, error.facts, { cause: error })
    }
  }

  async leases(name: string, { signal }: Signalled): Promise<VolumeLeaseInfo[]> {
    return [...(await this.#bounded(signal, answerMs, async (ends) => this.#components.volumes.leases(name, ends)))]
  }

  async heat(name: string, { signal }: Signalled): Promise<VolumeHeat[]> {
    const { volumes, heatOf } = this.#components
    const { id } = await this.#bounded(signal, answerMs, async (ends) => volumes.stat(name, ends))
    return [...heatOf(id)]
  }

  async exportDetached(name: string, wish: ExportVolume, { signal }: Signalled): Promise<VolumeExport> {
    return this.#bounded(signal, openMs, async (ends) => this.#components.exports.detached(name, wish, ends))
  }

  async exportHeld(name: string, wish: ExportVolume, { signal }: Signalled): Promise<HeldExport> {
    return this.#bounded(signal, openMs, async (ends) => {
      const held = await this.#components.exports.held(name, wish, ends)
      // Whoever wanted it has gone, or was told that it takes too long: nobody would ever end it.
      if (ends.aborted) await held.close()
      return held
    })
  }

  async unexport(name: string, exportId: string | undefined): Promise<{ ended: number }> {
    return this.#components.exports.remove(name, exportId)
  }

  #document({ name, id, sizeBytes, blockSize, segments, durability, replicas, policy, usedBytes }: VolumeInfo): VolumeDocument {
    return { name, id, sizeBytes, blockSize, segments, durability, replicas, policy, usedBytes, exports: this.#components.exports.of(name) }
  }

  /** Waits for a session, then for the work: neither for ever, and not beyond the node's stop or the asker's patience. */
  async #bounded<T>(signal: AbortSignal | undefined, limitMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, consensus, stopping } = this.#components
    if (stopping.aborted) throw stoppingError()
    const controller = new AbortController()
    const cancelled = (): void => { controller.abort(new CommonError('ABORTED', 'the wait was interrupted')) }
    const stops = (): void => { controller.abort(stoppingError()) }
    const cancel = clock.setTimer(limitMs, () => { controller.abort(new CommonError('UNAVAILABLE', 'the voters did not answer in time')) })
    signal?.addEventListener('abort', cancelled, { once: true })
    stopping.addEventListener('abort', stops, { once: true })
    try {
      if (signal?.aborted === true) cancelled()
      const untilMs = clock.monotonicMs() + sessionWaitMs
      while (consensus.session === undefined && clock.monotonicMs() < untilMs) await clock.sleep(sessionPollMs, controller.signal)
      if (consensus.session === undefined) {
        throw new CommonError('UNAVAILABLE', 'this node has no session with a majority of the voters; `mesh-node voters ls` shows who they are')
      }
      return await raceAbort(work(controller.signal), controller.signal)
    } catch (error) {
      // A round that was given up says CANCELLED; why it was given up says more.
      throw controller.signal.aborted && codeOf(error) === 'CANCELLED' ? controller.signal.reason : error
    } finally {
      cancel()
      signal?.removeEventListener('abort', cancelled)
      stopping.removeEventListener('abort', stops)
    }
  }
}

function stoppingError(): CommonError {
  return new CommonError('UNAVAILABLE', 'the node is stopping')
}
