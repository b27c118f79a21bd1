// `npm run bench -- [NAME…] [--json]`: runs scripts/bench/*.ts one after the other, each a process of its own, so that no
// benchmark works in the memory that another has left behind.
import './check-node.mjs'
import('./run-bench.mjs')
