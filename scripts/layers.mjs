// Who may import whom. A room is a folder of src/; others import its index.ts only, never upward, never in a circle.
// Prints each offender as `file:line: …` and exits 1 if there is one.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve, sep } from 'node:path'

const root = resolve(import.meta.dirname, '..')
const src = join(root, 'src')

/** Room → rooms it may import. `base` is open to all and is left out; `*` is every room. */
const allowed = {
  base: [],
  consensus: [],
  leases: ['consensus'],
  membership: [],
  blobs: [],
  catalog: [],
  'storage-policy': [],
  replication: ['storage-policy', 'blobs', 'catalog', 'membership'],
  volumes: ['consensus', 'leases', 'heat'],
  heat: [],
  net: [],
  store: [],
  client: [],
  'gateways/http': ['client', 'blobs', 'catalog', 'membership', 'leases', 'replication', 'storage-policy', 'volumes', 'heat'],
  'gateways/nbd': ['volumes'],
  node: ['*'],
  cli: ['client', 'node'],
}
/** Types of another room that a room may name without knowing what is behind them: `import type` only. */
const typesOnly = { blobs: ['store'], net: ['membership'], catalog: ['blobs'], volumes: ['blobs'], replication: ['store'] }

const roomOf = (path) => {
  const parts = relative(src, path).split(sep)
  return parts[0] === 'gateways' ? parts.slice(0, 2).join('/') : parts[0]
}
const files = (folder) =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? files(path) : path.endsWith('.ts') ? [path] : []
  })

const offences = []
for (const file of files(src)) {
  const room = roomOf(file)
  if (!(room in allowed)) {
    offences.push(`${relative(root, file)}:1: the room "${room}" is not in the table of scripts/layers.mjs`)
    continue
  }
  const text = readFileSync(file, 'utf8')
  for (const match of text.matchAll(/(import|export)(\s+type)?\s[^'"]*?from\s+['"](\.[^'"]+)['"]|import\(['"](\.[^'"]+)['"]\)/g)) {
    const target = resolve(dirname(file), match[3] ?? match[4])
    const other = roomOf(target)
    if (other === room || !target.startsWith(src)) continue
    const line = text.slice(0, match.index).split('\n').length
    const where = `${relative(root, file)}:${line}`
    const isType = match[2] !== undefined
    const may = other === 'base' || allowed[room].includes('*') || allowed[room].includes(other) || (isType && typesOnly[room]?.includes(other))
    if (!may) offences.push(`${where}: ${room} may not import ${other}`)
    else if (!/\/index\.js$/.test(target)) offences.push(`${where}: ${room} must enter ${other} by its index.ts, not ${relative(src, target)}`)
  }
}
for (const line of offences) console.log(line)
console.log(`${offences.length} layer offences`)
process.exit(offences.length === 0 ? 0 : 1)
