import { createRequire } from 'node:module'
import fc from 'fast-check'

// Property tests run the same cases every time: a failure that the next run does not find again helps nobody.
// Other cases: MESH_TEST_SEED=N before mocha, N any whole number.
const seed = Number(process.env.MESH_TEST_SEED ?? 1)
fc.configureGlobal({ seed })
// Mocha loads some test files one way and some the other, and each way has a fast-check of its own.
const required = createRequire(import.meta.url)('fast-check') as typeof fc
required.configureGlobal({ seed })
