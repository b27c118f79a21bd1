import type { Clock, Connections, KeyValue, Log, Random, Rpc } from '../../base/index.js'
import type { ClockKind, Readings, Timing } from '../clocks.js'
import type { ConfigRecord, ConfigSeals } from '../config.js'
import type { HandOffWish } from '../messages.js'
import type { LossReason } from '../node.js'
import type { SessionId } from '../types.js'
import type { Value } from '../value.js'
import type { MemoryFile } from './memory-file.js'

export interface ConsensusComponents {
  /** The slice of `meta` for lease registers. Nobody else writes to it. */
  readonly store: KeyValue
  readonly memoryFile: MemoryFile
  readonly rpc: Rpc
  readonly connections: Connections
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly seals: ConfigSeals
}

export interface ConsensusInit {
  readonly clockKind: ClockKind
  /** All three clocks, now: `process.hrtime`, `os.uptime`, wall time, in ms. */
  readonly readings: () => Readings
  /** What is known of the configurations: configuration 0 at the least, from `init` or the invite. */
  readonly chain: readonly ConfigRecord[]
  readonly timing?: Partial<Timing>
  /** Scopes whose data others store are not served before `fenced` was called. */
  readonly needsFence?: (scope: string) => boolean
}

export interface ConsensusEvents {
  /** A session with a majority stands; operations may begin. */
  ready: SessionId
  /** The voters gave the session up: everything that was held is gone. A new one follows by itself. */
  evicted: SessionId
  granted: { scope: string; value: Value }
  lost: { scope: string; token: number; why: LossReason }
  /** Somebody wants a scope that this node holds. Answer with `handOff` or `refuse`; it is told again and again. */
  wish: HandOffWish
  config: ConfigRecord
}
