/** Sizes and durations as people write them. `100GB` is 10⁹ bytes each, `100GiB` 2³⁰. */
const sizeUnits: Record<string, number> = {
  '': 1, b: 1,
  kb: 1e3, mb: 1e6, gb: 1e9, tb: 1e12, pb: 1e15,
  k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40,
  kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40, pib: 2 ** 50,
}
const durationUnits: Record<string, number> = { ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3, w: 7 * 86400e3 }

/** Bytes, or undefined if the text is not a size. `1.5GiB`, `500 MB`, `42`. */
export function parseSize(text: string): number | undefined {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(text)
  if (match === null) return undefined
  const unit = sizeUnits[(match[2] ?? '').toLowerCase()]
  if (unit === undefined) return undefined
  const bytes = Math.round(Number(match[1]) * unit)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** Fewer bytes than this nobody means who types a size: 50 was to be 50GB. */
const bareBytesMin = 2 ** 20

/** As `parseSize`, of what somebody has typed: a small number without a unit has lost it, and is none. 0 is 0. */
export function parseTypedSize(text: string): number | undefined {
  const bytes = parseSize(text)
  return bytes !== undefined && bytes > 0 && bytes < bareBytesMin && /^\s*[\d.]+\s*$/.test(text) ? undefined : bytes
}

/** Milliseconds, or undefined. `30s`, `24h`, `1h30m`, `250ms`; a bare number is refused, since nobody knows its unit. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim().toLowerCase()
  if (trimmed === '0') return 0
  if (!/^(\d+(?:\.\d+)?(?:ms|s|m|h|d|w)\s*)+$/.test(trimmed)) return undefined
  let sum = 0
  for (const part of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
    sum += Number(part[1]) * (durationUnits[part[2] ?? ''] ?? Number.NaN)
  }
  const ms = Math.round(sum)
  return Number.isSafeInteger(ms) ? ms : undefined
}

/** `1.5 GiB`, for people. */
export function formatSize(bytes: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
  let value = bytes
  let unit = 0
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  const digits = unit === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2
  return `${value.toFixed(digits)} ${units[unit] ?? ''}`
}

/** `2h 5m`, for people: the two largest units. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${String(Math.round(ms))} ms`
  const parts: [string, number][] = [['d', 86400], ['h', 3600], ['m', 60], ['s', 1]]
  let seconds = Math.floor(ms / 1000)
  const words: string[] = []
  for (const [name, size] of parts) {
    const count = Math.floor(seconds / size)
    seconds -= count * size
    if (count > 0 && words.length < 2) words.push(`${String(count)}${name}`)
  }
  return words.join(' ')
}
