/**
 * Scopes are ordered by code points, which is the order of their UTF-8 bytes and so that of the disk: a voter's index can
 * be read from disk as it is, and compared as bytes. The language's own `<` differs where characters beyond U+FFFF, which
 * it keeps as two halves from U+D800 on, meet those from U+E000 to U+FFFF.
 */
export function compareScopes(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i)
    const y = b.charCodeAt(i)
    if (x !== y) return rank(x) - rank(y)
  }
  return a.length - b.length
}

/** Halves of a pair above all others. */
function rank(unit: number): number {
  return unit >= 0xd800 && unit < 0xe000 ? unit + 0x10000 : unit
}

/** Above every scope that begins with what it is put behind, and below all others. */
export const lastCharacter = '\u{10ffff}'

/** Below every scope that begins with `prefix`, and below no other that is below these, but for what nobody calls a scope. */
export function justBelow(prefix: string): string {
  const last = /.$/su.exec(prefix)?.[0]
  if (last === undefined) return ''
  const begin = prefix.slice(0, prefix.length - last.length)
  const point = last.codePointAt(0) ?? 0
  if (point === 0) return begin
  // The half characters have no UTF-8.
  return `${begin}${String.fromCodePoint(point === 0xe000 ? 0xd7ff : point - 1)}${lastCharacter}`
}
