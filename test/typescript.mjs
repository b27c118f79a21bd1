// How mocha's process reads TypeScript (`.mocharc.json`): see the hooks.
import { register } from 'node:module'

// Failures tell lines of the sources.
process.setSourceMapsEnabled(true)
register('./typescript-hooks.mjs', import.meta.url)
// What mocha asks to know whether it may `require` a module. It may, and would do so for each test first, in vain: these hooks
// are for `import`.
Reflect.defineProperty(process.features, 'require_module', { value: false })
