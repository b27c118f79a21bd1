import type { MeshId } from '../base/index.js'
import { authorityOf, keyOf, meshIdOf, nodeOf } from './keys.js'
import { certificateBytesMax } from './limits.js'
import type { Admittance } from './record.js'
import { fromWire, toWire } from './record.js'
import { badCertificate } from './sentences.js'
import { Certificate } from './wire/admission.js'

/** What is shown at the handshake: the bearer's record, and those of its endorsers up to the authority. */
export interface DecodedCertificate {
  readonly meshId: MeshId
  readonly own: Admittance
  readonly endorsers: readonly Admittance[]
}

export function encodeCertificate(mesh: MeshId, records: readonly Admittance[]): Uint8Array {
  return Certificate.encode({ mesh: keyOf(authorityOf(mesh)), records: records.map(toWire) })
}

/** Checks shapes, no signature. Throws BAD_CERTIFICATE. */
export function decodeCertificate(bytes: Uint8Array): DecodedCertificate {
  if (bytes.length === 0) throw badCertificate('there is none')
  if (bytes.length > certificateBytesMax) throw badCertificate('it is too long')
  let wire: Certificate
  try {
    wire = Certificate.decode(bytes)
  } catch (error) {
    throw badCertificate('its bytes are garbled', error)
  }
  const authority = nodeOf(wire.mesh)
  if (authority === undefined) throw badCertificate('it names no mesh')
  const [own, ...endorsers] = wire.records.map(fromWire)
  if (own === undefined) throw badCertificate('it is empty')
  return { meshId: meshIdOf(authority), own, endorsers }
}
