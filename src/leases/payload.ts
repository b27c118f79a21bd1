import type { LeaseMode } from './types.js'

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
}

export function encodePayload(payload: LeasePayload): Uint8Array {
  return Buffer.from(JSON.stringify(payload))
}

/** Undefined for anything that is not one. */
export function decodePayload(bytes: Uint8Array): LeasePayload | undefined {
  try {
    const raw = JSON.parse(Buffer.from(bytes).toString()) as Partial<LeasePayload> | null
    if (raw === null || typeof raw.leaseId !== 'string' || typeof raw.agent !== 'string') return undefined
    const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0)
    return {
      leaseId: raw.leaseId, agent: raw.agent, mode: raw.mode === 'shared' ? 'shared' : 'exclusive',
      priority: number(raw.priority), sinceMs: number(raw.sinceMs), ...(raw.steal === true ? { steal: true } : {}),
    }
  } catch {
    return undefined
  }
}
