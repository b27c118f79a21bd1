import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fc from 'fast-check'

/**
 * Messages made from their schema: `protocols/<x>/<x>.proto` is read, and each message in it becomes an arbitrary of bytes
 * that have its fields, with values of all kinds. Such bytes get past the decoder and into what is behind it, where random
 * ones end at their first byte; and a message that is added to a schema is among them without a word here.
 *
 * Only as much of the language is read as our schemas use: messages (also one in another), enums, plain, optional and
 * repeated fields.
 */
interface Field {
  readonly number: number
  readonly type: string
  readonly repeated: boolean
  /** More of them are refused while they are read. */
  readonly limit: number
}

export interface Schema {
  readonly messages: ReadonlyMap<string, readonly Field[]>
  readonly enums: ReadonlySet<string>
}

const protocolsFolder = resolve(import.meta.dirname, '..', 'protocols')

/** Every schema there is, by its file: `lease/lease`. */
export function schemas(): Map<string, Schema> {
  const found = new Map<string, Schema>()
  for (const entry of readdirSync(protocolsFolder, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue
    for (const file of readdirSync(join(protocolsFolder, entry.name))) {
      if (file.endsWith('.proto')) found.set(`${entry.name}/${file.slice(0, -'.proto'.length)}`, schemaOf(readFileSync(join(protocolsFolder, entry.name, file), 'utf8')))
    }
  }
  return found
}

function schemaOf(text: string): Schema {
  const messages = new Map<string, Field[]>()
  const enums = new Set<string>()
  /** What the braces that are open belong to. */
  const open: { kind: 'message' | 'enum'; name: string }[] = []
  for (const line of text.replace(/\/\/.*$/gm, '').split('\n')) {
    const begun = /^\s*(message|enum)\s+(\w+)\s*\{/.exec(line)
    if (begun !== null) {
      const [, kind, name = ''] = begun
      open.push({ kind: kind === 'enum' ? 'enum' : 'message', name })
      if (kind === 'enum') enums.add(name)
      else messages.set(name, [])
    }
    const field = /^\s*(optional\s+|repeated\s+)?([A-Za-z]\w*)\s+\w+\s*=\s*(\d+)\s*(\[[^\]]*\])?\s*;/.exec(line)
    const current = open.at(-1)
    if (field !== null && current?.kind === 'message') {
      messages.get(current.name)?.push({ number: Number(field[3]), type: field[2] ?? '', repeated: field[1]?.startsWith('repeated') === true, limit: Number(/limit = (\d+)/.exec(field[4] ?? '')?.[1] ?? 1024) })
    }
    if (/\}\s*$/.test(line)) open.pop()
  }
  return { messages, enums }
}

/** Values that mean something to the receiver. */
export interface Known {
  readonly bytes: readonly Uint8Array[]
  readonly texts: readonly string[]
}

const varintBytesMax = 10

function varint(value: bigint): Buffer {
  const bytes: number[] = []
  let left = BigInt.asUintN(64, value)
  do {
    bytes.push(Number(left & 127n) | (left > 127n ? 128 : 0))
    left >>= 7n
  } while (left > 0n)
  return Buffer.from(bytes)
}

const wireTypes: Record<string, number> = { bytes: 2, string: 2, fixed64: 1, sfixed64: 1, double: 1, fixed32: 5, sfixed32: 5, float: 5 }
const hostileNumbers = [0n, 1n, 2n, 3n, 7n, 127n, 128n, 255n, 256n, 4096n, 65_535n, 2n ** 20n, 2n ** 24n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n]
const lengths = [0, 1, 2, 8, 15, 16, 17, 20, 31, 32, 33, 34, 36, 38, 64, 65, 300]

/**
 * Bytes of this message, right by its schema but for some. Half of them have numbers only that a JavaScript number holds:
 * one that does not is the end of the whole message to its decoder.
 */
export function messageBytes(schema: Schema, name: string, known: Known): fc.Arbitrary<Uint8Array> {
  const [tame, wild] = [true, false].map((isTame) => fieldsOf(schema, name, known, { depth: 0, isTame }))
  return fc.oneof(tame ?? fc.constant(new Uint8Array()), fc.tuple(wild ?? fc.constant(new Uint8Array()), damage).map(([bytes, change]) => change(bytes)))
}

