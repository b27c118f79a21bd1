// `npm run mutants` runs this too (alone: node --import=tsx scripts/mutants-volumes.ts [NAME…]): breaks a copy of
// src/volumes in one place and demands that the stories or the simulator of volumes notice. Prints for each mutant which
// story fails, and the first seed that sees something that must never be (`safety`) or that does not come right
// (`progress`). A table of a run stands in test/simulation/volumes/MUTANTS.md.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { equalMutants, volumeMutants } from './mutants-volumes-table.js'
import type { VolumeMutant } from './mutants-volumes-table.js'

const root = resolve(import.meta.dirname, '..')
/** Seeds that a mutant may survive. One that a story or a unit test catches gets none unless said: it is caught. */
const seedsMax = Number(process.env.MUTANT_SEEDS ?? 400)
const seedsMaxOfCaught = Math.min(seedsMax, Number(process.env.MUTANT_SEEDS_OF_CAUGHT ?? 0))
const run = promisify(execFile)

interface Caught {
  readonly stories: readonly string[]
  readonly safety: string | undefined
  readonly progress: string | undefined
}

/** Stories and tests are done in half a minute; under a mutant one may spin for minutes. Whoever is stopped here has told nothing. */
const storiesMsMax = 900_000

async function outputOf(folder: string, args: readonly string[], msMax = 0): Promise<string> {
  return run(process.execPath, [...args], { cwd: folder, maxBuffer: 2 ** 24, timeout: msMax, killSignal: 'SIGKILL' }).then(({ stdout }) => stdout, (error: unknown) => (error as { stdout?: string }).stdout ?? '')
}

async function attempt(mutant: VolumeMutant): Promise<Caught> {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-mutant-'))
  try {
    for (const name of ['package.json', 'tsconfig.json', '.mocharc.json', 'src', 'test/seed.ts', 'test/simulation', 'test/unit', 'scripts/soak-volumes.ts']) cpSync(join(root, name), join(folder, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const { file, find, replace } of mutant.edits) {
      const path = join(folder, 'src/volumes/engine', file)
      writeFileSync(path, readFileSync(path, 'utf8').replace(find, () => replace))
    }
    const tests = ['test/simulation/volumes/scenarios.test.ts', 'test/unit/volumes/disk.test.ts', 'test/unit/volumes/engine-edges.test.ts', 'test/unit/volumes/replication.test.ts']
    // In one process, so that it goes when it is killed.
    const mocha = ['--import=tsx', '--import=./test/seed.ts', join(root, 'node_modules/mocha/bin/mocha.js'), '--no-config', '--extension', 'ts', '--timeout', '20000', '--reporter', 'json']
    const told = await outputOf(folder, [...mocha, ...tests], storiesMsMax)
    const begin = told.indexOf('{\n')
    if (begin < 0 && mutant.edits.length === 0) throw new Error('the stories did not come to their end')
    const report = (begin < 0 ? { failures: [] } : JSON.parse(told.slice(begin))) as { failures: { title: string; err: { message: string } }[] }
    const failures = report.failures.map(({ title, err }) => ({ title, message: err.message.split('\n')[0]?.slice(0, 90) ?? '' }))
    const isSlow = ({ message }: { message: string }): boolean => /not done in time|did not come true|Timeout of/.test(message)
    // A story that only does not go on says less than one that sees something wrong.
    const stories = failures.filter((failure) => !isSlow(failure)).map(({ title, message }) => `${title} (${message})`)
    const stalled = failures.filter(isSlow).map(({ title }) => title)
    const seeds = mutant.edits.length === 0 ? 1 : stories.length > 0 ? seedsMaxOfCaught : seedsMax
    if (seeds === 0) return { stories, safety: undefined, progress: stalled[0] }
    const output = await outputOf(folder, ['--max-semi-space-size=64', '--import=tsx', 'scripts/soak-volumes.ts', '--seeds', String(seeds), '--stop', 'safety', '--weather', JSON.stringify(mutant.weather ?? {})])
    if (!/^\d+ seeds,/m.test(output)) throw new Error(`the simulator did not run:\n${output.slice(0, 500)}`)
    const find = (kind: string): string | undefined => new RegExp(`^(seed \\d+) \\[${kind}\\]: (.{0,110})`, 'm').exec(output)?.slice(1).join(': ')
    return { stories, safety: find('safety'), progress: find('progress') ?? stalled[0] }
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
// Stories that fail by themselves would seem to catch everything.
const { stories: broken } = await attempt({ name: 'nothing broken', edits: [] })
if (broken.length > 0) throw new Error(`stories fail without a mutant: ${broken.join('; ')}`)
let survivors = 0
for (const mutant of chosen) {
  const { stories, safety, progress } = await attempt(mutant)
  const isCaught = stories.length > 0 || safety !== undefined
  if (!isCaught) survivors++
  console.log(`| ${mutant.name} | ${stories.join('<br>') || '–'} | ${safety ?? '–'} | ${progress ?? '–'} |${isCaught ? '' : ' SURVIVED'}`)
}
for (const { name, why } of equalMutants) console.log(`| ${name} | not a fault: ${why} | – | – |`)
console.log(`${chosen.length} mutants of volumes, ${chosen.length - survivors} caught by what was seen, ${survivors} not`)
process.exit(survivors === 0 ? 0 : 1)
