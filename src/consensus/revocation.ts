import type { SessionId } from './types.js'

/**
 * "Stop acting under this token." Lives at a majority of voters, where it blocks every renewal of that very session until
 * the holder has acknowledged it *to that voter*, or the voter supports or requires a higher epoch of it.
 *
 * It is not dropped when a higher token is accepted for the scope. A taker whom the clocks let through has moved the
 * scope on while the old holder only slept: were the record gone, the sleeper's next renewal would make it valid again
 * under a token that it never gave up.
 */
export interface Revocation {
  readonly scope: string
  readonly target: SessionId
  readonly token: number
}

export interface RevocationRecord {
  readonly revocation: Revocation
  readonly acknowledged: boolean
}

export function revocationKey(revocation: Revocation): string {
  const { target, token, scope } = revocation
  return `${target.node}/${target.incarnation}/${target.epoch}/${token}/${scope}`
}
