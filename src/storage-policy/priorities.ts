import type { Priority } from './types.js'

export interface PriorityRule {
  /** What the eviction score counts with. */
  readonly value: number
  /** Copies if nothing else is asked for. */
  readonly replicas: number
  /** Its owner's node keeps a copy of its own, which is never evicted. */
  readonly ownerMustHold: boolean
}

/** The published table. */
export const priorities: Readonly<Record<Priority, PriorityRule>> = {
  critical: { value: 10, replicas: 5, ownerMustHold: true },
  high: { value: 8, replicas: 3, ownerMustHold: true },
  normal: { value: 5, replicas: 2, ownerMustHold: false },
  low: { value: 3, replicas: 1, ownerMustHold: false },
  expendable: { value: 1, replicas: 1, ownerMustHold: false },
}

export interface FactorSettings {
  /** Copies of a `normal` file where the mesh has room. */
  defaultFactor: number
  /** Copies of a `critical` one; 5 in the published table. */
  highPriorityFactor: number
  /** No eviction leaves fewer copies than this, and fewer live ones than this are made good at once. */
  minFactor: number
}

export const factorDefaults: FactorSettings = {
  defaultFactor: 3,
  highPriorityFactor: 5,
  // Two: one disk may die at any moment, and the copy that makes it good again takes a while.
  minFactor: 2,
}

/**
 * "Has room" for a third copy of everything: with a quarter of what is lent still free, one whole node of a mesh of
 * four may leave and its copies still fit. Judged once, when the file is put, and then written in its record: a count
 * that followed the free space up and down would copy and delete for ever.
 */
export const roomShareMin = 0.25

/** How many copies a new file gets. `explicit`: what its owner asked for, which is not second-guessed. */
export function wantedReplicas(
  priority: Priority,
  explicit: number | undefined,
  settings: FactorSettings,
  meshFreeShare: number,
): number {
  if (explicit !== undefined) return Math.max(1, Math.floor(explicit))
  if (priority === 'critical') return Math.max(1, settings.highPriorityFactor)
  if (priority === 'normal' && meshFreeShare >= roomShareMin) return Math.max(priorities.normal.replicas, settings.defaultFactor)
  return priorities[priority].replicas
}

/** The copies below which nothing is evicted and repair does not wait. Never 0: the last copy is nobody's to delete. */
export function minimumReplicas(wanted: number, settings: FactorSettings): number {
  return Math.max(1, Math.min(wanted, settings.minFactor))
}
