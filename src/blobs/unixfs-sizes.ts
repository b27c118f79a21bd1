import { UnixFS } from 'ipfs-unixfs'
import { varint } from 'multiformats'

/**
 * The library's encoder (protons-runtime, all versions up to 8.0.1) keeps the low half of a 64-bit number as a signed
 * 32-bit one: a size from 2^31 to 2^32 is written as zeroes or rubbish, and a file of 2 to 4 GiB gets a root that nobody
 * can read. This module, once imported, makes `marshal` write such sizes right; everything else the library still does.
 *
 * Here and not at the callers: the importer makes its nodes itself. A test imports a file of 2 GiB and reads it again, so
 * that it shows if the importer gets a copy of the library of its own.
 */
const wrongFrom = 2n ** 31n
const wrongTo = 2n ** 32n

const original = Object.getOwnPropertyDescriptor(UnixFS.prototype, 'marshal')?.value as (this: UnixFS) => Uint8Array
UnixFS.prototype.marshal = function marshal(this: UnixFS): Uint8Array {
  const total = this.blockSizes.reduce((sum, size) => sum + size, 0n)
  const plainFile = this.type === 'file' && this.data === undefined && this.mtime === undefined
  if (!plainFile || ![total, ...this.blockSizes].some((size) => size >= wrongFrom && size < wrongTo)) return original.call(this)
  return fileMessage(total, this.blockSizes)
}

/**
 * UnixFS `Data` of a file without content of its own: field 1 Type = 2 (File), field 3 filesize, field 4 the size below
 * each link, all varints, in the order in which the library writes them.
 */
export function fileMessage(total: bigint, blockSizes: readonly bigint[]): Uint8Array {
  const sizes = blockSizes.map(Number)
  const bytes = new Uint8Array(3 + varint.encodingLength(Number(total)) + sizes.reduce((sum, size) => sum + 1 + varint.encodingLength(size), 0))
  bytes.set([0x08, 2, 0x18])
  let at = 3
  const put = (size: number): void => {
    varint.encodeTo(size, bytes, at)
    at += varint.encodingLength(size)
  }
  put(Number(total))
  for (const size of sizes) {
    bytes[at++] = 0x20
    put(size)
  }
  return bytes
}
