/* eslint-disable import/export */
/* eslint-disable complexity */
/* eslint-disable @typescript-eslint/no-namespace */
/* eslint-disable @typescript-eslint/no-unnecessary-boolean-literal-compare */
/* eslint-disable @typescript-eslint/no-empty-interface */
/* eslint-disable import/consistent-type-specifier-style */
/* eslint-disable @typescript-eslint/no-unused-vars */

import { decodeMessage, encodeMessage, MaxLengthError, message } from 'protons-runtime'
import { alloc as uint8ArrayAlloc } from 'uint8arrays/alloc'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface InvitePayload {
  mesh: Uint8Array
  inviteSeed: Uint8Array
  madeMs: number
  expiresMs: number
  signature: Uint8Array
  bootstrap: Bootstrap[]
  genesis?: Genesis
}

export namespace InvitePayload {
  let _codec: Codec<InvitePayload>

  export const codec = (): Codec<InvitePayload> => {
    if (_codec == null) {
      _codec = message<InvitePayload>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.mesh != null && obj.mesh.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.mesh)
        }

        if ((obj.inviteSeed != null && obj.inviteSeed.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.inviteSeed)
        }

        if ((obj.madeMs != null && obj.madeMs !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.madeMs)
        }

        if ((obj.expiresMs != null && obj.expiresMs !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.expiresMs)
        }

        if ((obj.signature != null && obj.signature.byteLength > 0)) {
          w.uint32(42)
          w.bytes(obj.signature)
        }

        if (obj.bootstrap != null) {
          for (const value of obj.bootstrap) {
            w.uint32(50)
            Bootstrap.codec().encode(value, w)
          }
        }

        if (obj.genesis != null) {
          w.uint32(58)
          Genesis.codec().encode(obj.genesis, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          mesh: uint8ArrayAlloc(0),
          inviteSeed: uint8ArrayAlloc(0),
          madeMs: 0,
          expiresMs: 0,
          signature: uint8ArrayAlloc(0),
          bootstrap: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.mesh = reader.bytes()
              break
            }
            case 2: {
              obj.inviteSeed = reader.bytes()
              break
            }
            case 3: {
              obj.madeMs = reader.uint64Number()
              break
            }
            case 4: {
              obj.expiresMs = reader.uint64Number()
              break
            }
            case 5: {
              obj.signature = reader.bytes()
              break
            }
            case 6: {
              if (opts.limits?.bootstrap != null && obj.bootstrap.length === opts.limits.bootstrap) {
                throw new MaxLengthError('Decode error - map field "bootstrap" had too many elements')
              }

              if (obj.bootstrap.length === 8) {
                throw new MaxLengthError('Decode error - repeated field "bootstrap" had too many elements')
              }

              obj.bootstrap.push(Bootstrap.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.bootstrap$ ?? {}
              }))
              break
            }
            case 7: {
              obj.genesis = Genesis.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.genesis ?? {}
              })
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      })
    }

    return _codec
  }

  export const encode = (obj: Partial<InvitePayload>): Uint8Array => {
    return encodeMessage(obj, InvitePayload.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<InvitePayload>): InvitePayload => {
    return decodeMessage(buf, InvitePayload.codec(), opts)
  }
}

export interface Bootstrap {
  peer?: Uint8Array
  addresses: Uint8Array[]
}

export namespace Bootstrap {
  let _codec: Codec<Bootstrap>

  export const codec = (): Codec<Bootstrap> => {
    if (_codec == null) {
      _codec = message<Bootstrap>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.peer != null) {
          w.uint32(10)
          w.bytes(obj.peer)
        }

        if (obj.addresses != null) {
          for (const value of obj.addresses) {
            w.uint32(18)
            w.bytes(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          addresses: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.peer = reader.bytes()
              break
            }
            case 2: {
              if (opts.limits?.addresses != null && obj.addresses.length === opts.limits.addresses) {
                throw new MaxLengthError('Decode error - map field "addresses" had too many elements')
              }

              if (obj.addresses.length === 8) {
                throw new MaxLengthError('Decode error - repeated field "addresses" had too many elements')
              }

              obj.addresses.push(reader.bytes())
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      })
    }

    return _codec
  }

