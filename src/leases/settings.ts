import type { Consensus } from '../consensus/index.js'
import type { LeaseSettings } from './types.js'
import { LeaseError, leaseSettingsDefaults } from './types.js'

/** One register for the whole mesh: JSON of what differs from the defaults. */
const scope = 'mesh:lease-settings'

const numbers: Partial<Record<keyof LeaseSettings, readonly [min: number, max: number]>> = {
  default_ttl_seconds: [1, 365 * 86_400], max_renewals: [-1, 1e9], acquisition_timeout_ms: [0, 86_400_000],
  cleanup_interval_seconds: [1, 86_400], history_retention_days: [0, 3650],
}

/** Runtime settings, the same for all nodes. Each node has a copy that it refreshes now and then. */
export class Settings {
  readonly #consensus: Consensus
  readonly #defaults: LeaseSettings
  #current: LeaseSettings

  /** `defaults`: this node's own, for what nobody has set for the mesh. */
  constructor(components: { consensus: Consensus }, init: { defaults: Partial<LeaseSettings> } = { defaults: {} }) {
    this.#consensus = components.consensus
    this.#defaults = { ...leaseSettingsDefaults, ...init.defaults }
    this.#current = this.#defaults
  }

  get current(): LeaseSettings {
    return this.#current
  }

  async refresh(signal?: AbortSignal): Promise<LeaseSettings> {
    const value = await this.#consensus.read(scope, signal === undefined ? {} : { signal })
    this.#current = { ...this.#defaults, ...parse(value?.payload) }
    return this.#current
  }

  /** Throws BAD_INPUT that names the key. */
  async set(changes: Readonly<Record<string, unknown>>, signal?: AbortSignal): Promise<LeaseSettings> {
    const checked = check(changes)
    const { value } = await this.#consensus.change(scope, ({ value: old, token }) => ({
      kind: 'set', answer: null,
      value: { holder: null, token: token + 1, op: `settings-${String(token + 1)}`, payload: Buffer.from(JSON.stringify({ ...parse(old?.payload), ...checked })) },
    }), signal === undefined ? {} : { signal })
    this.#current = { ...this.#defaults, ...parse(value.payload) }
    return this.#current
  }
}

function parse(payload: Uint8Array | undefined): Partial<LeaseSettings> {
  if (payload === undefined || payload.length === 0) return {}
  try {
    return check(JSON.parse(Buffer.from(payload).toString()) as Record<string, unknown>)
  } catch {
    // A newer version may know more than this one; the defaults are safe.
    return {}
  }
}

function check(changes: Readonly<Record<string, unknown>>): Partial<LeaseSettings> {
  for (const [key, value] of Object.entries(changes)) {
    const range = numbers[key as keyof LeaseSettings]
    if (range !== undefined) {
      if (typeof value !== 'number' || !Number.isInteger(value) || value < range[0] || value > range[1]) {
        throw new LeaseError('BAD_INPUT', `${key} is a whole number from ${String(range[0])} to ${String(range[1])}`, { key })
      }
    } else if (!(key in leaseSettingsDefaults)) throw new LeaseError('BAD_INPUT', `there is no lease setting ${key}; there are ${Object.keys(leaseSettingsDefaults).join(', ')}`, { key, known: Object.keys(leaseSettingsDefaults) })
    else if (typeof value !== 'boolean') throw new LeaseError('BAD_INPUT', `${key} is true or false`, { key })
  }
  return changes
}
