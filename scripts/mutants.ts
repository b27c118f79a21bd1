// `npm run mutants [-- NAME…]`: breaks a copy of src/consensus in one place, as somebody might who finds a sentence of the
// design fussy, and demands that the simulator notices. Production code knows nothing of it: a mutant is a list of
// exact-match replacements, and one whose text is gone fails loudly. Prints (mutant, caught by, seed, steps).
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { mutants } from './mutants-table.js'
import type { Mutant } from './mutants-table.js'

const root = resolve(import.meta.dirname, '..')
/** A mutant that survives so many seeds counts as not caught. */
const seedsMax = 4000
const run = promisify(execFile)

function workspace(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-mutant-'))
  for (const name of ['package.json', 'tsconfig.json', 'src/base', 'src/consensus', 'test/simulation/consensus', 'scripts/soak.ts']) {
    cpSync(join(root, name), join(folder, name), { recursive: true })
  }
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  return folder
}

function apply(folder: string, mutant: Mutant): void {
  for (const { file, find, replace } of mutant.edits) {
    const path = join(folder, 'src/consensus', file)
    const text = readFileSync(path, 'utf8')
    if (text.split(find).length !== 2) throw new Error(`mutant "${mutant.name}": ${file} has ${text.split(find).length - 1} times (not once):\n${find}`)
    writeFileSync(path, text.replace(find, () => replace))
  }
}

interface Outcome {
  readonly mutant: Mutant
  readonly seed: number | undefined
  readonly seeds: number
  readonly steps: string
  readonly what: string
}

async function attempt(mutant: Mutant): Promise<Outcome> {
  const folder = workspace()
  try {
    apply(folder, mutant)
    const weather = JSON.stringify(mutant.weather ?? {})
    const args = ['--import=tsx', 'scripts/soak.ts', '--seeds', String(seedsMax), '--minutes', '4', '--stop', 'first', '--weather', weather]
    const output = await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 24, env: { ...process.env, TMPDIR: folder } }).then(
      ({ stdout }) => stdout,
      (error: unknown) => (error as { stdout?: string }).stdout ?? '',
    )
    const found = /^seed (\d+): ([^:]+): (.*)/m.exec(output)
    const steps = /; (\d+) steps/.exec(output)?.[1] ?? '?'
    return { mutant, seed: found === null ? undefined : Number(found[1]), seeds: Number(/^(\d+) seeds/m.exec(output)?.[1] ?? 0), steps, what: found === null ? output.slice(-300) : `${found[2] ?? ''}: ${(found[3] ?? '').slice(0, 110)}` }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const names = process.argv.slice(2)
const chosen = names.length === 0 ? mutants : mutants.filter((mutant) => names.some((name) => mutant.name.includes(name)))
// Every replacement is tried before the first run, so that a stale table says so at once.
for (const mutant of chosen) {
  for (const { file, find } of mutant.edits) {
    const count = readFileSync(join(root, 'src/consensus', file), 'utf8').split(find).length - 1
    if (count !== 1) throw new Error(`mutant "${mutant.name}": its text is there ${count} times (not once) in ${file}:\n${find}`)
  }
}
let survivors = 0
const queue = [...chosen]
async function worker(): Promise<void> {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const outcome = await attempt(mutant)
    if (outcome.seed === undefined) survivors++
    const verdict = outcome.seed === undefined ? `SURVIVED ${outcome.seeds} seeds` : `seed ${outcome.seed}`
    console.log(`${mutant.name.padEnd(58)} | ${verdict.padEnd(12)} | ${outcome.steps.padStart(9)} steps | ${outcome.what}`)
  }
}
await Promise.all([worker(), worker()])
console.log(`${chosen.length} mutants, ${chosen.length - survivors} caught, ${survivors} survived`)
process.exit(survivors === 0 ? 0 : 1)