  export const encode = (obj: Partial<Bootstrap>): Uint8Array => {
    return encodeMessage(obj, Bootstrap.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Bootstrap>): Bootstrap => {
    return decodeMessage(buf, Bootstrap.codec(), opts)
  }
}

export interface Genesis {
  body: Uint8Array
  signature: Uint8Array
}

export namespace Genesis {
  let _codec: Codec<Genesis>

  export const codec = (): Codec<Genesis> => {
    if (_codec == null) {
      _codec = message<Genesis>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.body != null && obj.body.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.body)
        }

        if ((obj.signature != null && obj.signature.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.signature)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          body: uint8ArrayAlloc(0),
          signature: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.body = reader.bytes()
              break
            }
            case 2: {
              obj.signature = reader.bytes()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      })
    }

    return _codec
  }

  export const encode = (obj: Partial<Genesis>): Uint8Array => {
    return encodeMessage(obj, Genesis.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Genesis>): Genesis => {
    return decodeMessage(buf, Genesis.codec(), opts)
  }
}

export interface Grant {
  inviteKey: Uint8Array
  madeMs: number
  expiresMs: number
  signature: Uint8Array
}

export namespace Grant {
  let _codec: Codec<Grant>

  export const codec = (): Codec<Grant> => {
    if (_codec == null) {
      _codec = message<Grant>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.inviteKey != null && obj.inviteKey.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.inviteKey)
        }

        if ((obj.madeMs != null && obj.madeMs !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.madeMs)
        }

        if ((obj.expiresMs != null && obj.expiresMs !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.expiresMs)
        }

        if ((obj.signature != null && obj.signature.byteLength > 0)) {
          w.uint32(34)
          w.bytes(obj.signature)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          inviteKey: uint8ArrayAlloc(0),
          madeMs: 0,
          expiresMs: 0,
          signature: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.inviteKey = reader.bytes()
              break
            }
            case 2: {
              obj.madeMs = reader.uint64Number()
              break
            }
            case 3: {
              obj.expiresMs = reader.uint64Number()
              break
            }
            case 4: {
              obj.signature = reader.bytes()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      })
    }

    return _codec
  }

  export const encode = (obj: Partial<Grant>): Uint8Array => {
    return encodeMessage(obj, Grant.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Grant>): Grant => {
    return decodeMessage(buf, Grant.codec(), opts)
  }
}

export interface Endorsement {
  endorser: Uint8Array
  seenMs: number
  signature: Uint8Array
}

export namespace Endorsement {
  let _codec: Codec<Endorsement>

  export const codec = (): Codec<Endorsement> => {
    if (_codec == null) {
      _codec = message<Endorsement>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.endorser != null && obj.endorser.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.endorser)
        }

        if ((obj.seenMs != null && obj.seenMs !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.seenMs)
        }

        if ((obj.signature != null && obj.signature.byteLength > 0)) {
          w.uint32(26)
          w.bytes(obj.signature)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          endorser: uint8ArrayAlloc(0),
          seenMs: 0,
          signature: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.endorser = reader.bytes()
              break
            }
            case 2: {
              obj.seenMs = reader.uint64Number()
              break
            }
            case 3: {
              obj.signature = reader.bytes()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      })
    }

    return _codec
  }

  export const encode = (obj: Partial<Endorsement>): Uint8Array => {
    return encodeMessage(obj, Endorsement.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Endorsement>): Endorsement => {
    return decodeMessage(buf, Endorsement.codec(), opts)
  }
}

export interface MemberRecord {
  peer: Uint8Array
  joinedMs: number
  grant?: Grant
  inviteSignature?: Uint8Array
  peerSignature: Uint8Array
  endorsements: Endorsement[]
}

export namespace MemberRecord {
  let _codec: Codec<MemberRecord>

  export const codec = (): Codec<MemberRecord> => {
    if (_codec == null) {
      _codec = message<MemberRecord>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.peer != null && obj.peer.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.peer)
        }

        if ((obj.joinedMs != null && obj.joinedMs !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.joinedMs)
        }

