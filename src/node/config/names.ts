import { isSettingName, settingNames, settingOf } from './settings.js'
import type { SettingName } from './settings.js'

/** Number of that unit → bytes or milliseconds. */
const sizeSuffixes: Record<string, number> = { _tb: 1e12, _tib: 2 ** 40, _gb: 1e9, _gib: 2 ** 30, _mb: 1e6, _mib: 2 ** 20, _kb: 1e3, _kib: 2 ** 10, _bytes: 1 }
const durationSuffixes: Record<string, number> = {
  _days: 86_400_000, _hours: 3_600_000, _minutes: 60_000, _mins: 60_000, _seconds: 1000, _secs: 1000, _ms: 1,
}

export interface ResolvedName {
  name: SettingName
  /** The value is a bare number of this many bytes, milliseconds, or units of the setting's own name. */
  scale?: number
}

/**
 * A key as somebody wrote it → the setting it means. Besides the names themselves these are read: a size or duration
 * with its unit in the name and a bare number (`max_storage_gb = 100`, `rebalance_interval_hours = 1`), and the other way
 * round a setting whose own name ends in a unit with another one (`steal_cooldown_secs` for `steal_cooldown_ms`).
 */
export function resolveName(key: string): ResolvedName | undefined {
  if (isSettingName(key)) return { name: key }
  for (const [suffix, scale] of Object.entries(sizeSuffixes)) {
    const name = withoutSuffix(key, suffix)
    if (name !== undefined && isSettingName(name) && settingOf(name).unit === 'size') return { name, scale }
  }
  for (const [suffix, scale] of Object.entries(durationSuffixes)) {
    const base = withoutSuffix(key, suffix)
    if (base === undefined) continue
    if (isSettingName(base) && settingOf(base).unit === 'duration') return { name: base, scale }
    for (const [own, ownScale] of Object.entries(durationSuffixes)) {
      const name = base + own
      if (isSettingName(name)) return { name, scale: scale / ownScale }
    }
  }
  return undefined
}

function withoutSuffix(key: string, suffix: string): string | undefined {
  return key.endsWith(suffix) ? key.slice(0, -suffix.length) : undefined
}

/** The setting whose name is nearest to what was typed, if any is near enough to be meant. */
export function nearestName(key: string): SettingName | undefined {
  let best: { name: SettingName; distance: number } | undefined
  // A name under the wrong section, or without one, is as near as one letter wrong.
  const tail = lastPart(key)
  for (const name of settingNames) {
    const distance = Math.min(editDistance(key, name), tail === lastPart(name) ? 1 : editDistance(tail, lastPart(name)) + 1)
    if (best === undefined || distance < best.distance) best = { name, distance }
  }
  return best !== undefined && best.distance <= Math.max(2, Math.floor(tail.length / 3)) ? best.name : undefined
}

function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1)
}

/** Longer than this no key is near any of ours, and the table below would only cost time. */
const comparedLengthMax = 100

/** Optimal string alignment (Damerau 1964): insert, delete, replace, swap of neighbours. */
export function editDistance(left: string, right: string): number {
  if (left.length > comparedLengthMax || right.length > comparedLengthMax) return Number.POSITIVE_INFINITY
  let beforeLast: number[] = []
  let last = Array.from({ length: right.length + 1 }, (_, j) => j)
  for (let i = 1; i <= left.length; i++) {
    const row = [i]
    for (let j = 1; j <= right.length; j++) {
      const same = left[i - 1] === right[j - 1]
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1]) cost = Math.min(cost, (beforeLast[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    beforeLast = last
    last = row
  }
  return last[right.length] ?? 0
}
