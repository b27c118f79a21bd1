// What scripts/mesh-node starts.
import './check-node.mjs'
import('./run-cli.mjs').then(function (cli) {
  return cli.runCli(process.argv.slice(2))
})
