import { encode, type PBLink } from '@ipld/dag-pb'
import { murmur3128 } from '@multiformats/murmur3'
import { UnixFS } from 'ipfs-unixfs'
import { cidOfDigest, dagPbCode } from './cids.js'
import type { NodeSink, TreeEntry } from './folder-nodes.js'
import { sha256 } from './hashing.js'

/**
 * A folder with too many names for one block, as UnixFS shards it: a trie over the hash of the name, a byte of it a
 * level. Names that share a slot go one level down together. What comes out depends on the names alone, not on their
 * order, so it is built at once, slot by slot, and nothing is ever moved. (`hamt-sharding`, which the importer uses,
 * takes names one after the other, asynchronously: a second for 10,000.)
 *
 * Source: UnixFS specification, "HAMT Structure".
 */
const slots = 256
const hashCode = 0x22n
/** Of the 128 bits of the hash the specification takes the first 64. */
const hashBytes = 8

interface Named {
  name: string
  utf8: Uint8Array
  hash: Uint8Array
  entry: TreeEntry
}

export async function makeShards(entries: readonly (readonly [string, TreeEntry])[], onNode: NodeSink): Promise<TreeEntry> {
  const named: Named[] = []
  for (const [name, entry] of entries) {
    const utf8 = Buffer.from(name)
    const hash = hashOf(utf8)
    named.push({ name, utf8, hash: hash instanceof Uint8Array ? hash : await hash, entry })
  }
  return makeShard(named, 0, onNode)
}

async function makeShard(named: readonly Named[], level: number, onNode: NodeSink): Promise<TreeEntry> {
  const inSlots = new Map<number, Named[]>()
  for (const one of named) {
    // Where the hash ends, two names have the same one: the next eight bytes are those of the name and a counter.
    if (level > 0 && level % hashBytes === 0) one.hash = await hashOf(Buffer.concat([one.utf8, Uint8Array.of(level / hashBytes)]))
    const slot = one.hash[level % hashBytes] ?? 0
    const there = inSlots.get(slot)
    if (there === undefined) inSlots.set(slot, [one])
    else there.push(one)
  }
  const links: PBLink[] = []
  let below = 0
  // The order of the labels, which dag-pb wants: it need not look for it, nor at the links' form.
  for (const [slot, there] of [...inSlots].sort(([a], [b]) => a - b)) {
    const label = slot.toString(16).toUpperCase().padStart(2, '0')
    const [first] = there
    const { cid, totalBytes } = there.length === 1 && first !== undefined ? first.entry : await makeShard(there, level + 1, onNode)
    below += totalBytes
    links.push({ Name: there.length === 1 ? `${label}${first?.name ?? ''}` : label, Tsize: totalBytes, Hash: cid })
  }
  const unixfs = new UnixFS({ type: 'hamt-sharded-directory', data: bitField([...inSlots.keys()]), fanout: BigInt(slots), hashType: hashCode })
  const bytes = encode({ Data: unixfs.marshal(), Links: links })
  const cid = cidOfDigest(dagPbCode, await sha256(bytes))
  onNode(cid, bytes)
  return { cid, totalBytes: below + bytes.length }
}

/** Which slots are taken: one bit each, the highest first, without bytes of zeros in front. */
function bitField(taken: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(Math.floor(Math.max(...taken) / 8) + 1)
  for (const slot of taken) {
    const at = bytes.length - 1 - Math.floor(slot / 8)
    bytes[at] = (bytes[at] ?? 0) | (1 << (slot % 8))
  }
  return bytes
}

/** At once, as it is now, or later, as its type allows: a name is not worth a turn of the event loop. */
function hashOf(bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
  return murmur3128.encode(bytes)
}
