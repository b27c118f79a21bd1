import { simulate } from './simulation.js'
const [from, to] = [Number(process.argv[2] ?? 1), Number(process.argv[3] ?? 100)]
const t0 = performance.now()
let steps = 0, ms = 0, bad = 0, ops = 0, cfg = 0, choices = 0
const c: Record<string, number> = {}
const rules = new Map<string, number[]>()
for (let seed = from; seed <= to; seed++) {
  const r = simulate(seed)
  steps += r.steps; ms += r.simulatedMs; ops += r.operations; cfg += r.configs; choices += r.choices
  for (const [k, v] of Object.entries(r.counters)) c[k] = (c[k] ?? 0) + v
  if (r.violation) { bad++; const l = rules.get(r.violation.rule) ?? []; l.push(seed); rules.set(r.violation.rule, l); if (bad <= 6) console.log(seed, r.violation.message.slice(0, 900)) }
}
console.log({ seeds: to - from + 1, bad, steps, hours: ms / 3.6e6, ops, choices, cfg, ...c, sec: (performance.now() - t0) / 1000 })
for (const [k, v] of rules) console.log(k, v.length, v.slice(0, 12).join(' '))
