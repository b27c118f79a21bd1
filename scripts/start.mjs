// `npm start -- ARGS`: install and build if need be, then `mesh-node start ARGS` in this very process, in the foreground.
import './check-node.mjs'
import('./run-cli.mjs').then(function (cli) {
  return cli.runCli(['start'].concat(process.argv.slice(2)))
})
