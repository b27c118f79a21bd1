import type { FastifyInstance } from 'fastify'
import { mapInOrder } from '../../../base/index.js'
import type { FolderSource, ListEntry } from '../../../client/index.js'
import { packFolder, unpackFolder } from '../../../client/index.js'
import { uploadOf } from '../body.js'
import { attachment, primed, signalOf } from '../exchange.js'
import { HttpError } from '../errors.js'
import type { NodeApi } from '../node-api.js'
import { answers, queries } from '../schemas.js'
import { counted, pathOf, putOptions } from './files.js'
import type { FileRoutesComponents, PutQuery } from './files.js'

/** Folders, as a tar stream in either direction: a request per file would cost more than a small file does. */
export function folderRoutes(server: FastifyInstance, components: FileRoutesComponents): void {
  const { node } = components

  server.put<{ Params: { '*': string }; Querystring: PutQuery }>('/api/v1/folders/*', {
    schema: {
      summary: 'Put many files', description: 'The body is a tar of plain files with relative names. Links and devices are refused.',
      querystring: queries.put, consumes: ['application/x-tar'], response: { 201: answers.putFolder },
    },
  }, async (request, reply) => {
    const bytes = counted(uploadOf(request.raw, components.clock), components.requests)
    const entries = tarErrorsAsOurs(unpackFolder(bytes))
    const result = await node.files.putFolder(pathOf(request.params), entries, { ...putOptions(request.query), signal: signalOf(reply) })
    void reply.status(201)
    return result
  })

  server.get<{ Params: { '*': string }; Querystring: { ticket?: string } }>('/api/v1/folders/*', {
    schema: { summary: 'Read all files of a folder', querystring: queries.read, produces: ['application/x-tar'] },
  }, async (request, reply) => {
    const path = pathOf(request.params)
    const body = await primed(packFolder(sourcesOf(node, path, signalOf(reply))))
    const name = path === '/' ? '/files' : path
    void reply.type('application/x-tar').header('content-disposition', attachment(`${name}.tar`))
    return reply.send(body)
  })
}

/** A file at most this large is read in one piece, and with others: waiting for one after the other is what takes the time. */
const smallBytesMax = 256 * 1024
const groupFilesMax = 64
const groupBytesMax = 1 << 20
/** Under way ahead of the reader: while one group is on its way to it, the next comes, and another is stored. */
const groupsAhead = 3

async function* sourcesOf(node: NodeApi, folder: string, signal: AbortSignal): AsyncIterable<FolderSource> {
  const base = folder === '/' ? '/' : `${folder.replace(/\/+$/, '')}/`
  const groups = mapInOrder(groupsOf(filesOf(node, folder)), groupsAhead, async (group) => {
    const contents = group.length < 2 ? [] : await node.files.readMany(group.map(({ path }) => path), { signal })
    const sources = group.map(async (entry, i) => sourceOf(node, entry, entry.path.slice(base.length), contents[i], signal))
    // One may fail before its turn comes: that is told then, after the files before it.
    for (const source of sources) source.catch(() => undefined)
    return { sources }
  })
  for await (const { sources } of groups) for (const source of sources) yield await source
}

async function sourceOf(node: NodeApi, entry: ListEntry, path: string, content: Uint8Array | undefined, signal: AbortSignal): Promise<FolderSource> {
  const modified = entry.modified === null ? {} : { modifiedMs: entry.modified }
  if (content !== undefined) return { path, size: content.length, content, ...modified }
  const opened = await node.files.open(entry.path, { signal })
  const chunks = opened.read(undefined, signal)
  return { path, size: opened.size, content: opened.size <= smallBytesMax ? await whole(chunks) : chunks, ...modified }
}

/** Small files that follow each other; a large one by itself. */
async function* groupsOf(entries: AsyncIterable<ListEntry>): AsyncGenerator<ListEntry[]> {
  let group: ListEntry[] = []
  let bytes = 0
  for await (const entry of entries) {
    const isLarge = entry.size > smallBytesMax
    if (group.length > 0 && (isLarge || group.length >= groupFilesMax || bytes + entry.size > groupBytesMax)) {
      yield group
      group = []
      bytes = 0
    }
    if (isLarge) yield [entry]
    else {
      group.push(entry)
      bytes += entry.size
    }
  }
  if (group.length > 0) yield group
}

async function* filesOf(node: NodeApi, folder: string): AsyncIterable<ListEntry> {
  for await (const entry of node.files.list(folder, { recursive: true })) if (entry.type === 'file') yield entry
}

async function whole(chunks: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for await (const chunk of chunks) parts.push(chunk)
  return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts)
}

/** Not a generator: it would be one more turn for each entry. */
function tarErrorsAsOurs<T>(entries: AsyncIterable<T>): AsyncIterable<T> {
  const iterator = entries[Symbol.asyncIterator]()
  const fail = (error: unknown): never => {
    if (error instanceof Error && 'facts' in error) throw error
    throw new HttpError('BAD_INPUT', 'the body is not a whole tar archive; the files before the break are in', {}, { cause: error })
  }
  return {
    [Symbol.asyncIterator]: () => ({
      next: () => iterator.next().catch(fail),
      return: async () => (await iterator.return?.()) ?? { done: true, value: undefined },
    }),
  }
}
