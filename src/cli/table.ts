/** Columns as wide as they need be, two spaces apart; numbers to the right. For people; programs take `--json`. */
export function table(header: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = [header, ...rows.map((row) => row.map(clean))]
  const widths = header.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? '').length)))
  const isNumber = header.map((_, column) => rows.length > 0 && rows.every((row) => /^[\d.]*( [KMGTP]?i?B| ms)?$/.test(clean(row[column] ?? ''))))
  return cells
    .map((row) => row.map((cell, column) => (isNumber[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0))).join('  ').trimEnd())
    .join('\n')
}

/** Names come from other people: what would move a terminal's cursor, or turn the direction of a line, is shown as a question mark. */
export function clean(value: string | number): string {
  return String(value).replace(/[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?')
}

/** `1 file`, `2 files`. */
export function counted(count: number, what: string): string {
  return `${String(count)} ${what}${count === 1 ? '' : 's'}`
}

export function shortId(id: string): string {
  return id.length <= 14 ? id : `…${id.slice(-8)}`
}

export function ago(momentMs: number, nowMs: number = Date.now()): string {
  const seconds = Math.max(0, Math.round((nowMs - momentMs) / 1000))
  if (seconds < 5) return 'now'
  if (seconds < 90) return `${String(seconds)} s ago`
  if (seconds < 5400) return `${String(Math.round(seconds / 60))} min ago`
  if (seconds < 129_600) return `${String(Math.round(seconds / 3600))} h ago`
  return `${String(Math.round(seconds / 86_400))} d ago`
}
