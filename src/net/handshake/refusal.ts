import { printable } from '../rpc/methods.js'
import { NetError } from '../types.js'

export interface Refusal {
  /** Whose check failed. */
  readonly by: 'us' | 'them'
  /** For example REVOKED. */
  readonly code: string
  readonly reason: string
}

/** A refusal's sentence is for one person to read once, not for moving data. */
export const refusalReasonLengthMax = 400
export const refusalCodeLengthMax = 40

export function refusalOf(by: 'us' | 'them', code: string, reason: string): Refusal {
  return { by, code: /^[A-Z][A-Z0-9_]*$/.test(code) && code.length <= refusalCodeLengthMax ? code : 'REFUSED', reason: printable(reason, refusalReasonLengthMax) }
}

/**
 * libp2p keeps only the message of what an encrypter throws, so the refusal travels up to `dial` inside of it:
 * `mesh admission refused by them: REVOKED: sentence`.
 */
const pattern = /mesh admission refused by (us|them): ([A-Z][A-Z0-9_]*): ([^\n]*)/

export class AdmissionRefusedError extends Error {
  readonly refusal: Refusal

  constructor(refusal: Refusal) {
    super(`mesh admission refused by ${refusal.by}: ${refusal.code}: ${refusal.reason}`)
    this.name = 'AdmissionRefusedError'
    this.refusal = refusal
  }
}

export function refusalIn(error: unknown): Refusal | undefined {
  if (error instanceof AggregateError) {
    for (const one of error.errors) {
      const refusal = refusalIn(one)
      if (refusal !== undefined) return refusal
    }
  }
  if (!(error instanceof Error)) return undefined
  const match = pattern.exec(error.message)
  if (match === null) return undefined
  return refusalOf(match[1] === 'us' ? 'us' : 'them', match[2] ?? '', match[3] ?? '')
}

/** The sentence for the person who dialled. */
export function notAdmitted(refusal: Refusal): NetError {
  const sentence = refusal.by === 'them' ? `the other node did not let us in: ${refusal.reason}` : `we did not let the other node in: ${refusal.reason}`
  return new NetError('NOT_ADMITTED', sentence, { by: refusal.by, reasonCode: refusal.code, reason: refusal.reason })
}
