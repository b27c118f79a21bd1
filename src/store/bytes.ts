/** Byte strings as keys: joining, comparing bounds, and 8-byte sequence numbers. */

const encoder = new TextEncoder()

export function textBytes(text: string): Uint8Array {
  return encoder.encode(text)
}

export function joined(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let offset = 0
  for (const part of parts) {
    whole.set(part, offset)
    offset += part.length
  }
  return whole
}

/**
 * The smallest key above every key that starts with `prefix`: the prefix with its last byte that can grow grown.
 * Undefined if there is none (a prefix of 0xff only).
 */
export function afterPrefix(prefix: Uint8Array): Uint8Array | undefined {
  for (let length = prefix.length; length > 0; length--) {
    const last = prefix[length - 1] ?? 0
    if (last === 0xff) continue
    const end = prefix.slice(0, length)
    end[length - 1] = last + 1
    return end
  }
  return undefined
}

/** Byte strings as map keys. Latin-1 keeps one byte in one character: 34 bytes of multihash stay 34 bytes of string. */
export function mapKey(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

export function bytesOfMapKey(key: string): Uint8Array {
  return Buffer.from(key, 'latin1')
}

/** Numbers up to 2^53: at a million blocks a second that lasts 285 years, so a BigInt is not needed on the way. */
export function writeSequence(target: Uint8Array, offset: number, sequence: number): void {
  const view = new DataView(target.buffer, target.byteOffset, target.byteLength)
  view.setUint32(offset, Math.floor(sequence / 2 ** 32))
  view.setUint32(offset + 4, sequence % 2 ** 32)
}

export function readSequence(source: Uint8Array, offset: number): number {
  const view = new DataView(source.buffer, source.byteOffset, source.byteLength)
  return view.getUint32(offset) * 2 ** 32 + view.getUint32(offset + 4)
}

export function sequenceKey(sequence: number): Uint8Array {
  const key = new Uint8Array(8)
  writeSequence(key, 0, sequence)
  return key
}
