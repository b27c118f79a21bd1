import assert from 'node:assert/strict'
import { join } from 'node:path'
import { asTyped, commandName, thereName } from '../../../src/cli/command-name.js'

describe('the name of the command line', () => {
  const checkout = join(import.meta.dirname, '..', '..', '..')

  it('is what the person typed', () => {
    assert.equal(commandName('/usr/local/bin/mesh-node', checkout), 'mesh-node')
    assert.equal(commandName(join(checkout, 'dist', 'cli', 'main.js'), checkout), join('scripts', 'mesh-node'))
    assert.equal(commandName(join(checkout, 'dist', 'cli', 'main.js'), join(checkout, 'scripts')), './mesh-node')
    assert.equal(commandName(join(checkout, 'dist', 'cli', 'main.js'), '/'), join(checkout, 'scripts', 'mesh-node').slice(1))
  })

  it('of another machine is not a path of this one', () => {
    assert.equal(thereName('mesh-node'), 'mesh-node')
    assert.equal(thereName('/home/ann/mesh-node/scripts/mesh-node'), 'scripts/mesh-node')
  })

  it('stands in advice, and not in other words', () => {
    assert.equal(asTyped('try `mesh-node ls`, or `mesh-node stat $&`; mesh-node is new', 'scripts/mesh-node'), 'try `scripts/mesh-node ls`, or `scripts/mesh-node stat $&`; mesh-node is new')
  })
})
