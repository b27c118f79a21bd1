import { RecordReader } from './bytes.js'
import { decodeCuts, decodeOrigins, Head, limitsOf } from './head.js'
import type { Page } from './page.js'
import { contentCodes, installedFlag, pageBlocks } from './page.js'
import type { Row } from './rows.js'
import type { Segment } from './segments.js'
import { allPages, pagesOf } from './segments.js'

/**
 * What a row of the log does to what is known of its segment: the same code when it was just written and when it is
 * replayed, so that both come to the same. A row does nothing to a head or page that has it already.
 */
export function pagesTouched(row: Pick<Row, 'kind' | 'start' | 'blocks' | 'sequence' | 'bytes'>): readonly number[] {
  switch (row.kind) {
    case 'write':
    case 'install':
    case 'replace':
    case 'carry':
    case 'forget':
      return pagesOf(row)
    case 'fence':
      return decodeCuts(row.bytes).length > 0 ? pagesOf(row) : []
    case 'whole':
      return row.sequence === 1 ? allPages : []
    case 'drop':
    case 'discard':
      return allPages
    case 'adopt':
    case 'complete':
    case 'origins':
      return []
  }
}

/** Head and pages of the row are in memory. */
export function applyRow(segment: Segment, row: Row, position: number): void {
  const head = segment.loaded
  // Pages first: what they do to a block may depend on what the head said before this row.
  for (const number of pagesTouched(row)) {
    const page = segment.page(number)
    if (position <= page.checkpoint) continue
    if (row.kind !== 'whole' && row.kind !== 'drop' && row.kind !== 'discard') page.dirty = true
    else if (!page.isEmpty()) page.dirty = true
    applyToPage(segment, page, row, position)
  }
  if (position > head.checkpoint) applyToHead(segment, head, row, position)
}

function applyToPage(segment: Segment, page: Page, row: Row, position: number): void {
  const from = page.number * pageBlocks
  const first = Math.max(row.start, from)
  const end = Math.min(row.start + row.blocks, from + pageBlocks)
  switch (row.kind) {
    case 'write':
    case 'install':
    case 'replace':
    case 'carry': {
      const code = contentCodes[row.content ?? 'none']
      const info = row.kind === 'install' || row.kind === 'replace' ? code | installedFlag : code
      for (let block = first; block < end; block++) {
        const skip = row.content === 'data' ? block - row.start : 0
        const stored = { position, skip, token: row.token, sequence: row.sequence, info }
        if (row.kind === 'replace') page.forget(block - from)
        if (row.kind === 'carry') page.carry(block - from, stored)
        else page.put(block - from, stored, segment)
      }
      return
    }
    case 'fence': {
      const limits = limitsOf({ token: row.token, cuts: decodeCuts(row.bytes) })
      for (let block = first; block < end; block++) {
        page.discard(block - from, ({ token, sequence }) => limits.some((limit) => token >= limit.from && token < limit.to && sequence > limit.sequence), segment)
      }
      return
    }
    case 'discard':
      for (let block = 0; block < pageBlocks; block++) page.discard(block, ({ token, sequence }) => token === row.token && sequence > row.sequence, segment)
      return
    case 'forget':
      for (let block = first; block < end; block++) page.forget(block - from)
      return
    case 'drop':
      for (let block = 0; block < pageBlocks; block++) page.forget(block)
      return
    case 'whole':
      page.confirm(segment.loaded.doubt, segment)
      return
    case 'adopt':
    case 'complete':
    case 'origins':
  }
}

function applyToHead(segment: Segment, head: Head, row: Row, position: number): void {
  head.dirty = true
  head.exists = true
  switch (row.kind) {
    case 'write':
      if (row.part !== 0) return
      head.openStream(row.token).written(row.sequence, position)
      if (row.origin !== undefined) {
        head.addOrigin({ origin: row.origin, version: { token: row.token, sequence: row.sequence }, start: row.entryStart, blocks: row.entryBlocks })
      }
      return
    case 'fence': {
      const cuts = decodeCuts(row.bytes)
      head.raise({ start: row.start, blocks: row.blocks, token: row.token, configuration: row.configuration, cuts })
      if (cuts.length > 0) head.removeOrigins(({ start, blocks, version }) => head.isCutWithin({ start, blocks }, version))
      return
    }
    case 'discard':
      head.stream(row.token)?.cutBack(row.sequence)
      head.removeOrigins(({ version }) => version.token === row.token && version.sequence > row.sequence)
      return
    case 'adopt':
    case 'complete': {
      const stream = head.openStream(row.token)
      if (row.sequence > stream.end) {
        stream.skipTo(row.sequence)
        if (row.kind === 'adopt') head.whole = false
        head.doubt = position
      }
      return
    }
    case 'whole':
      head.whole = row.sequence === 1
      if (!head.whole) head.doubt = position
      return
    case 'origins':
      for (const applied of decodeOrigins(new RecordReader(row.bytes, 'origins'))) {
        if (!head.isCutWithin(applied, applied.version)) head.addOrigin(applied)
      }
      return
    case 'drop': {
      const fresh = new Head()
      fresh.checkpoint = head.checkpoint
      fresh.dirty = true
      for (const number of head.storedPages) fresh.storedPages.add(number)
      segment.head = fresh
      return
    }
    case 'install':
    case 'replace':
    case 'carry':
    case 'forget':
  }
}
