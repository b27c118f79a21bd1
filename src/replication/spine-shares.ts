/**
 * How much of others' lists of parts is taken: each link of a spine is remembered here for as long as that is held (which
 * file a blob is a part of), in several times the memory that it takes on the disk. Without a bound a member could fill a
 * node's memory with some megabytes on its disk, and again at every start.
 *
 * Nobody's files have more than a quarter of what is free, so that some is left for the next one, however many come.
 */
import type { Inventory } from './inventory.js'
import type { Want, Wants } from './wants.js'

/** The lists of 160 TiB of others' large files, about 70 MB in memory. */
export const spineBytesMax = 8 * 2 ** 20
const shareOfFree = 1 / 4
/** The list of a file of 1 TiB: so much of each owner is taken while there is any room. */
const smallBytes = 64 * 1024

export function takesSpine(components: { inventory: Inventory; wants: Wants }, bytes: number, comingBytes: number, want: Want): boolean {
  const { inventory, wants } = components
  if (want.own) return true
  let all = comingBytes
  let sameOwner = comingBytes
  for (const entry of inventory.spines()) {
    const known = wants.last(entry.cid)
    if (known?.own === true) continue
    all += entry.bytes
    // Whose it is may not be known at the moment: then it counts as anybody's.
    if (known === undefined || known.owner === want.owner) sameOwner += entry.bytes
  }
  const free = Math.max(0, spineBytesMax - all)
  return all + bytes <= spineBytesMax && sameOwner + bytes <= Math.max(smallBytes, free * shareOfFree)
}
