import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ClientError } from './error.js'
import { blockBytes, decodeHeader, decodePax, encodeHeader, isZeros, paddingBytes, paddingOf } from './tar-header.js'
import type { PlainHeader } from './tar-header.js'
import { endedEarly, TarInput } from './tar-input.js'

/**
 * Folders travel as a tar stream, since a request a file would cost more than the file: ten thousand small files are one
 * request. Names are relative with `/` between, and only plain files are in it.
 *
 * Archives that look like those written here are read here, a small file in a few steps; of any other tar-stream reads the
 * rest, from the first header on that looks different: it knows what the last forty years have put into them. It takes some
 * twenty turns of the event loop's queues for a file, 0.05 ms each way, as much as all of HTTP does.
 */
export interface FolderSource {
  /** Relative to the folder: `photos/1.jpg`. */
  path: string
  size: number
  /** Exactly `size` bytes. A buffer is fine, and faster, for a small file. */
  content: Uint8Array | AsyncIterable<Uint8Array>
  modifiedMs?: number
}

export interface FolderEntry {
  path: string
  size: number
  modifiedMs: number
  content: AsyncIterable<Uint8Array>
  /** All of the content where it is at hand, as of most small files; it may be taken instead. */
  bytes?: Uint8Array
}

/** A small file is three pieces (header, content, padding), each of which would be a write to the socket of its own. */
const sendBytesMin = 64 * 1024
/** A file at most this large is waited for, and comes in one piece. */
const wholeBytesMax = 256 * 1024
/** No name is longer, by far: longer headers are for tar-stream to judge. */
const paxBytesMax = 64 * 1024

export async function* packFolder(entries: AsyncIterable<FolderSource>): AsyncIterable<Uint8Array> {
  let parts: Uint8Array[] = []
  let length = 0
  const add = (part: Uint8Array): void => {
    parts.push(part)
    length += part.length
  }
  const gathered = (): Uint8Array => {
    const all = Buffer.concat(parts, length)
    parts = []
    length = 0
    return all
  }
  for await (const { path, content, size: said, modifiedMs = Date.now() } of entries) {
    const size = content instanceof Uint8Array ? content.length : said
    add(encodeHeader({ path, size, modifiedMs }))
    if (content instanceof Uint8Array) add(content)
    else {
      let sent = 0
      for await (const chunk of content) {
        sent += chunk.length
        if (sent > size) break
        add(chunk)
        if (length >= sendBytesMin) yield gathered()
      }
      if (sent !== size) throw new Error(`${path} has not the ${String(size)} bytes that it was said to have`)
    }
    add(paddingOf(size))
    if (length >= sendBytesMin) yield gathered()
  }
  // Two empty blocks are the end.
  add(new Uint8Array(2 * blockBytes))
  yield gathered()
}

/**
 * The plain files of a tar, in order; each entry's content must be drained before the next is asked for. Anything else
 * in it than files and folders is refused, so that a link can lead nobody out of a folder.
 */
export async function* unpackFolder(bytes: AsyncIterable<Uint8Array>): AsyncIterable<FolderEntry> {
  const input = new TarInput(bytes)
  try {
    for (;;) {
      if (input.length < blockBytes && !(await input.fill(blockBytes))) break
      const block = input.peek(blockBytes)
      const header = decodeHeader(block) ?? (isZeros(block) ? 'empty' : undefined)
      if (header === 'empty') {
        input.drop(blockBytes)
        continue
      }
      const file = header !== undefined && 'pax' in header ? await namedByPax(input, header.pax) : header
      if (file === undefined) {
        yield* unpackOther(input.rest())
        return
      }
      const { path, size, modifiedMs } = file
      input.drop(file.headerBytes)
      if (size > wholeBytesMax) {
        const content = new Parts(input, size)
        yield { path, size, modifiedMs, content }
        await content.drained()
      } else {
        if (input.length < size && !(await input.fill(size))) throw endedEarly()
        const whole = input.take(size)
        yield { path, size, modifiedMs, bytes: whole, content: once(whole) }
      }
      const padding = paddingBytes(size)
      if (input.length < padding && !(await input.fill(padding))) throw endedEarly()
      input.drop(padding)
    }
    if (input.length > 0) throw endedEarly()
  } finally {
    input.close()
  }
}

/** The file behind a pax header that says its name; undefined if either is not of our kind. Nothing is taken. */
async function namedByPax(input: TarInput, saidBytes: number): Promise<PlainHeader | undefined> {
  const begin = blockBytes + saidBytes + paddingBytes(saidBytes)
  const headerBytes = begin + blockBytes
  if (saidBytes > paxBytesMax || !(await input.fill(headerBytes))) return undefined
  const all = input.peek(headerBytes)
  const path = decodePax(all.subarray(blockBytes, blockBytes + saidBytes))
  const header = decodeHeader(all.subarray(begin))
  return path === undefined || header === undefined || 'pax' in header ? undefined : { ...header, path, headerBytes }
}

/** The content of a large file, read while whoever reads the archive waits for its end. */
class Parts implements AsyncIterable<Uint8Array> {
  readonly #input: TarInput
  #left: number
  #failure: { error: unknown } | undefined
  /** Reads go one after the other, also those of somebody who asks ahead. */
  #last: Promise<unknown> = Promise.resolve()
  #end: () => void = () => undefined
  readonly #ended = new Promise<void>((resolve) => {
    this.#end = resolve
  })

  constructor(input: TarInput, size: number) {
    this.#input = input
    this.#left = size
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        const value = await this.#next()
        if (this.#left <= 0) this.#end()
        return value === undefined ? { done: true, value } : { done: false, value }
      },
      return: async () => {
        this.#end()
        return { done: true, value: undefined }
      },
    }
  }

  /** When the reader has read all, or has left: then the rest is read here. Throws what the reader was thrown. */
  async drained(): Promise<void> {
    await this.#ended
    if (this.#failure !== undefined) throw this.#failure.error
    while (this.#left > 0) await this.#next()
  }

  /** Undefined when all is read. */
  async #next(): Promise<Uint8Array | undefined> {
    const next = this.#last.then(async () => this.#read())
    this.#last = next.catch(() => undefined)
    return next
  }

  async #read(): Promise<Uint8Array | undefined> {
    if (this.#left <= 0) return undefined
    try {
      const part = await this.#input.some(this.#left)
      this.#left -= part.length
      return part
    } catch (error) {
      this.#failure = { error }
      this.#end()
      throw error
    }
  }
}

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield bytes
}

async function* unpackOther(bytes: AsyncIterable<Uint8Array>): AsyncIterable<FolderEntry> {
  const { extract } = await import('tar-stream')
  const stream = extract()
  const feeding = pipeline(Readable.from(bytes, { objectMode: false }), stream)
  feeding.catch((error: unknown) => {
    stream.destroy(error instanceof Error ? error : new Error(String(error)))
  })
  let whole = false
  try {
    for await (const entry of stream) {
      const { header } = entry
      if (header.type === 'directory') {
        entry.resume()
        continue
      }
      if (header.type !== 'file' && header.type !== 'contiguous-file') {
        throw new ClientError('BAD_TAR', `the archive has a ${header.type} in it, ${header.name}: only files and folders are taken`)
      }
      yield {
        path: header.name,
        size: header.size,
        modifiedMs: header.mtime.getTime(),
        content: entry as AsyncIterable<Uint8Array>,
      }
    }
    await feeding
    whole = true
  } finally {
    if (!whole) stream.destroy()
  }
}
