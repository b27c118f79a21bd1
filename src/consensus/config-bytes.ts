import { decoding, recordFromWire, recordToWire } from './codec.js'
import type { ConfigRecord } from './config.js'
import * as wire from './wire/lease.js'

/** A configuration as it travels in an invite. */
export function encodeConfigRecord(record: ConfigRecord): Uint8Array {
  return wire.ConfigRecord.encode(recordToWire(record))
}

/** Throws BAD_MESSAGE. The signature is checked by whoever adopts it. */
export function decodeConfigRecord(bytes: Uint8Array): ConfigRecord {
  return decoding(() => recordFromWire(wire.ConfigRecord.decode(bytes)))
}
