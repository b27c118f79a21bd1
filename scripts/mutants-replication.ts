// node --import=tsx scripts/mutants-replication.ts [NAME…]: breaks a copy of src/replication and src/storage-policy, one guard
// against members that lie or flood at a time, and demands that the tests notice.
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'

interface Mutant {
  readonly name: string
  readonly file: string
  readonly find: string
  readonly replace: string
  /** The test that is to notice. */
  readonly test: string
}

const givingUp = 'test/simulation/replication/giving-up.test.ts'
const claims = 'test/simulation/replication/claims.test.ts'
const proofs = 'test/unit/replication/challenge.test.ts'
const wants = 'test/unit/replication/wants.test.ts'
const shares = 'test/unit/replication/promise-shares.test.ts'
const mutants: readonly Mutant[] = [
  { name: 'a promise is a confirmation', file: 'replication/dropper.ts', find: 'keeps = promised && (await this.#askForProof(effect, signal))', replace: 'keeps = promised', test: givingUp },
  { name: 'the asker serves what it asks proofs of', file: 'replication/dropper.ts', find: 'this.#withheld.set(attempt, (withheld = blobs.withhold(decodeCid(cidBytes(cid)))))', replace: 'this.#withheld.set(attempt, (withheld = Promise.resolve(() => undefined)))', test: givingUp },
  { name: 'what was withheld stays so', file: 'replication/dropper.ts', find: 'void lifting?.then((lift) => lift(), () => undefined)', replace: 'void lifting', test: givingUp },
  { name: 'what cannot be checked is proven', file: 'replication/dropper.ts', find: 'return proven === true\n', replace: 'return proven !== false\n', test: givingUp },
  { name: 'who lets proofs be waited for is asked again at once', file: 'replication/dropper.ts', find: 'this.#leaveInPeace(to)', replace: 'void to', test: givingUp },
  { name: 'an unproven promise is left to lapse', file: 'replication/dropper.ts', find: 'if (promised && !keeps) void this.#release', replace: 'if (promised && keeps) void this.#release', test: givingUp },
  { name: 'proofs for whoever asks', file: 'replication/dropper.ts', find: 'if (!this.#core.isPromised(cid, from, attempt, this.#components.clock.wallMs())) {', replace: 'if (cid === from + attempt) {', test: givingUp },
  { name: 'proofs without end', file: 'replication/dropper.ts', find: 'if (!this.#proofReads.allow(from, this.#readsOf(cid, challenge))) {', replace: 'if (this.#readsOf(cid, challenge) < 0) {', test: givingUp },
  { name: 'spines are taken on trust', file: 'replication/challenge.ts', find: 'for (const part of await blobs.blobsOf(parsed, { signal, holders: [] })) hash.update(part.cid.bytes)\n', replace: '\n', test: proofs },
  { name: 'one place of a large blob is enough', file: 'replication/challenge.ts', find: "const ranges = purpose === 'spot' ? 1 : rangesMax", replace: 'const ranges = 1', test: proofs },
  { name: "anybody's proof", file: 'replication/challenge.ts', find: ".update(nonce).update(prover)\n  try", replace: '.update(nonce)\n  try', test: proofs },
  { name: 'who cannot read its own believes', file: 'replication/challenge.ts', find: 'if (expected === undefined) return undefined\n', replace: 'if (expected === undefined) return true\n', test: proofs },
  { name: 'ranges without end', file: 'replication/challenge.ts', find: ' || offsets.length > rangesMax || offsets.length * length > wholeBytesMax) return undefined\n  const parsed', replace: ') return undefined\n  const parsed', test: proofs },
  { name: 'promises cost nothing', file: 'storage-policy/promise-shares.ts', find: 'share.leftMs -= costMs\n', replace: '\n', test: givingUp },
  { name: 'a release gives nothing back', file: 'storage-policy/promise-shares.ts', find: 'share.leftMs = Math.min(this.#timeMax, share.leftMs + unusedMs)', replace: 'void unusedMs', test: shares },
  { name: 'nobody leaves anything of the table to others', file: 'storage-policy/promise-shares.ts', find: 'Math.min(perAskerMax, Math.max(1, free * shareOfFree))', replace: 'perAskerMax', test: shares },
  { name: 'one may have all promises', file: 'storage-policy/promise-shares.ts', find: 'Math.min(perAskerMax, Math.max(1, free * shareOfFree))', replace: 'perAskerMax * 64', test: shares },
  { name: 'a share is known before it is asked whether to give way', file: 'storage-policy/eviction-confirm.ts', find: "if (!isShared) return [refuse('too many promises')]\n    const effects: ConfirmEffect[] = intent === undefined ? [] : this.#abandon(cid, intent, 'gave way to another holder')", replace: "const effects: ConfirmEffect[] = intent === undefined ? [] : this.#abandon(cid, intent, 'gave way to another holder')\n    if (!isShared) return [...effects, refuse('too many promises')]", test: shares },
  { name: "one peer's releases are remembered in others' stead", file: 'storage-policy/eviction-confirm.ts', find: 'const ended = this.#ended.get(from) ?? new Set<string>()\n', replace: "const ended = this.#ended.get('all' as NodeId) ?? new Set<string>()\n    this.#ended.set('all' as NodeId, ended)\n", test: shares },
  { name: 'claims are never asked for', file: 'replication/spot-check.ts', find: 'const { cid, peer } = claim\n', replace: 'if (claim.tries === 0) return undefined\n    const { cid, peer } = claim\n', test: claims },
  { name: 'silence is an answer', file: 'replication/spot-check.ts', find: 'holders.doubt(cid, peer)', replace: 'void peer', test: claims },
  { name: 'who asks for a copy has one', file: 'replication/replication.ts', find: 'holders.say(entry.cid, from)', replace: 'holders.show(entry.cid, from, true)', test: claims },
  { name: 'wants of what is gone are remembered', file: 'replication/wants.ts', find: 'if (generation === this.#generation && this.#isHeld(cid))', replace: 'if (generation === this.#generation)', test: wants },
  { name: 'answers from before it went are remembered', file: 'replication/wants.ts', find: '    this.#generation++\n    this.#known.delete(cid)\n    const roots', replace: '    this.#known.delete(cid)\n    const roots', test: wants },
  { name: 'a seventeenth file is forgotten', file: 'replication/wants.ts', find: 'for (const part of crowded) this.#crowded.add(part)', replace: 'void crowded', test: wants },
  { name: 'what is in more files than are known is dropped', file: 'replication/stock.ts', find: ' && !wants.isCrowded(cid)', replace: '', test: claims },
  { name: 'lists of parts without end', file: 'replication/spine-shares.ts', find: 'return all + bytes <= spineBytesMax && sameOwner + bytes <= Math.max(smallBytes, free * shareOfFree)', replace: 'return free >= 0 && sameOwner >= 0 && smallBytes * shareOfFree > 0', test: 'test/unit/replication/spine-shares.test.ts' },
  { name: 'nobody asks how long a list is', file: 'replication/target.ts', find: 'if (request.spine && !this.#init.takesSpine(spineBytes, this.#spineBytesComing, want)) {', replace: 'if (request.bytes < 0) {', test: claims },
]

