import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { checkNamed, parseAddress, startError } from '../../../src/net/addresses.js'

describe('net: an address that this machine cannot listen on', () => {
  const libp2p = (detail: string): Error =>
    new Error(`Some configured addresses failed to be listened on, you may need to remove one or more listen addresses from your configuration or set \`transportManager.faultTolerance\` to NO_FATAL:\n${detail}\n    at Server.setupListenHandle [as _listen2] (node:net:1907:21)`)

  it('is named with the reason, and without what a library says to programmers', () => {
    const foreign = startError(libp2p('/ip4/198.51.100.7/tcp/4700: Error: listen EADDRNOTAVAIL: address not available 198.51.100.7:4700'), ['/ip4/198.51.100.7/tcp/4700'])
    assert.deepEqual([foreign.code, foreign.message], ['BAD_ADDRESS', 'this machine cannot listen on /ip4/198.51.100.7/tcp/4700: 198.51.100.7:4700 is no address of its own'])
    const forbidden = startError(libp2p('/ip4/0.0.0.0/tcp/80: Error: listen EACCES: permission denied 0.0.0.0:80'), ['/ip4/0.0.0.0/tcp/80'])
    assert.deepEqual([forbidden.code, forbidden.message], ['BAD_ADDRESS', 'this machine cannot listen on /ip4/0.0.0.0/tcp/80: 0.0.0.0:80 needs more rights than this program has'])
    const other = startError(libp2p('/ip4/0.0.0.0/udp/80: UnsupportedListenAddressError'), ['/ip4/0.0.0.0/udp/80'])
    assert.equal(other.message, 'this machine cannot listen on /ip4/0.0.0.0/udp/80: a node listens at TCP, as in /ip4/0.0.0.0/tcp/4700')
    const taken = startError(libp2p('/ip4/0.0.0.0/tcp/80: Error: listen EADDRINUSE: address already in use 0.0.0.0:80'), ['/ip4/0.0.0.0/tcp/80'])
    assert.equal(taken.code, 'ADDRESS_IN_USE')
  })

  it('takes nothing for the ID of a node that is none', () => {
    const of = (text: string) => (): void => { checkNamed(parseAddress(text)) }
    assert.throws(of('/ip4/192.0.2.7/tcp/4700/p2p/garbage'), { code: 'BAD_ADDRESS', message: /what follows \/p2p\/ is not the ID of a node/ })
    of('/ip4/192.0.2.7/tcp/4700')()
    of('/ip4/192.0.2.7/tcp/4700/p2p/12D3KooWFu9gyXSfxDTNRNtuG3zvRLYPdmsFkjFREvrNQhoB4cJa')()
  })
})
