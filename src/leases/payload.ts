import type { AccessReport, LeaseMode } from './types.js'

/** What a register's value carries of the lease, and a wish of the asker's: JSON, so that a newer node may add to it. */
export interface LeasePayload {
  readonly leaseId: string
  readonly agent: string
  readonly mode: LeaseMode
  readonly priority: number
  /** Unix ms, by the asker's clock: orders the line, decides nothing. */
  readonly sinceMs: number
  /** Asked to be taken from whoever has it, not to wait until it is free. */
  readonly steal?: boolean
  /** Asked by the only reader there is, which wants to write. */
  readonly upgrade?: boolean
  /**
   * Taken from somebody who may have let readers of other nodes in and did not say that they have gone: until their time
   * must be over nobody may write under this value, nor under one that is taken over from it.
   */
  readonly settle?: boolean
  readonly access?: AccessReport
}

export function encodePayload(payload: LeasePayload): Uint8Array {
  return Buffer.from(JSON.stringify(payload))
}

/** Undefined for anything that is not one. */
export function decodePayload(bytes: Uint8Array): LeasePayload | undefined {
  // Of every free register. An error thrown and caught takes longer than all else of an acquire here.
  if (bytes.length === 0) return undefined
  try {
    const raw = JSON.parse(Buffer.from(bytes).toString()) as Partial<LeasePayload> | null
    if (raw === null || typeof raw.leaseId !== 'string' || typeof raw.agent !== 'string') return undefined
    const access = accessOf(raw.access)
    return {
      leaseId: raw.leaseId, agent: raw.agent, mode: raw.mode === 'shared' ? 'shared' : 'exclusive',
      priority: number(raw.priority), sinceMs: number(raw.sinceMs),
      ...(raw.steal === true ? { steal: true } : {}), ...(raw.upgrade === true ? { upgrade: true } : {}), ...(raw.settle === true ? { settle: true } : {}),
      ...(access === undefined ? {} : { access }),
    }
  } catch {
    return undefined
  }
}

/** Whether readers whom the value's holder let in may still be reading, unless that holder says that they have gone. */
export function mayHaveReaders(bytes: Uint8Array): boolean {
  const payload = decodePayload(bytes)
  return payload !== undefined && (payload.mode === 'shared' || payload.settle === true)
}

function accessOf(raw: unknown): AccessReport | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined
  const { region, windowMs, reads, writes, slowWrites, latencyMs } = raw as Partial<Record<keyof AccessReport, unknown>>
  return {
    region: typeof region === 'string' ? region : '', windowMs: number(windowMs), reads: number(reads), writes: number(writes),
    slowWrites: number(slowWrites), latencyMs: number(latencyMs),
  }
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0
}
