// The consensus simulator for as long as wanted: `npm run soak -- [--seeds N] [--from SEED] [--minutes M] [--weather JSON]`.
// Prints every failing seed with what it broke, and what was simulated. Exits 1 if a seed failed. `--seed N` runs one.
// `npm run soak -- --history 100000 [--seed N]`: one world for so long that clients have done so many operations; its
// history is checked whole, and then with lies in it, all of which have to be found.
// `npm run soak -- --processes --minutes M`: five real processes of the built program, killed and stopped for so long.
import { simulate, Simulation } from '../test/simulation/consensus/simulation.js'
import type { Weather } from '../test/simulation/consensus/simulation.js'

const options = new Map<string, string>()
const processes = process.argv.includes('--processes')
const words = process.argv.slice(2).filter((word) => word !== '--processes')
for (let i = 0; i < words.length; i += 2) options.set(words[i] ?? '', words[i + 1] ?? '')
if (processes) {
  // Not at the top: a mutant's copy has no such test.
  const { fiveVoters, storm } = await import('../test/e2e/lease-storm.js')
  const { World } = await import('../test/e2e/harness.js')
  const say = (line: string): void => { console.log(line) }
  const world = new World()
  try {
    console.log(JSON.stringify(await storm({ mesh: await fiveVoters(world, say), forMs: Number(options.get('--minutes') ?? 10) * 60_000, say })))
  } finally {
    await world.close()
  }
  process.exit(0)
}
const one = options.get('--seed')
const from = Number(one ?? options.get('--from') ?? 1)
const count = one === undefined ? Number(options.get('--seeds') ?? (options.has('--minutes') ? Infinity : 10_000)) : 1
const untilMs = options.has('--minutes') ? performance.now() + Number(options.get('--minutes')) * 60_000 : Infinity
const stopAtFirst = options.get('--stop') === 'first'
const forced = JSON.parse(options.get('--weather') ?? '{}') as Partial<Weather>

if (options.has('--history')) {
  const wanted = Number(options.get('--history'))
  const world: Partial<Weather> = {
    hosts: 5, voters: 3, scopes: 2, thinkMs: 5, delayMsMax: 5, loss: 0.05, replay: 0.2, faultMs: 3000, clocksInBounds: true, cuts: true, suspends: true, restarts: true,
    memoryLoss: true, clones: false, reconfigures: true, wallJumps: true, ...forced,
  }
  // Operations come at some 60 a virtual second in such a world; more virtual time if it was not enough.
  for (let faultsMs = wanted * 18; ; faultsMs *= 2) {
    const beganMs = performance.now()
    const simulation = new Simulation(from, { ...world, faultsMs })
    const { violation, operations, choices, configs, simulatedMs, steps } = simulation.run()
    if (violation !== undefined) {
      console.log(`seed ${from}: ${violation.message.slice(0, 2000)}`)
      process.exit(1)
    }
    if (operations < wanted) continue
    const checkedMs = performance.now()
    simulation.history.check(configs > 0)
    const onceMs = performance.now() - checkedMs
    let state = from
    const below = (limit: number): number => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      return (state >>> 4) % limit
    }
    const undetected = simulation.history.undetectedLies(25, below)
    for (const lie of undetected) console.log(`not noticed: ${lie}`)
    console.log(
      `seed ${from}: one history of ${operations} operations (${choices} values chosen, ${configs} reconfigurations, ${steps} steps, ${(simulatedMs / 3_600_000).toFixed(1)} simulated hours) is linearizable; ` +
        `checked in ${onceMs.toFixed(0)} ms, ${((performance.now() - beganMs) / 1000).toFixed(0)} s in all; ${undetected.length === 0 ? 'all' : 'NOT ALL'} of 100 lies were noticed`,
    )
    process.exit(undetected.length === 0 ? 0 : 1)
  }
}

const startedMs = performance.now()
const sum = { seeds: 0, failed: 0, steps: 0, simulatedMs: 0, operations: 0, choices: 0, reconfigurations: 0, onBase: 0 }
const counters: Record<string, number> = {}
for (let seed = from; seed < from + count && performance.now() < untilMs; seed++) {
  const result = simulate(seed, forced)
  sum.seeds++
  sum.steps += result.steps
  sum.simulatedMs += result.simulatedMs
  sum.operations += result.operations
  sum.choices += result.choices
  sum.reconfigurations += result.configs
  sum.onBase += result.onBase
  for (const [name, value] of Object.entries(result.counters) as [string, number][]) counters[name] = (counters[name] ?? 0) + value
  if (result.violation === undefined) continue
  sum.failed++
  console.log(`seed ${seed}: ${result.violation.message.slice(0, 2000)} (replay: npm run soak -- --seed ${seed})`)
  if (stopAtFirst) break
}
const seconds = (performance.now() - startedMs) / 1000
console.log(
  `${sum.seeds} seeds, ${sum.failed} failed; ${(sum.simulatedMs / 3_600_000).toFixed(1)} simulated hours in ${seconds.toFixed(1)} s; ` +
    `${sum.steps} steps, ${sum.operations} operations checked, ${sum.choices} values chosen, ${sum.reconfigurations} reconfigurations, ${sum.onBase} of them on a base; ` +
    Object.entries(counters).map(([name, value]) => `${value} ${name}`).join(', '),
)
process.exit(sum.failed === 0 ? 0 : 1)
