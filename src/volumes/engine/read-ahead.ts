import type { BlockRange } from '../geometry.js'
import { pieceBlocksMax } from './content.js'
import { overlap } from './range-lock.js'

/** Readers that go on side by side in one segment: more than any client has. */
const readersMax = 4
/** What is asked for at first: two of the kernel's own requests. */
const windowBlocksMin = 64
/** 4 MiB: at 200 ms from the next replica 20 MiB/s. */
const windowBlocksMax = 1_024
/** Requests of one client overtake one another, by this much. */
const gapBlocksMax = 32
const underWayMax = 4

interface Reader {
  /** Where the next read begins, if it goes on in order. */
  next: number
  /** Everything before it is here or on its way. */
  through: number
  /** As much as should be; 0 until the second read in order. */
  blocks: number
  /** What lies ahead was never written, or does not come: each read fetches its own. */
  isFutile: boolean
}

/**
 * Who reads in order blocks that a holder does not have, waits for one way to a replica and back with each request. What
 * comes next is fetched before it is asked for, twice as much each time that a reader had to wait.
 *
 * Only where this node holds the blocks: what it keeps then stays right until it writes itself. Elsewhere what was read a
 * moment ago may have been written since by others, and a read must not see less than what was acknowledged before it.
 */
export class ReadAhead {
  readonly #fetch: (range: BlockRange) => Promise<boolean>
  readonly #readers: Reader[] = []
  readonly #underWay = new Map<Promise<void>, BlockRange>()

  /** `fetch` brings blocks to this disk, and tells whether anything came. It never rejects. */
  constructor(fetch: (range: BlockRange) => Promise<boolean>) {
    this.#fetch = fetch
  }

  /** Somebody reads in order, or did lately. */
  get isReading(): boolean {
    return this.#readers.length > 0
  }

  /** What is on its way of the range: undefined, or resolves when some of it came, or does not come. */
  underWay(range: BlockRange): Promise<void> | undefined {
    for (const [done, other] of this.#underWay) if (overlap(other, range)) return done
    return undefined
  }

  /** A read of the range, which was here, or was waited for. `end`: up to where this node holds the blocks behind it. */
  saw(range: BlockRange, hadToWait: boolean, end: number): void {
    const next = range.start + range.blocks
    const at = this.#readers.findIndex((one) => range.start <= one.next + gapBlocksMax && next > one.next - gapBlocksMax)
    const found = this.#readers[at]
    if (found === undefined) {
      if (!hadToWait) return
      this.#readers.unshift({ next, through: next, blocks: 0, isFutile: false })
      this.#readers.length = Math.min(this.#readers.length, readersMax)
      return
    }
    this.#readers.splice(at, 1)
    this.#readers.unshift(found)
    found.next = Math.max(found.next, next)
    found.through = Math.max(found.through, found.next)
    if (hadToWait) found.blocks = Math.min(windowBlocksMax, Math.max(windowBlocksMin, 2 * found.blocks))
    this.#fill(found, end)
  }

  #fill(reader: Reader, end: number): void {
    // Not before half of it was read: else each read would ask for as little as it took.
    if (reader.isFutile || reader.through - reader.next > reader.blocks / 2) return
    const to = Math.min(end, reader.next + reader.blocks)
    while (reader.through < to && this.#underWay.size < underWayMax) {
      const range = { start: reader.through, blocks: Math.min(pieceBlocksMax, to - reader.through) }
      reader.through += range.blocks
      const done: Promise<void> = this.#fetch(range).then((came) => {
        this.#underWay.delete(done)
        if (!came) reader.isFutile = true
      })
      this.#underWay.set(done, range)
    }
  }
}
