// `npm run mutants` runs this too (alone: node --import=tsx scripts/mutants-volumes.ts [NAME…]): breaks a copy of
// src/volumes/engine in one place and demands that the simulator of volumes notices. Prints (mutant, seed, what).
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { volumeMutants } from './mutants-volumes-table.js'
import type { VolumeMutant } from './mutants-volumes-table.js'

const root = resolve(import.meta.dirname, '..')
/** A mutant that survives so many minutes of seeds counts as not caught. */
const minutes = process.env.MUTANT_MINUTES ?? '5'
const run = promisify(execFile)

async function attempt(mutant: VolumeMutant): Promise<{ seed: string | undefined; what: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-mutant-'))
  try {
    for (const name of ['package.json', 'tsconfig.json', 'src', 'test/simulation', 'test/unit/volumes', 'scripts/soak-volumes.ts']) cpSync(join(root, name), join(folder, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const { file, find, replace } of mutant.edits) {
      const path = join(folder, 'src/volumes/engine', file)
      writeFileSync(path, readFileSync(path, 'utf8').replace(find, () => replace))
    }
    const args = ['--import=tsx', 'scripts/soak-volumes.ts', '--minutes', minutes, '--stop', 'first', '--weather', JSON.stringify(mutant.weather ?? {})]
    const output = await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 24 }).then(({ stdout }) => stdout, (error: unknown) => (error as { stdout?: string }).stdout ?? '')
    const found = /^seed (\d+): (.*)/m.exec(output)
    return { seed: found?.[1], what: (found?.[2] ?? output.trim()).slice(0, 120) }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const names = process.argv.slice(2)
const chosen = volumeMutants.filter((mutant) => names.length === 0 || names.some((name) => mutant.name.includes(name)))
// Every replacement is tried before the first run, so that a stale table says so at once.
for (const mutant of chosen) {
  for (const { file, find } of mutant.edits) {
    const count = readFileSync(join(root, 'src/volumes/engine', file), 'utf8').split(find).length - 1
    if (count !== 1) throw new Error(`mutant "${mutant.name}": its text is there ${count} times (not once) in ${file}:\n${find}`)
  }
}
let survivors = 0
for (const mutant of chosen) {
  const { seed, what } = await attempt(mutant)
  if (seed === undefined) survivors++
  console.log(`${mutant.name.padEnd(60)} | ${seed === undefined ? 'SURVIVED' : `seed ${seed}`.padEnd(10)} | ${what}`)
}
console.log(`${chosen.length} mutants of volumes, ${chosen.length - survivors} caught, ${survivors} survived`)
process.exit(survivors === 0 ? 0 : 1)
