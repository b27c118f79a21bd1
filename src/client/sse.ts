import { ClientError } from './error.js'

export interface ServerSentEvent {
  name: string
  data: string
}

/** An event of ours is one small JSON document. */
const eventBytesMax = 1024 * 1024

/** The event stream of the HTML standard, section 9.2.6, as far as we send it: `event`, `data`, comments. */
export async function* parseEvents(bytes: AsyncIterable<Uint8Array>): AsyncIterable<ServerSentEvent> {
  const decoder = new TextDecoder()
  let rest = ''
  let name = 'message'
  let data: string[] = []
  let dataLength = 0
  for await (const chunk of bytes) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/)
    rest = lines.pop() ?? ''
    if (rest.length > eventBytesMax || dataLength > eventBytesMax) throw new ClientError('BAD_ANSWER', 'the node sent an event without an end')
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { name, data: data.join('\n') }
        name = 'message'
        data = []
        dataLength = 0
        continue
      }
      const colon = line.indexOf(':')
      if (colon === 0) continue
      const field = colon === -1 ? line : line.slice(0, colon)
      const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '')
      if (field === 'event') name = value
      else if (field === 'data') {
        data.push(value)
        // An empty line counts, too: it takes a place.
        dataLength += value.length + 1
      }
    }
  }
}
