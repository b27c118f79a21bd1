// `npm test -- ARGS`: install and build if need be, then mocha with ARGS (files, --grep …). Last line: `N passed, N failed`.
import './check-node.mjs'
import('./run-tests.mjs')
