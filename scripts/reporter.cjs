// mocha's own spec output, and the counts in a file for scripts/test.cjs.
'use strict'
var fs = require('fs')
var Spec = require('mocha').reporters.Spec

module.exports = class Reporter extends Spec {
  constructor(runner, options) {
    super(runner, options)
    runner.once('end', () => {
      const { passes, failures, pending } = this.stats
      fs.writeFileSync(options.reporterOptions.report, JSON.stringify({ passed: passes, failed: failures, skipped: pending }))
    })
  }
}