/** Of one run of a test, on a busy machine. */
const attemptMsMax = 300_000
const root = resolve(import.meta.dirname, '..')
const run = promisify(execFile)

/** What a test says to a copy of the code with this change in it (without: as it is); undefined: nothing. */
async function attempt(test: string, mutant?: Mutant): Promise<string | undefined> {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-mutant-'))
  try {
    for (const name of ['package.json', 'tsconfig.json', '.mocharc.json', 'src', 'test/seed.ts', 'test/simulation', 'test/unit', 'test/property']) cpSync(join(root, name), join(folder, name), { recursive: true })
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    if (mutant !== undefined) {
      const path = join(folder, 'src', mutant.file)
      writeFileSync(path, readFileSync(path, 'utf8').replace(mutant.find, () => mutant.replace))
    }
    // In one process, so that it goes when it is killed; a mutant that spins runs out of memory soon.
    const args = ['--import=tsx', '--import=./test/seed.ts', '--max-old-space-size=1024', join(root, 'node_modules/mocha/bin/mocha.js'), '--no-config', '--extension', 'ts', '--bail', test]
    const told = await run(process.execPath, args, { cwd: folder, maxBuffer: 2 ** 24, timeout: attemptMsMax, killSignal: 'SIGKILL' }).then(() => undefined, (error: unknown) => (error as { stdout?: string }).stdout ?? '')
    if (told === undefined) return undefined
    const what = /AssertionError.*\n?.*|Error: .*/.exec(told)?.[0].replaceAll(/\s+/g, ' ').slice(0, 120)
    // A mutant that spins until it has no time or memory left has shown nothing; the code as it is must come to its end.
    return mutant === undefined ? what ?? 'it does not end' : what
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const names = process.argv.slice(2)
const chosen = mutants.filter(({ name }) => names.length === 0 || names.some((part) => name.includes(part)))
for (const { name, file, find } of chosen) {
  const count = readFileSync(join(root, 'src', file), 'utf8').split(find).length - 1
  if (count !== 1) throw new Error(`mutant "${name}": its text is there ${String(count)} times (not once) in ${file}:\n${find}`)
}
for (const test of new Set(chosen.map((mutant) => mutant.test))) {
  const asItIs = await attempt(test)
  // A copy that does not even pass unbroken would "catch" everything.
  if (asItIs !== undefined) throw new Error(`${test}, the code as it is: ${asItIs}`)
}
let survivors = 0
for (const mutant of chosen) {
  const what = await attempt(mutant.test, mutant)
  if (what === undefined) survivors++
  console.log(`${mutant.name.padEnd(58)} | ${what === undefined ? 'SURVIVED' : 'caught'} | ${what ?? ''}`)
}
console.log(`${String(chosen.length)} mutants of replication, ${String(chosen.length - survivors)} caught, ${String(survivors)} survived`)
process.exit(survivors === 0 ? 0 : 1)
