import { HttpError } from './errors.js'

export interface Range {
  from: number
  /** Included. */
  to: number
}

/**
 * RFC 9110, section 14. Undefined for no range, and for what may be ignored: other units, and several ranges at once,
 * which would need a multipart answer for something no client of ours asks. BAD_RANGE (416) if nothing of it is there.
 */
export function parseRange(header: string | undefined, size: number): Range | undefined {
  if (header === undefined) return undefined
  const match = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*$/i.exec(header)
  if (match === null) return undefined
  const [, first = '', last = ''] = match
  if (first === '' && last === '') return undefined
  const unsatisfiable = new HttpError('BAD_RANGE', `bytes ${first}-${last} are not in this content, which has ${String(size)}`, { size })
  if (first === '') {
    const length = Number(last)
    if (length === 0 || size === 0) throw unsatisfiable
    return { from: Math.max(0, size - length), to: size - 1 }
  }
  const from = Number(first)
  const to = last === '' ? size - 1 : Math.min(Number(last), size - 1)
  if (last !== '' && Number(last) < from) return undefined
  if (from >= size) throw unsatisfiable
  return { from, to }
}
