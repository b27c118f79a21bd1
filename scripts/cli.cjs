// What scripts/mesh-node runs: everything a fresh clone needs, then the command line.
'use strict'
var path = require('path')
var root = require('./setup.cjs')()
process.argv[1] = path.join(root, 'dist', 'cli', 'main.js')
import(require('url').pathToFileURL(process.argv[1]).href)
