import { isIPv4, isIPv6 } from 'node:net'

/**
 * The network a node sits in, from the addresses it is reached at: its public /24 (IPv4) or /48 (IPv6), what one line or
 * one rack usually has; failing that its private /24. Copies of a file are spread over segments, so that one power cut
 * does not take all of them.
 */
export function segmentOf(multiaddrs: readonly string[]): string {
  const hosts = multiaddrs.flatMap((address) => /^\/ip[46]\/([^/]+)\//.exec(address)?.[1] ?? [])
  const v4 = hosts.filter((host) => isIPv4(host) && !host.startsWith('127.'))
  const v6 = hosts.filter((host) => isIPv6(host) && /^[23]/.test(host))
  const best = v4.find((host) => !isPrivate(host)) ?? v6[0] ?? v4[0]
  if (best === undefined) return 'local'
  return isIPv4(best) ? `${best.split('.').slice(0, 3).join('.')}.0/24` : `${groups(best).slice(0, 3).join(':')}::/48`
}

function isPrivate(host: string): boolean {
  return /^(10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(host)
}

/** The eight groups of an IPv6 address, `::` spelt out. */
function groups(host: string): string[] {
  const [left = '', right = ''] = host.split('::')
  const before = left === '' ? [] : left.split(':')
  const after = right === '' ? [] : right.split(':')
  return [...before, ...Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0'), ...after]
}
