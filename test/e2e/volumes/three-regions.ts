import { eventually, someBytes } from '../harness.js'
import type { TestNode, World } from '../harness.js'
import { NbdClient } from './nbd-client.js'

export const blockBytes = 4096
/** One way, between any two regions. */
const oneWayMs = 100
export const roundTripMs = 2 * oneWayMs

export interface Lease {
  start: number
  blocks: number
  holder: string
  region: string
  token: number
}

export interface HeatLine {
  start: number
  blocks: number
  writes: number
  reads: number
  lastWrite: number | null
  regions: Record<string, { writes: number; latencyMs: number }>
  decision: { to: string | null; explanation: string } | null
}

/** A mesh of three regions on one machine, whose bytes to each other are late. */
export async function threeRegions(world: World): Promise<{ york: TestNode; sydney: TestNode; london: TestNode }> {
  const options = (region: string) => ({
    args: ['--region', region],
    env: {
      MESH_NODE_TEST_DELAY_ALLOWED: '1',
      MESH_NODE_NETWORK_TEST_DELAY: `*=${String(oneWayMs)}ms`,
      MESH_NODE_VOLUMES_NBD_LISTEN: '127.0.0.1:0',
    },
  })
  const york = await world.start('york', options('new-york'))
  const sydney = await world.join('sydney', york, options('sydney'))
  const london = await world.join('london', york, options('london'))
  await eventually(async () => (await york.status()).voters.length === 3, 'three voters', 40_000)
  return { york, sydney, london }
}

export async function connected(node: TestNode, volume: string): Promise<NbdClient> {
  const { uri } = await node.json<{ uri: string }>('volume', 'export', volume, '--detach')
  return NbdClient.connect(uri)
}

export async function timed(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now()
  await work()
  return performance.now() - startMs
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
}

/** What somebody writes to `blocks` blocks from `start` the `round`th time. */
export function contentOf(start: number, blocks: number, round: number): Buffer {
  return someBytes(blocks * blockBytes, start * 1009 + round + 1)
}