function fieldsOf(schema: Schema, name: string, known: Known, { depth, isTame }: { depth: number; isTame: boolean }): fc.Arbitrary<Uint8Array> {
  const fields = schema.messages.get(name)
  if (fields === undefined) throw new Error(`there is no message ${name}`)
  const number = fc.oneof({ weight: 3, arbitrary: fc.bigInt({ min: 0n, max: 10n }) }, { weight: 2, arbitrary: fc.constantFrom(...hostileNumbers.filter((one) => !isTame || one < 2n ** 53n)) }, { weight: 1, arbitrary: fc.bigInt({ min: 0n, max: 2n ** (isTame ? 53n : 64n) - 1n }) })
  const someBytes = fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...lengths).chain((length) => fc.uint8Array({ minLength: length, maxLength: length })) }, { weight: 3, arbitrary: fc.constantFrom(...known.bytes) })
  const someText = fc.oneof(fc.constantFrom(...known.texts), fc.constantFrom('', '\0', '/', '..', 'x'.repeat(5_000), '__proto__'), fc.string({ unit: 'binary', maxLength: 40 }))
  const one = ({ number: tag, type }: Field): fc.Arbitrary<Buffer> => {
    const delimited = (bytes: Uint8Array): Buffer => Buffer.concat([varint(BigInt((tag << 3) | 2)), varint(BigInt(bytes.length)), bytes])
    if (type === 'bytes') return someBytes.map(delimited)
    if (type === 'string') return someText.map((text) => delimited(Buffer.from(text)))
    if (schema.messages.has(type)) return depth > 3 ? fc.constant(Buffer.alloc(0)) : fieldsOf(schema, type, known, { depth: depth + 1, isTame }).map(delimited)
    const wireType = wireTypes[type] ?? 0
    const head = varint(BigInt((tag << 3) | wireType))
    if (wireType === 0) return (schema.enums.has(type) || type === 'bool' ? fc.oneof(fc.bigInt({ min: 0n, max: 8n }), number) : number).map((value) => Buffer.concat([head, varint(value)]))
    const width = wireType === 1 ? 8 : 4
    if (type === 'float' || type === 'double') {
      return fc.oneof(fc.constantFrom(0, -0, -1, 1e-40, 1e308, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY), fc.double()).map((value) => {
        const bytes = Buffer.alloc(width)
        if (width === 8) bytes.writeDoubleLE(value)
        else bytes.writeFloatLE(value)
        return Buffer.concat([head, bytes])
      })
    }
    return number.map((value) => {
      const bytes = Buffer.alloc(8)
      bytes.writeBigUInt64LE(BigInt.asUintN(64, value))
      return Buffer.concat([head, bytes.subarray(0, width)])
    })
  }
  const part = (field: Field): fc.Arbitrary<Buffer> => {
    const value = one(field)
    // Mostly there, and mostly once.
    return field.repeated ? fc.array(value, { maxLength: Math.min(depth > 1 ? 2 : 5, isTame ? field.limit : 5) }).map((values) => Buffer.concat(values)) : fc.option(value, { freq: 8, nil: Buffer.alloc(0) })
  }
  return fc.tuple(...fields.map(part)).map((parts) => Uint8Array.from(Buffer.concat(parts)))
}

/** Most messages are left as they are: what is behind the decoder is what is to be met. */
const damage: fc.Arbitrary<(bytes: Uint8Array) => Uint8Array> = fc.oneof(
  { weight: 6, arbitrary: fc.constant((bytes: Uint8Array) => bytes) },
  { weight: 1, arbitrary: fc.tuple(fc.nat(), fc.nat(255)).map(([at, value]) => (bytes: Uint8Array) => bytes.map((byte, i) => (i === at % bytes.length ? value : byte))) },
  { weight: 1, arbitrary: fc.nat().map((at) => (bytes: Uint8Array) => bytes.slice(0, at % (bytes.length + 1))) },
  // A length that is not there, and would be gigabytes.
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 15 }).map((tag) => (bytes: Uint8Array) => Uint8Array.from(Buffer.concat([bytes, varint(BigInt((tag << 3) | 2)), varint(2n ** 31n - 1n), Buffer.of(1)]))) },
  // A number of more bytes than a number has, and groups in groups, which nobody uses any more.
  { weight: 1, arbitrary: fc.constant((bytes: Uint8Array) => Uint8Array.from([...bytes, 8, ...new Uint8Array(varintBytesMax + 5).fill(255)])) },
  { weight: 1, arbitrary: fc.constant((bytes: Uint8Array) => Uint8Array.from([...bytes, ...new Uint8Array(3_000).fill((1 << 3) | 3)])) },
)