        if (obj.grant != null) {
          w.uint32(26)
          Grant.codec().encode(obj.grant, w)
        }

        if (obj.inviteSignature != null) {
          w.uint32(34)
          w.bytes(obj.inviteSignature)
        }

        if ((obj.peerSignature != null && obj.peerSignature.byteLength > 0)) {
          w.uint32(42)
          w.bytes(obj.peerSignature)
        }

        if (obj.endorsements != null) {
          for (const value of obj.endorsements) {
            w.uint32(50)
            Endorsement.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          peer: uint8ArrayAlloc(0),
          joinedMs: 0,
          peerSignature: uint8ArrayAlloc(0),
          endorsements: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.peer = reader.bytes()
              break
            }
            case 2: {
              obj.joinedMs = reader.uint64Number()
              break
            }
            case 3: {
              obj.grant = Grant.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.grant ?? {}
              })
              break
            }
            case 4: {
              obj.inviteSignature = reader.bytes()
              break
            }
            case 5: {
              obj.peerSignature = reader.bytes()
              break
            }
            case 6: {
              if (opts.limits?.endorsements != null && obj.endorsements.length === opts.limits.endorsements) {
                throw new MaxLengthError('Decode error - map field "endorsements" had too many elements')
              }

              if (obj.endorsements.length === 4) {
                throw new MaxLengthError('Decode error - repeated field "endorsements" had too many elements')
              }

              obj.endorsements.push(Endorsement.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.endorsements$ ?? {}
              }))
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      })
    }

    return _codec
  }

  export const encode = (obj: Partial<MemberRecord>): Uint8Array => {
    return encodeMessage(obj, MemberRecord.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<MemberRecord>): MemberRecord => {
    return decodeMessage(buf, MemberRecord.codec(), opts)
  }
}

export interface Certificate {
  mesh: Uint8Array
  records: MemberRecord[]
}

export namespace Certificate {
  let _codec: Codec<Certificate>

  export const codec = (): Codec<Certificate> => {
    if (_codec == null) {
      _codec = message<Certificate>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.mesh != null && obj.mesh.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.mesh)
        }

        if (obj.records != null) {
          for (const value of obj.records) {
            w.uint32(18)
            MemberRecord.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          mesh: uint8ArrayAlloc(0),
          records: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.mesh = reader.bytes()
              break
            }
            case 2: {
              if (opts.limits?.records != null && obj.records.length === opts.limits.records) {
                throw new MaxLengthError('Decode error - map field "records" had too many elements')
              }

              if (obj.records.length === 8) {
                throw new MaxLengthError('Decode error - repeated field "records" had too many elements')
              }

              obj.records.push(MemberRecord.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.records$ ?? {}
              }))
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      })
    }

    return _codec
  }

  export const encode = (obj: Partial<Certificate>): Uint8Array => {
    return encodeMessage(obj, Certificate.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Certificate>): Certificate => {
    return decodeMessage(buf, Certificate.codec(), opts)
  }
}

export interface Revocation {
  peer: Uint8Array
  revokedMs: number
  signature: Uint8Array
}

export namespace Revocation {
  let _codec: Codec<Revocation>

  export const codec = (): Codec<Revocation> => {
    if (_codec == null) {
      _codec = message<Revocation>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.peer != null && obj.peer.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.peer)
        }

        if ((obj.revokedMs != null && obj.revokedMs !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.revokedMs)
        }

        if ((obj.signature != null && obj.signature.byteLength > 0)) {
          w.uint32(26)
          w.bytes(obj.signature)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          peer: uint8ArrayAlloc(0),
          revokedMs: 0,
          signature: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.peer = reader.bytes()
              break
            }
            case 2: {
              obj.revokedMs = reader.uint64Number()
              break
            }
            case 3: {
              obj.signature = reader.bytes()
              break
            }
            default: {
              reader.skipType(tag & 7)
              break
            }
          }
        }

        return obj
      })
    }

    return _codec
  }

  export const encode = (obj: Partial<Revocation>): Uint8Array => {
    return encodeMessage(obj, Revocation.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Revocation>): Revocation => {
    return decodeMessage(buf, Revocation.codec(), opts)
  }
}
