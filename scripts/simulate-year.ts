/**
 * A year of a thousand nodes through the production policy code. `node --import tsx scripts/simulate-year.ts [--seed 1]
 * [--nodes 1000] [--blobs 20000] [--days 365] [--tick-minutes 30] [--json]`. Exits 1 if a blob was lost that had a live
 * copy for as long as copying takes, or if a quota was passed.
 */
import { parseArgs } from 'node:util'
import { runYear } from '../test/simulation/storage-policy/year-world.js'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    nodes: { type: 'string', default: '1000' },
    blobs: { type: 'string', default: '20000' },
    days: { type: 'string', default: '365' },
    'tick-minutes': { type: 'string', default: '30' },
    json: { type: 'boolean', default: false },
  },
})
const started = performance.now()
const year = runYear({
  seed: Number(values.seed),
  nodes: Number(values.nodes),
  blobs: Number(values.blobs),
  days: Number(values.days),
  tickMs: Number(values['tick-minutes']) * 60_000,
  deathsPerMonth: 0.02,
  laptops: 0.4,
  faults: 0.05,
  uplink: 4e6,
})
const tib = (bytes: number): string => `${(bytes / 2 ** 40).toFixed(3)} TiB`
const percent = (share: number): string => `${(100 * share).toFixed(3)} %`
if (values.json) console.log(JSON.stringify(year))
else {
  const rows: [string, string | number][] = [
    ['nodes that died for good', year.deaths],
    ['blobs put / removed by their owners', `${String(year.puts)} / ${String(year.removed)}`],
    ['stored at the end, all copies', tib(year.storedBytes)],
    ['on the disks that died', tib(year.deadBytes)],
    ['copied to repair, in the background', tib(year.repairBytes)],
    ['copied to repair, urgently', tib(year.urgentBytes)],
    ['copied per byte that died (first copies of new files included)', ((year.repairBytes + year.urgentBytes) / year.deadBytes).toFixed(2)],
    ['moved off full nodes', tib(year.movedBytes)],
    ['trimmed / evicted', `${tib(year.trimmedBytes)} / ${tib(year.evictedBytes)}`],
    ['blob-time below the wanted count', percent(year.belowWanted)],
    ['blob-time below the minimum of live copies', percent(year.belowMinimum)],
    ['standard deviation of the fill', `${year.imbalance.toFixed(1)} points`],
    ['quotas passed', year.overQuota],
    ['lost with their only node (one copy wanted)', year.lostSingles],
    ['lost because all copies went within one copying time', year.lostByCoincidence],
    ['LOST ALTHOUGH THERE WAS A LIVE COPY', year.lostByPolicy.length],
  ]
  for (const [what, value] of rows) console.log(`${what.padEnd(64)} ${String(value)}`)
  for (const line of year.lostByPolicy.slice(0, 20)) console.log(line)
  console.log(`${((performance.now() - started) / 1000).toFixed(0)} s`)
}
process.exit(year.lostByPolicy.length === 0 && year.overQuota === 0 ? 0 : 1)
