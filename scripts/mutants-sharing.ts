// `npm run mutants` runs this too (alone: node --import=tsx scripts/mutants-sharing.ts [NAME…]): breaks a copy of src/leases
// where readers of several nodes share a lease, and demands that the simulation of shared leases notices.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

interface SharingMutant {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
}

const mutants: readonly SharingMutant[] = [
  { name: 'a reader is forgotten long before its time is up', file: 'lender.ts', find: 'return this.#init.keepMs - elapsed', replace: 'return this.#init.keepMs / 8 - elapsed' },
  { name: 'readers elsewhere are no reason to wait', file: 'passing.ts', find: 'const waitMs = Math.max(drainMs, lender.outstandingMs(entry.name))', replace: 'const waitMs = drainMs\n    void lender' },
  { name: 'readers of a dead holder are not waited for', file: 'lender.ts', find: 'return settling === undefined ? longest : Math.max(longest, this.#leftMs(settling.at))', replace: 'void settling\n    return longest' },
  { name: 'upgraded beside other readers', file: 'passing.ts', find: 'return entry.leases.size === 0 && book.drainMs(entry) <= 0 && lender.outstandingMs(entry.name, node) <= 0 && !isWaitedFor', replace: 'void [book, lender, node]\n    return !isWaitedFor' },
]

const root = resolve(import.meta.dirname, '..')
const run = promisify(execFile)

async function attempt({ file, find, replace }: SharingMutant): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-mutant-'))
  try {
    for (const name of ['package.json', 'tsconfig.json', '.mocharc.json', 'src', 'test/simulation', 'test/unit']) cpSync(join(root, name), join(folder, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    const path = join(folder, 'src/leases', file)
    writeFileSync(path, readFileSync(path, 'utf8').replace(find, () => replace))
    const args = [join(root, 'node_modules/mocha/bin/mocha.js'), '--timeout', '300000', 'test/simulation/leases/sharing.test.ts']
    const told = await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 24 }).then(() => '', (error: unknown) => (error as { stdout?: string }).stdout ?? 'ended')
    return told === '' ? undefined : /AssertionError.*|Error: .*/.exec(told)?.[0].slice(0, 120) ?? 'failed'
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const names = process.argv.slice(2)
const chosen = mutants.filter(({ name }) => names.length === 0 || names.some((part) => name.includes(part)))
for (const { name, file, find } of chosen) {
  const count = readFileSync(join(root, 'src/leases', file), 'utf8').split(find).length - 1
  if (count !== 1) throw new Error(`mutant "${name}": its text is there ${String(count)} times (not once) in ${file}:\n${find}`)
}
let survivors = 0
for (const mutant of chosen) {
  const what = await attempt(mutant)
  if (what === undefined) survivors++
  console.log(`${mutant.name.padEnd(48)} | ${what === undefined ? 'SURVIVED' : 'caught'} | ${what ?? ''}`)
}
console.log(`${String(chosen.length)} mutants of sharing, ${String(chosen.length - survivors)} caught, ${String(survivors)} survived`)
process.exit(survivors === 0 ? 0 : 1)
