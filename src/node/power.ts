import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '../base/index.js'

export interface Power {
  readonly source: 'mains' | 'battery' | 'unknown'
  /** 0…1; undefined where there is no battery, or nobody says how full it is. */
  readonly charge: number | undefined
}

/** Where Linux tells of batteries and chargers, one folder each. */
const systemFolder = '/sys/class/power_supply'
/** Below this a laptop on battery repairs nothing for others: half is what its owner may need till the evening. */
const chargeMin = 0.5
/** Plugging in is noticed within this time; reading is a few small files. */
const askAgainMs = 15_000
/** A machine has a handful; a folder with more is not what we think. */
const suppliesMax = 64

/**
 * What the machine runs on, as Linux has it (Documentation/ABI/testing/sysfs-class-power): a charger is `Mains` or `USB`
 * with `online` 1; a battery has `status` and `capacity` in percent. Batteries of mice and headsets say `scope` Device,
 * and are not the machine's. Elsewhere, and where nothing is said: unknown.
 */
export function readPower(folder: string = systemFolder): Power {
  let online = false
  let charger = false
  let discharging = false
  const charges: number[] = []
  let names: string[]
  try {
    names = readdirSync(folder).slice(0, suppliesMax)
  } catch {
    return { source: 'unknown', charge: undefined }
  }
  for (const name of names) {
    const fact = (file: string): string => valueOf(join(folder, name, file))
    const type = fact('type')
    if (type === 'Battery' && fact('scope') !== 'Device') {
      if (fact('status') === 'Discharging') discharging = true
      const percent = fact('capacity')
      if (/^\d{1,3}$/.test(percent)) charges.push(Math.min(100, Number(percent)) / 100)
    } else if (type === 'Mains' || type === 'USB') {
      charger = true
      if (fact('online') === '1') online = true
    }
  }
  const charge = charges.length === 0 ? undefined : charges.reduce((sum, one) => sum + one, 0) / charges.length
  // A charger that is too weak leaves the battery discharging, slowly: still on mains.
  if (online) return { source: 'mains', charge }
  if (discharging) return { source: 'battery', charge }
  // A battery that is full and does not discharge is on some charger that does not say so.
  return { source: charger && charges.length > 0 ? 'battery' : charges.length > 0 ? 'mains' : 'unknown', charge }
}

function valueOf(file: string): string {
  try {
    return readFileSync(file, 'latin1').slice(0, 64).trim()
  } catch {
    return ''
  }
}

/** What the node runs on now, and whether it may work for others in the background. Asked often, looked up seldom. */
export class PowerWatch {
  readonly #clock: Clock
  readonly #init: { power: 'auto' | 'mains' | 'battery'; metered: boolean; folder?: string | undefined }
  #known: Power | undefined
  #knownMs = 0

  constructor(components: { clock: Clock }, init: { power: 'auto' | 'mains' | 'battery'; metered: boolean; folder?: string | undefined }) {
    this.#clock = components.clock
    this.#init = init
  }

  now(): Power {
    const nowMs = this.#clock.monotonicMs()
    if (this.#known === undefined || nowMs - this.#knownMs >= askAgainMs) {
      this.#known = readPower(this.#init.folder)
      this.#knownMs = nowMs
    }
    return this.#init.power === 'auto' ? this.#known : { ...this.#known, source: this.#init.power }
  }

  /** On battery only while it is well charged; of a battery that does not say how full it is the worst is assumed. */
  mayRepair(): boolean {
    if (this.#init.metered) return false
    const { source, charge } = this.now()
    return source !== 'battery' || (charge ?? 0) >= chargeMin
  }

  /** Why not, for people. */
  reason(): string | undefined {
    if (this.#init.metered) return 'the network is metered (node.metered): this node makes no copies for others now, and serves reads'
    return this.mayRepair() ? undefined : 'on battery: this node makes no copies for others until it is charged or plugged in, and serves reads'
  }
}
