// Imported before anything else, and written for the oldest Node that knows ES modules: whoever has too old a Node must
// read this sentence and not a syntax error.
var parts = process.versions.node.split('.').map(Number)
var enough = parts[0] > 20 || (parts[0] === 20 && parts[1] >= 19)
if (!enough) {
  console.error('mesh-node needs Node.js 20.19 or newer; this is ' + process.versions.node + ' (' + process.execPath + ').')
  console.error('Get a newer one at https://nodejs.org or with your version manager (nvm install 22), and run this again.')
  process.exit(1)
}
