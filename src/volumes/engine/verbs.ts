import type { CallOptions, NodeId, Rpc, RpcContext } from '../../base/index.js'
import { AccessAnswer, AccessRequest, CopyAnswer, CopyRequest, FenceAnswer, FenceRequest, FetchAnswer, FetchRequest, News, Nothing, OfferAnswer, OfferRequest } from '../wire/volume.js'
import { decoding } from './codec.js'

/** What the mesh's rpc carries at most. */
const bodyBytesMax = 2 * 1024 * 1024
/** Content in one message: half of that leaves room for what is around it, whatever the sizes of the parts. */
export const messageContentBytes = 1024 * 1024
/** Small answers and questions: names, positions and runs without bytes. */
const smallBytesMax = 512 * 1024

interface Codec<T> {
  encode(message: Partial<T>): Uint8Array
  decode(bytes: Uint8Array): T
}

export interface Verb<Request, Answer> {
  readonly name: string
  readonly request: Codec<Request>
  readonly answer: Codec<Answer>
  readonly requestBytesMax: number
  readonly responseBytesMax: number
  readonly inFlightMax: number
}

/** What nodes ask of each other about volumes: see `protocols/volume/README.md`. In flight: of one peer, more wait. */
export const verbs = {
  fence: { name: 'volume.fence', request: FenceRequest, answer: FenceAnswer, requestBytesMax: smallBytesMax, responseBytesMax: smallBytesMax, inFlightMax: 32 },
  fetch: { name: 'volume.fetch', request: FetchRequest, answer: FetchAnswer, requestBytesMax: smallBytesMax, responseBytesMax: bodyBytesMax, inFlightMax: 16 },
  copy: { name: 'volume.copy', request: CopyRequest, answer: CopyAnswer, requestBytesMax: smallBytesMax, responseBytesMax: 1024, inFlightMax: 16 },
  access: { name: 'volume.access', request: AccessRequest, answer: AccessAnswer, requestBytesMax: bodyBytesMax, responseBytesMax: bodyBytesMax, inFlightMax: 128 },
  offer: { name: 'volume.offer', request: OfferRequest, answer: OfferAnswer, requestBytesMax: bodyBytesMax, responseBytesMax: 1024, inFlightMax: 16 },
  news: { name: 'volume.news', request: News, answer: Nothing, requestBytesMax: smallBytesMax, responseBytesMax: 16, inFlightMax: 64 },
} as const

/** Encodes, asks, decodes. Rejects as `Rpc.request` does, and with BAD_INPUT for an answer that is none. */
export async function ask<Request, Answer>(rpc: Rpc, peer: NodeId, verb: Verb<Request, Answer>, request: Partial<Request>, options: CallOptions): Promise<Answer> {
  const body = await rpc.request(peer, verb.name, verb.request.encode(request), options)
  return decoding(() => verb.answer.decode(body))
}

export function serve<Request, Answer>(rpc: Rpc, verb: Verb<Request, Answer>, handle: (request: Request, context: RpcContext) => Promise<Partial<Answer>>): void {
  const { name, requestBytesMax, responseBytesMax, inFlightMax } = verb
  rpc.register({
    name, requestBytesMax, responseBytesMax, inFlightMax,
    handle: async (body, context) => verb.answer.encode(await handle(decoding(() => verb.request.decode(body)), context)),
  })
}
