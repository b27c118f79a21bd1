// `npm run mutants` runs this too (alone: node --import=tsx scripts/mutants-sharing.ts [NAME…]): breaks a copy of src/leases
// where readers of several nodes share a lease, and demands that the simulation of shared leases notices.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

interface SharingMutant {
  readonly name: string
  /** In src/leases. */
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
}

const mutants: readonly SharingMutant[] = [
  { name: 'a reader is forgotten long before its time is up', edits: [{ file: 'lender.ts', find: 'return this.#init.keepMs - elapsed', replace: 'return this.#init.keepMs / 8 - elapsed' }] },
  { name: 'readers elsewhere are no reason to wait', edits: [{ file: 'lender.ts', find: 'else if (reader.node !== butNode) longest =', replace: 'else if (butNode !== undefined && reader.node !== butNode) longest =' }] },
  { name: 'readers of a dead holder are not waited for', edits: [{ file: 'lender.ts', find: 'return settling === undefined ? longest : Math.max(longest, this.#leftMs(settling.at))', replace: 'void settling\n    return longest' }] },
  { name: 'upgraded beside other readers', edits: [{ file: 'passing.ts', find: 'return entry.leases.size === 0 && book.drainMs(entry) <= 0 && lender.outstandingMs(entry.name, node) <= 0 && !isWaitedFor', replace: 'void [book, lender, node]\n    return !isWaitedFor' }] },
]

/** Worlds of faults that a mutant may survive. */
const seedsMax = Number(process.env.MUTANT_SEEDS ?? 64)
/** Of one run of the simulation, on a busy machine. */
const attemptMsMax = 600_000
const root = resolve(import.meta.dirname, '..')
const run = promisify(execFile)

/** What the simulation says to a copy of the code with this change in it (without: as it is); undefined: nothing. */
async function attempt(mutant?: SharingMutant): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-mutant-'))
  try {
    for (const name of ['package.json', 'tsconfig.json', '.mocharc.json', 'src', 'test/seed.ts', 'test/simulation', 'test/unit']) cpSync(join(root, name), join(folder, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    for (const { file, find, replace } of mutant?.edits ?? []) {
      const path = join(folder, 'src/leases', file)
      writeFileSync(path, readFileSync(path, 'utf8').replace(find, () => replace))
    }
    // In one process, so that it goes when it is killed; a mutant that spins runs out of memory soon.
    const args = ['--import=tsx', '--import=./test/seed.ts', '--max-old-space-size=1024', join(root, 'node_modules/mocha/bin/mocha.js'), '--no-config', '--extension', 'ts', '--bail', '--timeout', String(attemptMsMax), 'test/simulation/leases/sharing.test.ts']
    const env = { ...process.env, SHARING_SEEDS: String(mutant === undefined ? 8 : seedsMax) }
    const told = await run(process.execPath, args, { cwd: folder, env, maxBuffer: 2 ** 24, timeout: attemptMsMax, killSignal: 'SIGKILL' }).then(() => undefined, (error: unknown) => (error as { stdout?: string }).stdout ?? '')
    if (told === undefined) return undefined
    const what = (/\+ *'(.*) ms: (.*)'/.exec(told)?.[0] ?? /AssertionError.*|Error: .*/.exec(told)?.[0])?.slice(0, 140)
    // A mutant that spins until it has no time or memory left has shown nothing; the code as it is must come to its end.
    return mutant === undefined ? what ?? 'it does not end' : what
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const names = process.argv.slice(2)
const chosen = mutants.filter(({ name }) => names.length === 0 || names.some((part) => name.includes(part)))
for (const { name, edits } of chosen) for (const { file, find } of edits) {
  const count = readFileSync(join(root, 'src/leases', file), 'utf8').split(find).length - 1
  if (count !== 1) throw new Error(`mutant "${name}": its text is there ${String(count)} times (not once) in ${file}:\n${find}`)
}
const asItIs = await attempt()
// A copy that does not even pass unbroken would "catch" everything.
if (asItIs !== undefined) throw new Error(`the code as it is: ${asItIs}`)
let survivors = 0
for (const mutant of chosen) {
  const what = await attempt(mutant)
  if (what === undefined) survivors++
  console.log(`${mutant.name.padEnd(48)} | ${what === undefined ? 'SURVIVED' : 'caught'} | ${what ?? ''}`)
}
console.log(`${String(chosen.length)} mutants of sharing, ${String(chosen.length - survivors)} caught, ${String(survivors)} survived`)
process.exit(survivors === 0 ? 0 : 1)
