/** Any two sets of this size among `voters` share a voter. */
export function majorityOf(voters: number): number {
  return Math.floor(voters / 2) + 1
}

/** Voter sets are odd: a fourth voter would add a way to fail and no failure that is survived. */
export const voterCounts: readonly number[] = [1, 3, 5]

/** The target for a mesh with so many nodes that could vote: 1, 3 or 5. */
export function voterTarget(candidates: number): number {
  if (candidates >= 5) return 5
  return candidates >= 3 ? 3 : 1
}
