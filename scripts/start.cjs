// npm start -- ARGS: everything a fresh clone needs, then `mesh-node start ARGS` in the foreground, in this process.
'use strict'
var path = require('path')
var root = require('./setup.cjs')()
process.argv.splice(1, process.argv.length - 1, path.join(root, 'dist', 'cli', 'main.js'), 'start', ...process.argv.slice(2))
import(require('url').pathToFileURL(path.join(root, 'dist', 'cli', 'main.js')).href)
