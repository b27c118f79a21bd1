// Writes rows of many sizes to a LevelDB of its own and prints what came out: `folder`, and the library for the checksums
// if there is to be one. A process of its own, since LevelDB decides once which function it takes.
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { seededRandom } from '../../../src/base/index.js'
import { accelerateChecksums } from '../../../src/store/checksums.js'

const [folder = '', library] = process.argv.slice(2)
if (library !== undefined) accelerateChecksums(library)

const mebibyte = 2 ** 20
// Around the steps of the function (8 bytes, 3 x 2048) and of LevelDB's log (32 KiB), at every alignment.
const sizes = [...Array(70).keys(), ...[2048, 4096, 6144, 6151, 12_288, 32_761, 32_768, 65_536, 100_003].flatMap((size) => [size - 1, size, size + 1]), mebibyte]
// Larger than all of it: then nothing is moved in the background, and two runs write the same files.
const level = new ClassicLevel<string, Uint8Array>(folder, { valueEncoding: 'view', compression: false, writeBufferSize: 16 * mebibyte })
await level.open()
const content = seededRandom(1).bytes(mebibyte + 8)
for (const [index, size] of sizes.entries()) await level.put(`row ${String(index).padStart(4, '0')}`, content.subarray(index % 8, index % 8 + size))

const sumOf = (suffix: string): string => {
  const hash = createHash('sha256')
  const names = readdirSync(folder).filter((name) => name.endsWith(suffix)).sort()
  for (const name of names) hash.update(name).update(readFileSync(join(folder, name)))
  return `${String(names.length)} ${hash.digest('hex')}`
}
const log = sumOf('.log')
await level.compactRange('a', 'z')
const table = sumOf('.ldb')
await level.close()
console.log(JSON.stringify({ log, table, calls: library === undefined ? undefined : accelerateChecksums(library) }))
