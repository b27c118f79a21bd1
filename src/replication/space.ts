import { Limiter } from '../base/index.js'
import type { Admission, DiskUse, Ledger, QuotaReport, QuotaSettings } from '../storage-policy/index.js'
import { emptyLedger, expire, extend, overBytes, report, reserve, settle } from '../storage-policy/index.js'
import type { ReplicationComponents } from './types.js'

/** What the held blobs are for; counted by who knows the files. */
export interface HeldShares {
  readonly ownBytes: number
  readonly othersBytes: number
  readonly pinnedBytes: number
}

export interface SpaceInit {
  readonly quota: () => QuotaSettings
  readonly shares: () => HeldShares
}

/** A transfer that has made no progress for so long has lost its place. */
const reservationTtlMs = 10 * 60_000

/**
 * The ledger at work. Measuring and deciding is one step that never runs twice at once, and settling waits its turn: so
 * no measurement is older than a reservation that it no longer sees.
 */
export class Space {
  readonly #components: Pick<ReplicationComponents, 'usage' | 'freeDisk' | 'clock'>
  readonly #init: SpaceInit
  readonly #lane = new Limiter({ concurrency: 1, queueMax: 10_000 })
  #ledger: Ledger = emptyLedger
  #last: DiskUse | undefined
  #sequence = 0

  constructor(components: Pick<ReplicationComponents, 'usage' | 'freeDisk' | 'clock'>, init: SpaceInit) {
    this.#components = components
    this.#init = init
  }

  async reserve(bytes: number, own: boolean, signal?: AbortSignal): Promise<Admission> {
    return this.#lane.run(async () => {
      const use = await this.#measure()
      const nowMs = this.#components.clock.monotonicMs()
      const id = String(++this.#sequence)
      const admission = reserve(this.#ledger, use, this.#init.quota(), { id, bytes, own, ttlMs: reservationTtlMs }, nowMs)
      if (admission.admitted) this.#ledger = admission.ledger
      return admission
    }, signal)
  }

  /** It is making progress. */
  extend(id: string): void {
    this.#ledger = extend(this.#ledger, id, this.#components.clock.monotonicMs() + reservationTtlMs)
  }

  async settle(id: string): Promise<void> {
    await this.#lane.run(async () => {
      this.#ledger = settle(this.#ledger, id)
    })
  }

  async report(): Promise<QuotaReport> {
    return this.#lane.run(async () => report(expire(this.#ledger, this.#components.clock.monotonicMs()), await this.#measure(), this.#init.quota()))
  }

  /** As of the last measurement; undefined before the first. */
  last(): QuotaReport | undefined {
    return this.#last === undefined ? undefined : report(expire(this.#ledger, this.#components.clock.monotonicMs()), this.#last, this.#init.quota())
  }

  async overBytes(): Promise<number> {
    return this.#lane.run(async () => overBytes(await this.#measure(), this.#init.quota()))
  }

  async #measure(): Promise<DiskUse> {
    const [usage, freeDiskBytes] = await Promise.all([this.#components.usage(), this.#components.freeDisk()])
    this.#last = {
      totalBytes: usage.totalBytes,
      ...this.#init.shares(),
      volumesBytes: usage.logBytes,
      metadataBytes: usage.metadataBytes,
      reclaimableBytes: usage.reclaimableBytes,
      freeDiskBytes,
    }
    return this.#last
  }
}
