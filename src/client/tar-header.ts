/**
 * Headers of plain files in a tar (POSIX.1-2001, "ustar"), as this project writes them: 512 bytes, numbers in octal.
 *
 *   offset  size
 *        0   100  name, or what of it follows `prefix` and a slash; ASCII
 *      124    12  size: 11 digits, a space
 *      136    12  modified, Unix seconds: 11 digits, a space
 *      148     8  sum of all bytes, with spaces in place of itself: 6 digits, a space, 0
 *      156     1  type: `0` file, `x` what is said of the file that follows ("pax")
 *      257     8  "ustar", 0, "00"
 *      345   155  prefix
 *
 * A name that does not fit there is said in pax before it, as one record: its own length in digits, ` path=`, the name in UTF-8,
 * a line feed.
 */
export const blockBytes = 512

export interface PlainFile {
  path: string
  size: number
  modifiedMs: number
}

export interface PlainHeader extends PlainFile {
  /** From its first byte to the content. */
  headerBytes: number
}

/** Eleven digits. */
const numberMax = 0o77777777777
const nameBytesMax = 100
const prefixBytesMax = 155
const magic = Buffer.from('ustar\x0000', 'latin1')
const typeOfFile = 0x30
const typeOfPax = 0x78
/** What pax, and the file that it is about, are called for programs that know only names that fit. */
const standIn = 'PaxHeader'
/** All but name, size, time, sum and type. */
const template = templateOf()
const templateSum = sumOf(template)
const zeros = Buffer.alloc(blockBytes)

/** What follows content of this size until the next block begins. */
export function paddingOf(size: number): Uint8Array {
  return zeros.subarray(0, paddingBytes(size))
}

export function paddingBytes(size: number): number {
  return (blockBytes - (size % blockBytes)) % blockBytes
}

export function isZeros(block: Uint8Array): boolean {
  return zeros.equals(block)
}

/** All that stands in front of a file's content. */
export function encodeHeader({ path, size, modifiedMs }: PlainFile): Uint8Array {
  const seconds = Math.min(numberMax, Math.max(0, Math.floor(modifiedMs / 1000)))
  const place = placeOf(path)
  if (place !== undefined && size <= numberMax) return blockOf(typeOfFile, place.prefix, place.name, size, seconds)
  const said = Buffer.from(`${recordOf('path', path)}${size > numberMax ? recordOf('size', String(size)) : ''}`)
  const pax = blockOf(typeOfPax, '', standIn, said.length, seconds)
  return Buffer.concat([pax, said, paddingOf(said.length), blockOf(typeOfFile, '', standIn, Math.min(size, numberMax), seconds)])
}

/** A file's header, if it is exactly as above. `pax`: it is not a file's, but of so many bytes that say its name. */
export function decodeHeader(block: Buffer): PlainHeader | { pax: number } | undefined {
  const type = block[156]
  if ((type !== typeOfFile && type !== typeOfPax) || magic.compare(block, 257, 265) !== 0) return undefined
  const size = numberIn(block, 124, 11)
  const seconds = numberIn(block, 136, 11)
  const sum = numberIn(block, 148, 6)
  if (size === undefined || seconds === undefined || sum === undefined || block[155] !== 0 || sum !== sumOf(block)) return undefined
  if (type === typeOfPax) return { pax: size }
  const name = textIn(block, 0, nameBytesMax)
  return { path: block[345] === 0 ? name : `${textIn(block, 345, prefixBytesMax)}/${name}`, size, modifiedMs: seconds * 1000, headerBytes: blockBytes }
}

/** The name that pax says, if it says nothing else. */
export function decodePax(said: Buffer): string | undefined {
  const begin = `${String(said.length)} path=`
  const isPlain = said.length > begin.length + 1 && said.toString('latin1', 0, begin.length) === begin && said.at(-1) === 0x0a
  return isPlain ? said.toString('utf8', begin.length, said.length - 1) : undefined
}

/** How a name is cut in two where it must be; undefined if it has no place in a header. */
function placeOf(path: string): { prefix: string; name: string } | undefined {
  if (!/^[\x01-\x7f]*$/.test(path)) return undefined
  if (path.length <= nameBytesMax) return { prefix: '', name: path }
  const cut = path.indexOf('/', path.length - nameBytesMax - 1)
  if (cut < 1 || cut > prefixBytesMax || cut === path.length - 1) return undefined
  return { prefix: path.slice(0, cut), name: path.slice(cut + 1) }
}

function blockOf(type: number, prefix: string, name: string, size: number, seconds: number): Buffer {
  const block = Buffer.allocUnsafe(blockBytes)
  template.copy(block)
  block[156] = type
  const sizeText = `${size.toString(8).padStart(11, '0')} `
  const secondsText = `${seconds.toString(8).padStart(11, '0')} `
  const sum = templateSum + type + written(block, name, 0) + written(block, sizeText, 124) + written(block, secondsText, 136) + written(block, prefix, 345)
  block.write(`${sum.toString(8).padStart(6, '0')} `, 148, 'latin1')
  return block
}

/** Returns the sum of what it wrote. */
function written(block: Buffer, text: string, offset: number): number {
  block.write(text, offset, 'latin1')
  let sum = 0
  for (let i = 0; i < text.length; i++) sum += text.charCodeAt(i)
  return sum
}

/** The length counts its own digits. */
function recordOf(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  const bytes = Buffer.byteLength(rest)
  let length = bytes + String(bytes).length
  if (String(length).length > String(bytes).length) length++
  return `${String(length)}${rest}`
}

function templateOf(): Buffer {
  const block = Buffer.alloc(blockBytes)
  // Mode, owner, group; device numbers.
  for (const [text, offset] of [['000644 ', 100], ['000000 ', 108], ['000000 ', 116], ['000000 ', 329], ['000000 ', 337]] as const) block.write(text, offset, 'latin1')
  magic.copy(block, 257)
  return block
}

/** Digits and one space or zero behind them; undefined for any other form. */
function numberIn(block: Uint8Array, offset: number, digits: number): number | undefined {
  let value = 0
  for (let i = offset; i < offset + digits; i++) {
    const digit = (block[i] ?? 0) - 0x30
    if (digit < 0 || digit > 7) return undefined
    value = value * 8 + digit
  }
  const end = block[offset + digits]
  return end === 0x20 || end === 0 ? value : undefined
}

function textIn(block: Buffer, offset: number, bytesMax: number): string {
  const end = block.indexOf(0, offset)
  return block.toString('utf8', offset, end === -1 || end > offset + bytesMax ? offset + bytesMax : end)
}

function sumOf(block: Uint8Array): number {
  let sum = 8 * 0x20
  for (let i = 0; i < 148; i++) sum += block[i] ?? 0
  for (let i = 156; i < blockBytes; i++) sum += block[i] ?? 0
  return sum
}
