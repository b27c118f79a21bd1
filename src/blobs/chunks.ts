import { spareMemory } from '../base/index.js'

/**
 * Cuts a stream of any pieces into chunks of `chunkBytes`, the last one shorter. Every chunk is a buffer of its
 * own, to be released to `spareMemory`: the producer may reuse its own, and one copy at memory speed is nothing beside
 * the hash. A small last chunk is copied to
 * its size, so that ten thousand small files do not hold ten thousand mebibytes.
 */
export async function* chunksOf(content: AsyncIterable<Uint8Array>, chunkBytes: number): AsyncGenerator<Uint8Array> {
  // Doubling up to the full chunk: a file of 10 KiB costs 16, one of 10 GiB fills whole chunks from the second on.
  let buffer: Buffer = Buffer.alloc(0)
  let firstChunk = true
  let filled = 0
  for await (const piece of content) {
    let taken = 0
    while (taken < piece.length) {
      if (filled === buffer.length) buffer = grown(buffer, filled, Math.min(chunkBytes, firstChunk ? Math.max(piece.length - taken, filled * 2) : chunkBytes))
      const take = Math.min(piece.length - taken, buffer.length - filled)
      buffer.set(piece.subarray(taken, taken + take), filled)
      filled += take
      taken += take
      if (filled === chunkBytes) {
        yield buffer
        buffer = Buffer.alloc(0)
        filled = 0
        firstChunk = false
      }
    }
  }
  if (filled === 0) return
  if (filled === buffer.length) yield buffer
  else {
    const last = new Uint8Array(buffer.subarray(0, filled))
    spareMemory.release(buffer)
    yield last
  }
}

function grown(buffer: Buffer, filled: number, length: number): Buffer {
  const larger = spareMemory.take(length)
  larger.set(buffer.subarray(0, filled))
  spareMemory.release(buffer)
  return larger
}
