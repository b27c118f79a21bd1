import fc from 'fast-check'

// Property tests run the same cases every time: a failure that the next run does not find again helps nobody.
// Other cases: MESH_TEST_SEED=N before mocha, N any whole number.
fc.configureGlobal({ seed: Number(process.env.MESH_TEST_SEED ?? 1) })
