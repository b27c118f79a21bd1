import { parseDuration, parseSize, parseTypedSize } from '../../base/index.js'

/**
 * Kinds of settings: how a value from a file (typed by TOML) or from the environment or a flag (text) becomes the value
 * that the rest of the program sees, and how it is written back.
 */
export interface Kind<T> {
  /** For messages: `a size such as 100GB`. */
  readonly expected: string
  /** From a TOML value; undefined if it is not one. */
  readonly read: (value: unknown) => T | undefined
  /** From text, of the environment or a flag. */
  readonly parse: (text: string) => T | undefined
  /** As it would stand in the file. */
  write(value: T): string
}

export interface Setting<T> {
  readonly kind: Kind<T>
  readonly default: T
  /** A sentence or two for whoever edits the file. */
  readonly meaning: string
  /** Unit of a bare number under the same name with this suffix: `max_storage_gb`, `grace_hours`. */
  readonly unit?: 'size' | 'duration'
}

const quoted = (text: string): string => JSON.stringify(text)

export const text: Kind<string> = {
  expected: 'text in quotes',
  read: (value) => (typeof value === 'string' && value.length <= 1024 && !value.includes('\0') ? value : undefined),
  parse: (value) => (value.length <= 1024 ? value : undefined),
  write: quoted,
}

/** What a node keeps in its home: a log written into one of these would be the end of it. */
const keptNames = ['config.toml', 'identity.key', 'authority.key', 'voter.seq', 'api.json', 'blocks', 'logs', 'meta']

/** `identity.key.new` and the like are files on their way to one. Names are compared as Windows and macOS do. */
function isKept(name: string): boolean {
  const [top = ''] = name.toLowerCase().split(/[/\\]/).filter((part) => part !== '' && part !== '.')
  return keptNames.some((kept) => top === kept || top.startsWith(`${kept}.`))
}

/** Of a file below the home: nothing is written outside it, whatever a config file says, nor into what the node keeps. */
export const pathInside: Kind<string> = {
  expected: `the name of a file below the home, without .., and none of the node's own (${keptNames.join(', ')})`,
  read: (value) => {
    const name = text.read(value)
    if (name === undefined || /^[/\\]|^[a-z]:/i.test(name) || name.split(/[/\\]/).includes('..') || name.includes('\0')) return undefined
    return isKept(name) ? undefined : name
  },
  parse: (value) => pathInside.read(value),
  write: quoted,
}

/** What people see of a node: one line, short. */
export const label: Kind<string> = {
  expected: 'text of at most 64 characters on one line',
  read: (value) => (typeof value === 'string' && /^[^\p{Cc}\p{Cs}]{0,64}$/u.test(value) ? value : undefined),
  parse: (value) => label.read(value),
  write: quoted,
}

export const flag: Kind<boolean> = {
  expected: 'true or false',
  read: (value) => (typeof value === 'boolean' ? value : undefined),
  parse: (value) => ({ true: true, '1': true, yes: true, on: true, false: false, '0': false, no: false, off: false })[value.trim().toLowerCase()],
  write: String,
}

/** Bytes. Text with a unit, or a bare number of bytes, which somebody who types a size hardly means if it is small. */
export const size: Kind<number> = {
  expected: 'a size such as "100GB" or "50GiB"',
  read: (value) => (typeof value === 'string' ? parseSize(value) : typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined),
  parse: (value) => parseTypedSize(value),
  write: (value) => {
    const units: [string, number][] = [['TB', 1e12], ['TiB', 2 ** 40], ['GB', 1e9], ['GiB', 2 ** 30], ['MB', 1e6], ['MiB', 2 ** 20]]
    for (const [unit, bytes] of units) if (value > 0 && value % bytes === 0) return quoted(`${String(value / bytes)}${unit}`)
    return String(value)
  },
}

/** Milliseconds. Text with a unit; a bare number has none, and is refused except under a name that says it. */
export const duration: Kind<number> = {
  expected: 'a duration such as "30s" or "24h"',
  read: (value) => (typeof value === 'string' ? parseDuration(value) : value === 0 ? 0 : undefined),
  parse: (value) => parseDuration(value),
  write: (value) => {
    const units: [string, number][] = [['d', 86_400_000], ['h', 3_600_000], ['m', 60_000], ['s', 1000]]
    for (const [unit, ms] of units) if (value > 0 && value % ms === 0) return quoted(`${String(value / ms)}${unit}`)
    return quoted(`${String(value)}ms`)
  },
}

