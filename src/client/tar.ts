import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { ClientError } from './error.js'

/**
 * Folders travel as a tar stream, since a request a file would cost more than the file: ten thousand small files are one
 * request. Names are relative with `/` between, and only plain files are in it.
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
}

/** A small file is three pieces (header, content, padding), each of which would be a write to the socket of its own. */
const sendBytesMin = 64 * 1024

export async function* packFolder(entries: AsyncIterable<FolderSource>): AsyncIterable<Uint8Array> {
  const { pack } = await import('tar-stream')
  const stream = pack()
  const feeding = (async () => {
    for await (const entry of entries) {
      const header = {
        name: entry.path,
        size: entry.size,
        ...(entry.modifiedMs === undefined ? {} : { mtime: new Date(entry.modifiedMs) }),
      }
      if (entry.content instanceof Uint8Array) {
        await new Promise<void>((resolve, reject) => {
          stream.entry(header, Buffer.from(entry.content as Uint8Array), (error) => {
            if (error === null || error === undefined) resolve()
            else reject(error)
          })
        })
      } else {
        await pipeline(Readable.from(entry.content, { objectMode: false }), stream.entry(header))
      }
    }
    stream.finalize()
  })()
  feeding.catch((error: unknown) => {
    stream.destroy(error instanceof Error ? error : new Error(String(error)))
  })
  try {
    let parts: Uint8Array[] = []
    let length = 0
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      parts.push(chunk)
      length += chunk.length
      if (length < sendBytesMin) continue
      yield Buffer.concat(parts)
      parts = []
      length = 0
    }
    if (length > 0) yield Buffer.concat(parts)
    await feeding
  } finally {
    stream.destroy()
  }
}

/**
 * The plain files of a tar, in order; each entry's content must be drained before the next is asked for. Anything else
 * in it than files and folders is refused, so that a link can lead nobody out of a folder.
 */
export async function* unpackFolder(bytes: AsyncIterable<Uint8Array>): AsyncIterable<FolderEntry> {
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
