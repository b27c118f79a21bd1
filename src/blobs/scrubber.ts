import { abortReason, codeOf, messageOf, raceAbort, type Clock, type Log } from '../base/index.js'
import type { BlobRecords } from './records.js'
import type { BlobSettings } from './settings.js'
import type { HeldBlob, ScrubControl, ScrubStatus } from './types.js'
import type { Verified } from './verifying.js'

export interface ScrubberComponents {
  records: BlobRecords
  clock: Clock
  log: Log
  verify: (held: HeldBlob, pace: (bytes: number) => Promise<void>, signal: AbortSignal) => AsyncIterable<Verified>
}

/** Small blobs scrubbed between two notes of how far it is. */
const blobsPerNote = 64
/** Debt of rest is paid in pieces of at least this, or ten thousand small files would be ten thousand timers. */
const restMsMin = 20

/**
 * Passes over everything held, for ever: one block at a time, at so many bytes a second, where it stopped last time.
 * A bit that rotted is found while other nodes still have it.
 */
export class Scrubber implements ScrubControl {
  readonly #components: ScrubberComponents
  readonly #settings: BlobSettings
  readonly #status: ScrubStatus = { state: 'idle', blocks: 0, bytes: 0, passes: 0, corrupt: 0, healed: 0, lastPassMs: undefined }
  #paused = false
  #resume: (() => void) | undefined
  /** Milliseconds of rest that the bytes read so far are worth. */
  #owedMs = 0

  constructor(components: ScrubberComponents, settings: BlobSettings) {
    this.#components = components
    this.#settings = settings
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#resume?.()
  }

  status(): ScrubStatus {
    return { ...this.#status, state: this.#paused && this.#status.state === 'running' ? 'paused' : this.#status.state }
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#components
    await clock.sleep(await this.#restLeftMs(), signal).catch(() => undefined)
    for (;;) {
      if (signal.aborted) return
      await this.#pass(signal).catch((error: unknown) => {
        if (!signal.aborted) log.warn('a scrub ended early', { reason: messageOf(error) })
      })
      this.#status.state = 'idle'
      await clock.sleep(this.#settings.scrubRestMs, signal).catch(() => undefined)
    }
  }

  /** A node that is started anew rests on as if it had not been, or a laptop would read all it has every morning. */
  async #restLeftMs(): Promise<number> {
    const { records, clock } = this.#components
    const endedMs = await records.scrubEndedMs().catch(() => undefined)
    const sinceMs = clock.wallMs() - (endedMs ?? Number.NEGATIVE_INFINITY)
    // A clock that was ahead keeps no disk from being read.
    return sinceMs < 0 ? 0 : Math.max(0, this.#settings.scrubRestMs - sinceMs)
  }

  async #pass(signal: AbortSignal): Promise<void> {
    const { records, clock } = this.#components
    Object.assign(this.#status, { state: 'running', blocks: 0, bytes: 0 })
    const startMs = clock.monotonicMs()
    let sinceNote = 0
    for await (const held of records.list(await records.scrubbedTo())) {
      const bytes = await this.#scrub(held, signal)
      if (bytes >= this.#settings.scrubBytesPerSecond || ++sinceNote >= blobsPerNote) {
        sinceNote = 0
        await records.setScrubbedTo(held.cid)
      }
    }
    await records.setScrubEnded(clock.wallMs())
    this.#status.passes++
    this.#status.lastPassMs = clock.monotonicMs() - startMs
  }

  /** Bytes looked at. One blob that cannot be looked through (it is being dropped, say) keeps no other from it. */
  async #scrub(held: HeldBlob, signal: AbortSignal): Promise<number> {
    const { verify, log } = this.#components
    const blob = held.cid.toString()
    let bytes = 0
    try {
      for await (const result of verify(held, (size) => this.#pace(size, signal, (more) => (bytes += more)), signal)) {
        this.#status.blocks++
        if (result.ok) continue
        this.#status.corrupt++
        if (result.healed) this.#status.healed++
        log.warn(result.healed ? 'the scrub put a damaged block right' : 'the scrub found a damaged block', { cid: result.cid.toString(), blob, reason: result.error ?? '' })
      }
    } catch (error) {
      if (signal.aborted || codeOf(error) === 'CLOSED') throw error
      log.warn('the scrub could not look through a blob', { blob, reason: messageOf(error) })
    }
    return bytes
  }

  async #pace(bytes: number, signal: AbortSignal, count: (bytes: number) => void): Promise<void> {
    if (signal.aborted) throw abortReason(signal)
    while (this.#paused) {
      await raceAbort(
        new Promise<void>((resolve) => {
          this.#resume = resolve
        }),
        signal,
      )
    }
    count(bytes)
    this.#status.bytes += bytes
    this.#owedMs += (bytes / this.#settings.scrubBytesPerSecond) * 1000
    if (this.#owedMs < restMsMin) return
    const rest = this.#owedMs
    this.#owedMs = 0
    await this.#components.clock.sleep(rest, signal)
  }
}
