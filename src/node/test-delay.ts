import type { Log, NodeId } from '../base/index.js'
import { readDelay } from './config/index.js'
import type { Config } from './config/index.js'

/**
 * `network.test_delay` as the network wants it: how much later bytes to a peer leave. A rule names two regions in either
 * order, or one region or node that the other side is (`*`: any other than our own). The first that fits counts. None
 * set: undefined, and no connection passes through anything.
 */
export function testDelay(config: Config, regionOf: (peer: NodeId) => string | undefined, log: Log): { delayMs?: (peer: NodeId) => number } {
  const rules = config['network.test_delay'].flatMap((item) => readDelay(item) ?? [])
  if (rules.length === 0) return {}
  log.warn('THIS NODE IS SLOW ON PURPOSE: network.test_delay is set, which is for tests only', { rules: config['network.test_delay'] })
  const own = config['node.region']
  return {
    delayMs: (peer) => {
      const region = regionOf(peer)
      const is = (name: string): boolean => name === peer || name === region || (name === '*' && region !== undefined && region !== own)
      const rule = rules.find(({ from, to }) => (to === undefined ? is(from) : (from === own && is(to)) || (to === own && is(from))))
      return rule?.delayMs ?? 0
    },
  }
}
