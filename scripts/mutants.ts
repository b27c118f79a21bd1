// `npm run mutants [-- NAME…]`: breaks a copy of src/consensus in one place, as somebody might who finds a sentence of the
// design fussy, and demands that a story or the simulator notices. Production code knows nothing of it: a mutant is a list of
// exact-match replacements, and one whose text is gone fails loudly. Prints (mutant, caught by, seed, steps). A mutant that
// a story shows is caught; MUTANT_SEEDS_OF_CAUGHT says how many seeds it gets beside that (0 unless said).
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { mutants } from './mutants-table.js'
import type { Mutant } from './mutants-table.js'

const root = resolve(import.meta.dirname, '..')
/** A mutant that survives so many seeds counts as not caught. */
const seedsMax = Number(process.env.MUTANT_SEEDS ?? 4000)
/** One that its story shows. */
const seedsMaxOfCaught = Number(process.env.MUTANT_SEEDS_OF_CAUGHT ?? 0)
/** And so many minutes, whichever is first; more on a busy machine. */
const minutesMax = Number(process.env.MUTANT_MINUTES ?? 4)
const run = promisify(execFile)

function workspace(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-mutant-'))
  for (const name of ['package.json', '.mocharc.json', 'tsconfig.json', 'src/base', 'src/consensus', 'test/seed.ts', 'test/typescript.mjs', 'test/typescript-hooks.mjs', 'test/simulation/consensus', 'scripts/soak.ts']) {
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

const transcripts = 'test/simulation/consensus/transcripts'
/** The story that names this mutant as its plainer version, if there is one. */
function storyOf(mutant: Mutant): string | undefined {
  return readdirSync(join(root, transcripts)).find((file) => readFileSync(join(root, transcripts, file), 'utf8').includes(`# plainer version: ${mutant.name}\n`))
}

/** A story takes a second; on a busy machine, some. One that is out of time has shown nothing. */
const storyMsMax = 120_000

/** What the story ends with under the mutant, where it first differs; undefined if it does not. */
async function tell(folder: string, story: string): Promise<string | undefined> {
  const mocha = join(root, 'node_modules/mocha/bin/mocha.js')
  const args = [mocha, '--timeout', String(storyMsMax), 'test/simulation/consensus/transcripts.test.ts']
  const ended = await run(process.execPath, args, { cwd: folder, timeout: 2 * storyMsMax, env: { ...process.env, TRANSCRIPT: story, UPDATE_TRANSCRIPTS: '1' } }).then(
    () => 'whole',
    (error: unknown) => ((error as { killed?: boolean }).killed === true || /Timeout of/.test((error as { stdout?: string }).stdout ?? '') ? 'out of time' : 'broke off'),
  )
  if (ended === 'out of time') return undefined
  if (ended === 'broke off') return ended
  const told = readFileSync(join(folder, transcripts, story), 'utf8').split('\n')
  const expected = readFileSync(join(root, transcripts, story), 'utf8').split('\n')
  return told.find((line, i) => line !== expected[i])
}

interface Outcome {
  readonly story: string | undefined
  readonly told: string | undefined
  readonly mutant: Mutant
  readonly seed: number | undefined
  readonly seeds: number
  readonly steps: string
  readonly what: string
}

/** Runs seeds of the simulator over the broken copy, up to the first that notices. */
async function soak(folder: string, mutant: Mutant, which: readonly string[]): Promise<Pick<Outcome, 'seed' | 'seeds' | 'steps' | 'what'>> {
  const args = ['--import=tsx', 'scripts/soak.ts', ...which, '--stop', 'first', '--weather', JSON.stringify(mutant.weather ?? {})]
  const output = await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 24, env: { ...process.env, TMPDIR: folder } }).then(
    ({ stdout }) => stdout,
    (error: unknown) => (error as { stdout?: string }).stdout ?? '',
  )
  const found = /^seed (\d+): ([^:]+): (.*)/m.exec(output)
  const steps = /; (\d+) steps/.exec(output)?.[1] ?? '?'
  return { seed: found === null ? undefined : Number(found[1]), seeds: Number(/^(\d+) seeds/m.exec(output)?.[1] ?? 0), steps, what: found === null ? output.slice(-300) : `${found[2] ?? ''}: ${(found[3] ?? '').slice(0, 110)}` }
}

async function attempt(mutant: Mutant): Promise<Outcome> {
  const folder = workspace()
  try {
    apply(folder, mutant)
    const story = storyOf(mutant)
    const told = story === undefined ? undefined : await tell(folder, story)
    const count = told === undefined ? seedsMax : seedsMaxOfCaught
    if (count === 0) return { mutant, story, told, seed: undefined, seeds: 0, steps: '–', what: 'its story' }
    const known = mutant.seed === undefined ? undefined : await soak(folder, mutant, ['--seed', String(mutant.seed)])
    const found = known?.seed === undefined ? await soak(folder, mutant, ['--seeds', String(count), '--minutes', String(minutesMax)]) : known
    return { mutant, story, told, ...found }
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
// A story that differs by itself would seem to show everything.
const whole = workspace()
try {
  await run(process.execPath, [join(root, 'node_modules/mocha/bin/mocha.js'), '--timeout', String(storyMsMax), 'test/simulation/consensus/transcripts.test.ts'], { cwd: whole, maxBuffer: 2 ** 24 })
} finally {
  rmSync(whole, { recursive: true, force: true })
}
let survivors = 0
/** Stories that do not show what they say. */
const idle: string[] = []
const queue = [...chosen]
async function worker(): Promise<void> {
  for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
    const outcome = await attempt(mutant)
    const caught = outcome.seed !== undefined || outcome.told !== undefined
    if (!caught) survivors++
    if (outcome.story !== undefined && outcome.told === undefined) idle.push(`${outcome.story} ends the same under "${mutant.name}"`)
    const verdict = outcome.seed !== undefined ? `seed ${outcome.seed}` : outcome.seeds === 0 && caught ? 'story' : `${caught ? 'no seed of' : 'SURVIVED'} ${outcome.seeds}`
    console.log(`${mutant.name.padEnd(58)} | ${verdict.padEnd(12)} | ${outcome.steps.padStart(9)} steps | ${outcome.what.replaceAll('\n', ' ')}${outcome.told === undefined ? '' : ` | ${outcome.story ?? ''}: "${outcome.told.trim()}"`}`)
  }
}
await Promise.all([worker(), worker()])
for (const line of idle) console.log(line)
console.log(`${chosen.length} mutants, ${chosen.length - survivors} caught, ${survivors} survived`)
process.exit(survivors === 0 && idle.length === 0 ? 0 : 1)
