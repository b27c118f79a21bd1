import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { root, setUp } from './set-up.mjs'

const args = process.argv.slice(2)
const names = args.filter((arg) => !arg.startsWith('-'))
const flags = args.filter((arg) => arg.startsWith('-'))
try {
  await setUp()
} catch (error) {
  console.error(`npm run bench: ${error.message}`)
  process.exit(1)
}
const folder = join(root, 'scripts', 'bench')
const files = readdirSync(folder).filter((file) => file.endsWith('.ts')).sort()
const chosen = files.filter((file) => names.length === 0 || names.includes(basename(file, '.ts')))
if (chosen.length === 0) {
  console.error(`npm run bench: no benchmark of that name; there are ${files.map((file) => basename(file, '.ts')).join(', ')}`)
  process.exit(2)
}
let failed = 0
for (const file of chosen) {
  if (!flags.includes('--json')) console.log(`\n== ${basename(file, '.ts')}`)
  const { status } = spawnSync(process.execPath, ['--expose-gc', '--import', 'tsx', join(folder, file), ...flags], { cwd: root, stdio: 'inherit' })
  if (status !== 0) failed++
}
process.exit(failed === 0 ? 0 : 1)
