// The volumes' simulator for as long as wanted: `npm run soak:volumes -- [--seeds N] [--from SEED] [--minutes M] [--weather JSON]`.
// Prints every failing seed with what it broke: `safety` (something was seen that must never be) or `progress` (something
// did not come about in time). Exits 1 if one failed. `--seed N` runs one, `--log 1` with its log. `--stop safety`: at the
// first of these, `--stop first`: at any.
import { Violation } from '../test/simulation/volumes/history.js'
import { simulate } from '../test/simulation/volumes/simulation.js'
import type { Weather } from '../test/simulation/volumes/simulation.js'
import type { Log } from '../src/base/index.js'

const options = new Map<string, string>()
for (let i = 2; i < process.argv.length; i += 2) options.set(process.argv[i] ?? '', process.argv[i + 1] ?? '')
const one = options.get('--seed')
const from = Number(one ?? options.get('--from') ?? 1)
const count = one === undefined ? Number(options.get('--seeds') ?? (options.has('--minutes') ? Infinity : 1_000)) : 1
const untilMs = options.has('--minutes') ? performance.now() + Number(options.get('--minutes')) * 60_000 : Infinity
const stop = options.get('--stop')
const forced = JSON.parse(options.get('--weather') ?? '{}') as Partial<Weather>
const say = (level: string) => (message: string, facts?: object): void => { console.log(level, message, JSON.stringify(facts ?? {})) }
const log: Log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error'), child: () => log }

const startedMs = performance.now()
const sum = { seeds: 0, failed: 0, unsafe: 0, steps: 0, simulatedMs: 0, operations: 0 }
const counters: Record<string, number> = {}
for (let seed = from; seed < from + count && performance.now() < untilMs; seed++) {
  const result = await simulate(seed, forced, options.has('--log') ? log : undefined)
  sum.seeds++
  sum.steps += result.steps
  sum.simulatedMs += result.simulatedMs
  sum.operations += result.operations
  for (const [name, value] of Object.entries(result.counters)) counters[name] = (counters[name] ?? 0) + value
  if (result.violation === undefined) continue
  sum.failed++
  const isSafety = result.violation instanceof Violation
  if (isSafety) sum.unsafe++
  console.log(`seed ${seed} [${isSafety ? 'safety' : 'progress'}]: ${result.violation.message.slice(0, 600)} (replay: npm run soak:volumes -- --seed ${seed})`)
  if (options.has('--log')) console.log(result.violation.stack)
  if (stop === 'first' || (stop === 'safety' && isSafety)) break
}
const seconds = (performance.now() - startedMs) / 1000
console.log(
  `${sum.seeds} seeds, ${sum.failed} failed (${sum.unsafe} safety); ${(sum.simulatedMs / 3_600_000).toFixed(1)} simulated hours in ${seconds.toFixed(1)} s; ${sum.steps} steps, ${sum.operations} operations checked; ` +
    Object.entries(counters).map(([name, value]) => `${value} ${name}`).join(', '),
)
process.exit(sum.failed === 0 ? 0 : 1)
