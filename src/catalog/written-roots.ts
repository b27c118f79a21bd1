/**
 * Roots that were ever written into the index by content, and which of them more than once: in memory, so that it can be
 * said of a new file, without a question to the disk, that no other has its content.
 *
 * A root is remembered by 31 bits of its digest. Those are spread evenly as they are, so there is nothing to hash: a table
 * with open addressing, 6 to 11 bytes a root. Two roots with the same bits are taken for one that was written twice, which
 * is the safe side; and where nothing certain can be said any more, nothing is.
 */
export class WrittenRoots {
  #slots = new Uint32Array(slotsAtFirst)
  #size = 0
  readonly #sizeMax: number
  #hasGivenUp = false

  constructor(init: { rootsMax?: number } = {}) {
    this.#sizeMax = init.rootsMax ?? rootsMax
  }

  /** `root`: binary CID. */
  add(root: Uint8Array): void {
    if (this.#hasGivenUp) return
    const mark = markOf(root)
    const at = this.#find(mark)
    if (at === undefined) this.#giveUp()
    else if (this.#slots[at] !== 0) this.#slots[at] = mark | again
    else {
      this.#slots[at] = mark
      if (++this.#size * 4 > this.#slots.length * 3) this.#grow()
    }
  }

  /** Of a root that was added; false where it is not certain. */
  isOnce(root: Uint8Array): boolean {
    if (this.#hasGivenUp) return false
    const mark = markOf(root)
    const at = this.#find(mark)
    return at !== undefined && this.#slots[at] === mark
  }

  /** Where it is, or would be; undefined where that is too far from its place to look for. */
  #find(mark: number): number | undefined {
    const slots = this.#slots
    const last = slots.length - 1
    let at = Math.floor((mark / 2 ** 32) * slots.length)
    for (let steps = 0; steps < stepsMax; steps++) {
      const found = slots[at] ?? 0
      if (found === 0 || (found | again) === (mark | again)) return at
      at = at === last ? 0 : at + 1
    }
    return undefined
  }

  #grow(): void {
    const before = this.#slots
    if (this.#size >= this.#sizeMax) {
      this.#giveUp()
      return
    }
    this.#slots = new Uint32Array(before.length * 2)
    for (const found of before) {
      if (found === 0) continue
      const at = this.#find(found)
      if (at === undefined) {
        this.#giveUp()
        return
      }
      this.#slots[at] = found
    }
  }

  #giveUp(): void {
    this.#hasGivenUp = true
    this.#slots = new Uint32Array(0)
  }
}

const slotsAtFirst = 1024
/** 16 MiB of memory. A node that has met more asks its disk, until it is started again. */
const rootsMax = 3 * 2 ** 20
/** Ten times what chance makes of a full table: further on it is somebody who has chosen the digests. */
const stepsMax = 4096
/** The lowest bit of a slot: written more than once. */
const again = 1

/** Never 0, which is an empty slot. */
function markOf(root: Uint8Array): number {
  const end = root.length
  const bits = ((root[end - 4] ?? 0) * 2 ** 24 + ((root[end - 3] ?? 0) << 16) + ((root[end - 2] ?? 0) << 8) + (root[end - 1] ?? 0)) & ~again
  return bits === 0 ? 2 : bits >>> 0
}
