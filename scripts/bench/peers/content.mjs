// The same bytes for every program: cheap to make, impossible to compress, different in every block.
import { createCipheriv } from 'node:crypto'

export function* contentOf(bytes, seed = 1, chunk = 1 << 20) {
  const key = Buffer.alloc(32, seed & 0xff)
  const iv = Buffer.alloc(16)
  iv.writeUInt32BE(seed >>> 0, 0)
  const cipher = createCipheriv('aes-256-ctr', key, iv)
  const zeros = Buffer.alloc(chunk)
  for (let left = bytes; left > 0; left -= chunk) yield cipher.update(left >= chunk ? zeros : zeros.subarray(0, left))
}

/** One line of JSON to whoever started this process. */
export const say = (facts) => process.stdout.write(`${JSON.stringify(facts)}\n`)

/** The lines of JSON that whoever started this process writes to us. */
export async function* heard() {
  let rest = ''
  for await (const chunk of process.stdin) {
    rest += chunk
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      yield JSON.parse(rest.slice(0, end))
      rest = rest.slice(end + 1)
    }
  }
}