export function integer(min: number, max: number): Kind<number> {
  const accept = (value: number): number | undefined => (Number.isSafeInteger(value) && value >= min && value <= max ? value : undefined)
  return {
    expected: `a whole number from ${String(min)} to ${String(max)}`,
    read: (value) => (typeof value === 'number' ? accept(value) : undefined),
    parse: (value) => (/^\s*-?\d{1,16}\s*$/.test(value) ? accept(Number(value)) : undefined),
    write: String,
  }
}

export function number(min: number, max: number): Kind<number> {
  const accept = (value: number): number | undefined => (Number.isFinite(value) && value >= min && value <= max ? value : undefined)
  return {
    expected: `a number from ${String(min)} to ${String(max)}`,
    read: (value) => (typeof value === 'number' ? accept(value) : undefined),
    parse: (value) => (/^\s*-?\d+(\.\d+)?\s*$/.test(value) ? accept(Number(value)) : undefined),
    write: String,
  }
}

export function choice<const T extends string>(...options: readonly T[]): Kind<T> {
  const accept = (value: unknown): T | undefined => options.find((option) => option === value)
  return {
    expected: `one of ${options.map((option) => `"${option}"`).join(', ')}`,
    read: accept,
    parse: (value) => accept(value.trim()),
    write: quoted,
  }
}

/** A list of texts that each look right; in the environment separated by commas. */
export function listOf(expected: string, looksRight: (item: string) => boolean): Kind<readonly string[]> {
  /** More addresses than this are a paste gone wrong. */
  const itemsMax = 256
  const accept = (items: readonly unknown[]): readonly string[] | undefined =>
    items.length <= itemsMax && items.every((item): item is string => typeof item === 'string' && looksRight(item)) ? items : undefined
  return {
    expected: `a list of ${expected}`,
    read: (value) => (Array.isArray(value) ? accept(value) : undefined),
    parse: (value) => accept(value.split(',').map((item) => item.trim()).filter((item) => item !== '')),
    write: (value) => `[${value.map(quoted).join(', ')}]`,
  }
}

/** The rough shape only: whether it can be listened at or dialled is the network's to say. */
export const multiaddrs = listOf('addresses such as "/ip4/192.0.2.7/tcp/4700"', (item) =>
  item.length <= 512 && /^\/(ip4|ip6|dns|dns4|dns6|dnsaddr|p2p|unix)\/[^\s/]+(\/[^\s/]+)*$/.test(item))

export const hostNames = listOf('host names', (item) => /^[a-z0-9.:[\]-]{1,253}$/i.test(item))

export const hostPort: Kind<string> = {
  expected: 'HOST:PORT such as "127.0.0.1:4780"',
  read: (value) => (typeof value === 'string' && splitHostPort(value) !== undefined ? value : undefined),
  parse: (value) => hostPort.read(value.trim()),
  write: quoted,
}

export function splitHostPort(value: string): { host: string; port: number } | undefined {
  const match = /^(\[[0-9a-f:.]+\]|[a-z0-9.-]+):(\d{1,5})$/i.exec(value)
  if (match === null) return undefined
  const port = Number(match[2])
  return port > 65_535 ? undefined : { host: (match[1] ?? '').replace(/^\[|\]$/g, ''), port }
}

/** `sydney/new-york=100ms`, `*=20ms`, or a node's ID for a region. */
export const delays = listOf('delays such as "sydney/new-york=100ms"', (item) => readDelay(item) !== undefined)

/** One way, ms; `to` undefined: to anybody but `from` itself. */
export function readDelay(item: string): { from: string; to: string | undefined; delayMs: number } | undefined {
  const match = /^([^/=]{1,64})(?:\/([^/=]{1,64}))?=(.{1,16})$/u.exec(item)
  const delayMs = parseDuration(match?.[3] ?? '')
  return match === null || delayMs === undefined || delayMs > delayMsMax ? undefined : { from: match[1] ?? '', to: match[2], delayMs }
}

/** Longer than to the moon, and shorter than the deadlines of pings. */
const delayMsMax = 5_000

/** `50:1`: from 50 times slower on, after one slow write. */
export const steps = listOf('FACTOR:WRITES such as "50:1"', (item) => readStep(item) !== undefined)

export function readStep(item: string): { factor: number; slowWrites: number } | undefined {
  const match = /^(\d{1,6}(?:\.\d{1,6})?):([1-9]\d{0,5})$/.exec(item)
  return match === null ? undefined : { factor: Number(match[1]), slowWrites: Number(match[2]) }
}
