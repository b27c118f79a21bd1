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

export interface Frame {
  requests: Request[]
  replies: Reply[]
  peers: Peer[]
  parcel?: Parcel
}

export namespace Frame {
  let _codec: Codec<Frame>

  export const codec = (): Codec<Frame> => {
    if (_codec == null) {
      _codec = message<Frame>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.requests != null) {
          for (const value of obj.requests) {
            w.uint32(10)
            Request.codec().encode(value, w)
          }
        }

        if (obj.replies != null) {
          for (const value of obj.replies) {
            w.uint32(18)
            Reply.codec().encode(value, w)
          }
        }

        if (obj.peers != null) {
          for (const value of obj.peers) {
            w.uint32(26)
            Peer.codec().encode(value, w)
          }
        }

        if (obj.parcel != null) {
          w.uint32(34)
          Parcel.codec().encode(obj.parcel, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          requests: [],
          replies: [],
          peers: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.requests != null && obj.requests.length === opts.limits.requests) {
                throw new MaxLengthError('Decode error - map field "requests" had too many elements')
              }

              obj.requests.push(Request.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.requests$ ?? {}
              }))
              break
            }
            case 2: {
              if (opts.limits?.replies != null && obj.replies.length === opts.limits.replies) {
                throw new MaxLengthError('Decode error - map field "replies" had too many elements')
              }

              obj.replies.push(Reply.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.replies$ ?? {}
              }))
              break
            }
            case 3: {
              if (opts.limits?.peers != null && obj.peers.length === opts.limits.peers) {
                throw new MaxLengthError('Decode error - map field "peers" had too many elements')
              }

              obj.peers.push(Peer.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.peers$ ?? {}
              }))
              break
            }
            case 4: {
              obj.parcel = Parcel.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.parcel ?? {}
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

  export const encode = (obj: Partial<Frame>): Uint8Array => {
    return encodeMessage(obj, Frame.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Frame>): Frame => {
    return decodeMessage(buf, Frame.codec(), opts)
  }
}

export interface Parcel {
  id: Uint8Array
  bytes: number
  hash: Uint8Array
}

export namespace Parcel {
  let _codec: Codec<Parcel>

  export const codec = (): Codec<Parcel> => {
    if (_codec == null) {
      _codec = message<Parcel>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.id != null && obj.id.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.id)
        }

        if ((obj.bytes != null && obj.bytes !== 0)) {
          w.uint32(16)
          w.uint32(obj.bytes)
        }

        if ((obj.hash != null && obj.hash.byteLength > 0)) {
          w.uint32(26)
          w.bytes(obj.hash)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          id: uint8ArrayAlloc(0),
          bytes: 0,
          hash: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.id = reader.bytes()
              break
            }
            case 2: {
              obj.bytes = reader.uint32()
              break
            }
            case 3: {
              obj.hash = reader.bytes()
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

  export const encode = (obj: Partial<Parcel>): Uint8Array => {
    return encodeMessage(obj, Parcel.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Parcel>): Parcel => {
    return decodeMessage(buf, Parcel.codec(), opts)
  }
}

export interface SessionId {
  node: string
  incarnation: Uint8Array
  epoch: number
}

export namespace SessionId {
  let _codec: Codec<SessionId>

  export const codec = (): Codec<SessionId> => {
    if (_codec == null) {
      _codec = message<SessionId>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.node != null && obj.node !== '')) {
          w.uint32(10)
          w.string(obj.node)
        }

        if ((obj.incarnation != null && obj.incarnation.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.incarnation)
        }

        if ((obj.epoch != null && obj.epoch !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.epoch)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          node: '',
          incarnation: uint8ArrayAlloc(0),
          epoch: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.node = reader.string()
              break
            }
            case 2: {
              obj.incarnation = reader.bytes()
              break
            }
            case 3: {
              obj.epoch = reader.uint64Number()
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

  export const encode = (obj: Partial<SessionId>): Uint8Array => {
    return encodeMessage(obj, SessionId.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<SessionId>): SessionId => {
    return decodeMessage(buf, SessionId.codec(), opts)
  }
}

export interface VoterId {
  node: string
  incarnation: Uint8Array
}

export namespace VoterId {
  let _codec: Codec<VoterId>

  export const codec = (): Codec<VoterId> => {
    if (_codec == null) {
      _codec = message<VoterId>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.node != null && obj.node !== '')) {
          w.uint32(10)
          w.string(obj.node)
        }

        if ((obj.incarnation != null && obj.incarnation.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.incarnation)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          node: '',
          incarnation: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.node = reader.string()
              break
            }
            case 2: {
              obj.incarnation = reader.bytes()
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

  export const encode = (obj: Partial<VoterId>): Uint8Array => {
    return encodeMessage(obj, VoterId.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<VoterId>): VoterId => {
    return decodeMessage(buf, VoterId.codec(), opts)
  }
}

export interface Ballot {
  config: number
  round: number
  session?: SessionId
}

export namespace Ballot {
  let _codec: Codec<Ballot>

  export const codec = (): Codec<Ballot> => {
    if (_codec == null) {
      _codec = message<Ballot>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.config != null && obj.config !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.config)
        }

        if ((obj.round != null && obj.round !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.round)
        }

        if (obj.session != null) {
          w.uint32(26)
          SessionId.codec().encode(obj.session, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          config: 0,
          round: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.config = reader.uint64Number()
              break
            }
            case 2: {
              obj.round = reader.uint64Number()
              break
            }
            case 3: {
              obj.session = SessionId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.session ?? {}
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

  export const encode = (obj: Partial<Ballot>): Uint8Array => {
    return encodeMessage(obj, Ballot.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Ballot>): Ballot => {
    return decodeMessage(buf, Ballot.codec(), opts)
  }
}

export interface Value {
  holder?: SessionId
  token: number
  op: string
  payload: Uint8Array
}

export namespace Value {
  let _codec: Codec<Value>

  export const codec = (): Codec<Value> => {
    if (_codec == null) {
      _codec = message<Value>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.holder != null) {
          w.uint32(10)
          SessionId.codec().encode(obj.holder, w)
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.token)
        }

        if ((obj.op != null && obj.op !== '')) {
          w.uint32(26)
          w.string(obj.op)
        }

        if ((obj.payload != null && obj.payload.byteLength > 0)) {
          w.uint32(34)
          w.bytes(obj.payload)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          token: 0,
          op: '',
          payload: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.holder = SessionId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.holder ?? {}
              })
              break
            }
            case 2: {
              obj.token = reader.uint64Number()
              break
            }
            case 3: {
              obj.op = reader.string()
              break
            }
            case 4: {
              obj.payload = reader.bytes()
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

  export const encode = (obj: Partial<Value>): Uint8Array => {
    return encodeMessage(obj, Value.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Value>): Value => {
    return decodeMessage(buf, Value.codec(), opts)
  }
}

export interface Accepted {
  ballot?: Ballot
  value?: Value
}

export namespace Accepted {
  let _codec: Codec<Accepted>

  export const codec = (): Codec<Accepted> => {
    if (_codec == null) {
      _codec = message<Accepted>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.ballot != null) {
          w.uint32(10)
          Ballot.codec().encode(obj.ballot, w)
        }

        if (obj.value != null) {
          w.uint32(18)
          Value.codec().encode(obj.value, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {}

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.ballot = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ballot ?? {}
              })
              break
            }
            case 2: {
              obj.value = Value.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.value ?? {}
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

  export const encode = (obj: Partial<Accepted>): Uint8Array => {
    return encodeMessage(obj, Accepted.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Accepted>): Accepted => {
    return decodeMessage(buf, Accepted.codec(), opts)
  }
}

export interface Revocation {
  scope: string
  target?: SessionId
  token: number
}

export namespace Revocation {
  let _codec: Codec<Revocation>

  export const codec = (): Codec<Revocation> => {
    if (_codec == null) {
      _codec = message<Revocation>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.scope != null && obj.scope !== '')) {
          w.uint32(10)
          w.string(obj.scope)
        }

        if (obj.target != null) {
          w.uint32(18)
          SessionId.codec().encode(obj.target, w)
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.token)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          scope: '',
          token: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.scope = reader.string()
              break
            }
            case 2: {
              obj.target = SessionId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.target ?? {}
              })
              break
            }
            case 3: {
              obj.token = reader.uint64Number()
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

export interface Wish {
  scope: string
  token: number
  holder?: SessionId
  asker?: SessionId
  reason: Uint8Array
}

export namespace Wish {
  let _codec: Codec<Wish>

  export const codec = (): Codec<Wish> => {
    if (_codec == null) {
      _codec = message<Wish>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.scope != null && obj.scope !== '')) {
          w.uint32(10)
          w.string(obj.scope)
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.token)
        }

        if (obj.holder != null) {
          w.uint32(26)
          SessionId.codec().encode(obj.holder, w)
        }

        if (obj.asker != null) {
          w.uint32(34)
          SessionId.codec().encode(obj.asker, w)
        }

        if ((obj.reason != null && obj.reason.byteLength > 0)) {
          w.uint32(42)
          w.bytes(obj.reason)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          scope: '',
          token: 0,
          reason: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.scope = reader.string()
              break
            }
            case 2: {
              obj.token = reader.uint64Number()
              break
            }
            case 3: {
              obj.holder = SessionId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.holder ?? {}
              })
              break
            }
            case 4: {
              obj.asker = SessionId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.asker ?? {}
              })
              break
            }
            case 5: {
              obj.reason = reader.bytes()
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

  export const encode = (obj: Partial<Wish>): Uint8Array => {
    return encodeMessage(obj, Wish.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Wish>): Wish => {
    return decodeMessage(buf, Wish.codec(), opts)
  }
}

export interface Nonce {
  start: Uint8Array
  counter: number
}

export namespace Nonce {
  let _codec: Codec<Nonce>

  export const codec = (): Codec<Nonce> => {
    if (_codec == null) {
      _codec = message<Nonce>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.start != null && obj.start.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.start)
        }

        if ((obj.counter != null && obj.counter !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.counter)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: uint8ArrayAlloc(0),
          counter: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.start = reader.bytes()
              break
            }
            case 2: {
              obj.counter = reader.uint64Number()
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

  export const encode = (obj: Partial<Nonce>): Uint8Array => {
    return encodeMessage(obj, Nonce.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Nonce>): Nonce => {
    return decodeMessage(buf, Nonce.codec(), opts)
  }
}

export interface VoterSignature {
  node: string
  signature: Uint8Array
}

export namespace VoterSignature {
  let _codec: Codec<VoterSignature>

  export const codec = (): Codec<VoterSignature> => {
    if (_codec == null) {
      _codec = message<VoterSignature>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.node != null && obj.node !== '')) {
          w.uint32(10)
          w.string(obj.node)
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
          node: '',
          signature: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.node = reader.string()
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

  export const encode = (obj: Partial<VoterSignature>): Uint8Array => {
    return encodeMessage(obj, VoterSignature.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<VoterSignature>): VoterSignature => {
    return decodeMessage(buf, VoterSignature.codec(), opts)
  }
}

export interface ConfigRecord {
  number: number
  members: VoterId[]
  hash: string
  authority?: Uint8Array
  ballot?: Ballot
  signatures: VoterSignature[]
}

export namespace ConfigRecord {
  let _codec: Codec<ConfigRecord>

  export const codec = (): Codec<ConfigRecord> => {
    if (_codec == null) {
      _codec = message<ConfigRecord>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.number != null && obj.number !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.number)
        }

        if (obj.members != null) {
          for (const value of obj.members) {
            w.uint32(18)
            VoterId.codec().encode(value, w)
          }
        }

        if ((obj.hash != null && obj.hash !== '')) {
          w.uint32(26)
          w.string(obj.hash)
        }

        if (obj.authority != null) {
          w.uint32(34)
          w.bytes(obj.authority)
        }

        if (obj.ballot != null) {
          w.uint32(42)
          Ballot.codec().encode(obj.ballot, w)
        }

        if (obj.signatures != null) {
          for (const value of obj.signatures) {
            w.uint32(50)
            VoterSignature.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          number: 0,
          members: [],
          hash: '',
          signatures: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.number = reader.uint64Number()
              break
            }
            case 2: {
              if (opts.limits?.members != null && obj.members.length === opts.limits.members) {
                throw new MaxLengthError('Decode error - map field "members" had too many elements')
              }

              obj.members.push(VoterId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.members$ ?? {}
              }))
              break
            }
            case 3: {
              obj.hash = reader.string()
              break
            }
            case 4: {
              obj.authority = reader.bytes()
              break
            }
            case 5: {
              obj.ballot = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ballot ?? {}
              })
              break
            }
            case 6: {
              if (opts.limits?.signatures != null && obj.signatures.length === opts.limits.signatures) {
                throw new MaxLengthError('Decode error - map field "signatures" had too many elements')
              }

              obj.signatures.push(VoterSignature.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.signatures$ ?? {}
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

  export const encode = (obj: Partial<ConfigRecord>): Uint8Array => {
    return encodeMessage(obj, ConfigRecord.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ConfigRecord>): ConfigRecord => {
    return decodeMessage(buf, ConfigRecord.codec(), opts)
  }
}

export interface Decree {
  members: VoterId[]
  hash: string
}

export namespace Decree {
  let _codec: Codec<Decree>

  export const codec = (): Codec<Decree> => {
    if (_codec == null) {
      _codec = message<Decree>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.members != null) {
          for (const value of obj.members) {
            w.uint32(10)
            VoterId.codec().encode(value, w)
          }
        }

        if ((obj.hash != null && obj.hash !== '')) {
          w.uint32(18)
          w.string(obj.hash)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          members: [],
          hash: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.members != null && obj.members.length === opts.limits.members) {
                throw new MaxLengthError('Decode error - map field "members" had too many elements')
              }

              obj.members.push(VoterId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.members$ ?? {}
              }))
              break
            }
            case 2: {
              obj.hash = reader.string()
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

  export const encode = (obj: Partial<Decree>): Uint8Array => {
    return encodeMessage(obj, Decree.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Decree>): Decree => {
    return decodeMessage(buf, Decree.codec(), opts)
  }
}

export interface ScopeEntry {
  scope: string
  accepted?: Accepted
}

export namespace ScopeEntry {
  let _codec: Codec<ScopeEntry>

  export const codec = (): Codec<ScopeEntry> => {
    if (_codec == null) {
      _codec = message<ScopeEntry>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.scope != null && obj.scope !== '')) {
          w.uint32(10)
          w.string(obj.scope)
        }

        if (obj.accepted != null) {
          w.uint32(18)
          Accepted.codec().encode(obj.accepted, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          scope: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.scope = reader.string()
              break
            }
            case 2: {
              obj.accepted = Accepted.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.accepted ?? {}
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

  export const encode = (obj: Partial<ScopeEntry>): Uint8Array => {
    return encodeMessage(obj, ScopeEntry.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ScopeEntry>): ScopeEntry => {
    return decodeMessage(buf, ScopeEntry.codec(), opts)
  }
}

export interface SessionEntry {
  node: string
  incarnation: Uint8Array
  supported: number
  start: Uint8Array
  minimum: number
}

export namespace SessionEntry {
  let _codec: Codec<SessionEntry>

  export const codec = (): Codec<SessionEntry> => {
    if (_codec == null) {
      _codec = message<SessionEntry>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.node != null && obj.node !== '')) {
          w.uint32(10)
          w.string(obj.node)
        }

        if ((obj.incarnation != null && obj.incarnation.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.incarnation)
        }

        if ((obj.supported != null && obj.supported !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.supported)
        }

        if ((obj.start != null && obj.start.byteLength > 0)) {
          w.uint32(34)
          w.bytes(obj.start)
        }

        if ((obj.minimum != null && obj.minimum !== 0)) {
          w.uint32(40)
          w.uint64Number(obj.minimum)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          node: '',
          incarnation: uint8ArrayAlloc(0),
          supported: 0,
          start: uint8ArrayAlloc(0),
          minimum: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.node = reader.string()
              break
            }
            case 2: {
              obj.incarnation = reader.bytes()
              break
            }
            case 3: {
              obj.supported = reader.uint64Number()
              break
            }
            case 4: {
              obj.start = reader.bytes()
              break
            }
            case 5: {
              obj.minimum = reader.uint64Number()
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

  export const encode = (obj: Partial<SessionEntry>): Uint8Array => {
    return encodeMessage(obj, SessionEntry.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<SessionEntry>): SessionEntry => {
    return decodeMessage(buf, SessionEntry.codec(), opts)
  }
}

export interface RevocationEntry {
  revocation?: Revocation
  acknowledged: boolean
}

export namespace RevocationEntry {
  let _codec: Codec<RevocationEntry>

  export const codec = (): Codec<RevocationEntry> => {
    if (_codec == null) {
      _codec = message<RevocationEntry>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.revocation != null) {
          w.uint32(10)
          Revocation.codec().encode(obj.revocation, w)
        }

        if ((obj.acknowledged != null && obj.acknowledged !== false)) {
          w.uint32(16)
          w.bool(obj.acknowledged)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          acknowledged: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.revocation = Revocation.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.revocation ?? {}
              })
              break
            }
            case 2: {
              obj.acknowledged = reader.bool()
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

  export const encode = (obj: Partial<RevocationEntry>): Uint8Array => {
    return encodeMessage(obj, RevocationEntry.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RevocationEntry>): RevocationEntry => {
    return decodeMessage(buf, RevocationEntry.codec(), opts)
  }
}

export interface Snapshot {
  registers: ScopeEntry[]
  sessions: SessionEntry[]
  revocations: RevocationEntry[]
  floor: number
  base?: string
}

export namespace Snapshot {
  let _codec: Codec<Snapshot>

  export const codec = (): Codec<Snapshot> => {
    if (_codec == null) {
      _codec = message<Snapshot>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.registers != null) {
          for (const value of obj.registers) {
            w.uint32(10)
            ScopeEntry.codec().encode(value, w)
          }
        }

        if (obj.sessions != null) {
          for (const value of obj.sessions) {
            w.uint32(18)
            SessionEntry.codec().encode(value, w)
          }
        }

        if (obj.revocations != null) {
          for (const value of obj.revocations) {
            w.uint32(26)
            RevocationEntry.codec().encode(value, w)
          }
        }

        if ((obj.floor != null && obj.floor !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.floor)
        }

        if (obj.base != null) {
          w.uint32(42)
          w.string(obj.base)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          registers: [],
          sessions: [],
          revocations: [],
          floor: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.registers != null && obj.registers.length === opts.limits.registers) {
                throw new MaxLengthError('Decode error - map field "registers" had too many elements')
              }

              obj.registers.push(ScopeEntry.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.registers$ ?? {}
              }))
              break
            }
            case 2: {
              if (opts.limits?.sessions != null && obj.sessions.length === opts.limits.sessions) {
                throw new MaxLengthError('Decode error - map field "sessions" had too many elements')
              }

              obj.sessions.push(SessionEntry.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.sessions$ ?? {}
              }))
              break
            }
            case 3: {
              if (opts.limits?.revocations != null && obj.revocations.length === opts.limits.revocations) {
                throw new MaxLengthError('Decode error - map field "revocations" had too many elements')
              }

              obj.revocations.push(RevocationEntry.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.revocations$ ?? {}
              }))
              break
            }
            case 4: {
              obj.floor = reader.uint64Number()
              break
            }
            case 5: {
              obj.base = reader.string()
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

  export const encode = (obj: Partial<Snapshot>): Uint8Array => {
    return encodeMessage(obj, Snapshot.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Snapshot>): Snapshot => {
    return decodeMessage(buf, Snapshot.codec(), opts)
  }
}

export interface BaseChunk {
  config: number
  registers: ScopeEntry[]
  dropped: ScopeEntry[]
  through?: string
}

export namespace BaseChunk {
  let _codec: Codec<BaseChunk>

  export const codec = (): Codec<BaseChunk> => {
    if (_codec == null) {
      _codec = message<BaseChunk>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.config != null && obj.config !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.config)
        }

        if (obj.registers != null) {
          for (const value of obj.registers) {
            w.uint32(18)
            ScopeEntry.codec().encode(value, w)
          }
        }

        if (obj.dropped != null) {
          for (const value of obj.dropped) {
            w.uint32(26)
            ScopeEntry.codec().encode(value, w)
          }
        }

        if (obj.through != null) {
          w.uint32(34)
          w.string(obj.through)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          config: 0,
          registers: [],
          dropped: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.config = reader.uint64Number()
              break
            }
            case 2: {
              if (opts.limits?.registers != null && obj.registers.length === opts.limits.registers) {
                throw new MaxLengthError('Decode error - map field "registers" had too many elements')
              }

              obj.registers.push(ScopeEntry.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.registers$ ?? {}
              }))
              break
            }
            case 3: {
              if (opts.limits?.dropped != null && obj.dropped.length === opts.limits.dropped) {
                throw new MaxLengthError('Decode error - map field "dropped" had too many elements')
              }

              obj.dropped.push(ScopeEntry.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.dropped$ ?? {}
              }))
              break
            }
            case 4: {
              obj.through = reader.string()
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

  export const encode = (obj: Partial<BaseChunk>): Uint8Array => {
    return encodeMessage(obj, BaseChunk.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<BaseChunk>): BaseChunk => {
    return decodeMessage(buf, BaseChunk.codec(), opts)
  }
}

export interface BaseRow {
  ballot?: Ballot
  chunk?: BaseChunk
}

export namespace BaseRow {
  let _codec: Codec<BaseRow>

  export const codec = (): Codec<BaseRow> => {
    if (_codec == null) {
      _codec = message<BaseRow>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.ballot != null) {
          w.uint32(10)
          Ballot.codec().encode(obj.ballot, w)
        }

        if (obj.chunk != null) {
          w.uint32(18)
          BaseChunk.codec().encode(obj.chunk, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {}

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.ballot = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ballot ?? {}
              })
              break
            }
            case 2: {
              obj.chunk = BaseChunk.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.chunk ?? {}
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

  export const encode = (obj: Partial<BaseRow>): Uint8Array => {
    return encodeMessage(obj, BaseRow.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<BaseRow>): BaseRow => {
    return decodeMessage(buf, BaseRow.codec(), opts)
  }
}

export interface KeptBase {
  name: string
  hash: string
  chunks: number
}

export namespace KeptBase {
  let _codec: Codec<KeptBase>

  export const codec = (): Codec<KeptBase> => {
    if (_codec == null) {
      _codec = message<KeptBase>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.name != null && obj.name !== '')) {
          w.uint32(10)
          w.string(obj.name)
        }

        if ((obj.hash != null && obj.hash !== '')) {
          w.uint32(18)
          w.string(obj.hash)
        }

        if ((obj.chunks != null && obj.chunks !== 0)) {
          w.uint32(24)
          w.uint32(obj.chunks)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          name: '',
          hash: '',
          chunks: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.name = reader.string()
              break
            }
            case 2: {
              obj.hash = reader.string()
              break
            }
            case 3: {
              obj.chunks = reader.uint32()
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

  export const encode = (obj: Partial<KeptBase>): Uint8Array => {
    return encodeMessage(obj, KeptBase.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<KeptBase>): KeptBase => {
    return decodeMessage(buf, KeptBase.codec(), opts)
  }
}

export interface RegisterRecord {
  promised?: Ballot
  accepted?: Accepted
}

export namespace RegisterRecord {
  let _codec: Codec<RegisterRecord>

  export const codec = (): Codec<RegisterRecord> => {
    if (_codec == null) {
      _codec = message<RegisterRecord>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.promised != null) {
          w.uint32(10)
          Ballot.codec().encode(obj.promised, w)
        }

        if (obj.accepted != null) {
          w.uint32(18)
          Accepted.codec().encode(obj.accepted, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {}

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.promised = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.promised ?? {}
              })
              break
            }
            case 2: {
              obj.accepted = Accepted.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.accepted ?? {}
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

  export const encode = (obj: Partial<RegisterRecord>): Uint8Array => {
    return encodeMessage(obj, RegisterRecord.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RegisterRecord>): RegisterRecord => {
    return decodeMessage(buf, RegisterRecord.codec(), opts)
  }
}

export interface VoterRecord {
  configPlusOne: number
  sealed: boolean
  sealedFor: VoterId[]
  decreePromised?: Ballot
  decreeBallot?: Ballot
  decree?: Decree
  floor: number
  sealedBase?: string
  generation?: string
  base?: KeptBase
}

export namespace VoterRecord {
  let _codec: Codec<VoterRecord>

  export const codec = (): Codec<VoterRecord> => {
    if (_codec == null) {
      _codec = message<VoterRecord>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.configPlusOne != null && obj.configPlusOne !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.configPlusOne)
        }

        if ((obj.sealed != null && obj.sealed !== false)) {
          w.uint32(16)
          w.bool(obj.sealed)
        }

        if (obj.sealedFor != null) {
          for (const value of obj.sealedFor) {
            w.uint32(26)
            VoterId.codec().encode(value, w)
          }
        }

        if (obj.decreePromised != null) {
          w.uint32(34)
          Ballot.codec().encode(obj.decreePromised, w)
        }

        if (obj.decreeBallot != null) {
          w.uint32(42)
          Ballot.codec().encode(obj.decreeBallot, w)
        }

        if (obj.decree != null) {
          w.uint32(50)
          Decree.codec().encode(obj.decree, w)
        }

        if ((obj.floor != null && obj.floor !== 0)) {
          w.uint32(56)
          w.uint64Number(obj.floor)
        }

        if (obj.sealedBase != null) {
          w.uint32(66)
          w.string(obj.sealedBase)
        }

        if (obj.generation != null) {
          w.uint32(74)
          w.string(obj.generation)
        }

        if (obj.base != null) {
          w.uint32(82)
          KeptBase.codec().encode(obj.base, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          configPlusOne: 0,
          sealed: false,
          sealedFor: [],
          floor: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.configPlusOne = reader.uint64Number()
              break
            }
            case 2: {
              obj.sealed = reader.bool()
              break
            }
            case 3: {
              if (opts.limits?.sealedFor != null && obj.sealedFor.length === opts.limits.sealedFor) {
                throw new MaxLengthError('Decode error - map field "sealedFor" had too many elements')
              }

              obj.sealedFor.push(VoterId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.sealedFor$ ?? {}
              }))
              break
            }
            case 4: {
              obj.decreePromised = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.decreePromised ?? {}
              })
              break
            }
            case 5: {
              obj.decreeBallot = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.decreeBallot ?? {}
              })
              break
            }
            case 6: {
              obj.decree = Decree.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.decree ?? {}
              })
              break
            }
            case 7: {
              obj.floor = reader.uint64Number()
              break
            }
            case 8: {
              obj.sealedBase = reader.string()
              break
            }
            case 9: {
              obj.generation = reader.string()
              break
            }
            case 10: {
              obj.base = KeptBase.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.base ?? {}
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

  export const encode = (obj: Partial<VoterRecord>): Uint8Array => {
    return encodeMessage(obj, VoterRecord.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<VoterRecord>): VoterRecord => {
    return decodeMessage(buf, VoterRecord.codec(), opts)
  }
}

export interface Chain {
  records: ConfigRecord[]
}

export namespace Chain {
  let _codec: Codec<Chain>

  export const codec = (): Codec<Chain> => {
    if (_codec == null) {
      _codec = message<Chain>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.records != null) {
          for (const value of obj.records) {
            w.uint32(10)
            ConfigRecord.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          records: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.records != null && obj.records.length === opts.limits.records) {
                throw new MaxLengthError('Decode error - map field "records" had too many elements')
              }

              obj.records.push(ConfigRecord.codec().decode(reader, reader.uint32(), {
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

  export const encode = (obj: Partial<Chain>): Uint8Array => {
    return encodeMessage(obj, Chain.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Chain>): Chain => {
    return decodeMessage(buf, Chain.codec(), opts)
  }
}

export interface Request {
  config: number
  incarnation: Uint8Array
  nonce?: Nonce
  sender?: SessionId
  seenStart: Uint8Array
  seenSequence: number
  kind: string
  scope?: string
  ballot?: Ballot
  session?: SessionId
  revocation?: Revocation
  revocations: Revocation[]
  value?: Value
  changed: boolean
  next?: Ballot
  number: number
  wish?: Wish
  members: VoterId[]
  hash?: string
  snapshot?: Snapshot
  decree?: Decree
  chain: ConfigRecord[]
  held: boolean
  chunk?: BaseChunk
  base?: string
}

export namespace Request {
  let _codec: Codec<Request>

  export const codec = (): Codec<Request> => {
    if (_codec == null) {
      _codec = message<Request>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.config != null && obj.config !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.config)
        }

        if ((obj.incarnation != null && obj.incarnation.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.incarnation)
        }

        if (obj.nonce != null) {
          w.uint32(26)
          Nonce.codec().encode(obj.nonce, w)
        }

        if (obj.sender != null) {
          w.uint32(34)
          SessionId.codec().encode(obj.sender, w)
        }

        if ((obj.seenStart != null && obj.seenStart.byteLength > 0)) {
          w.uint32(42)
          w.bytes(obj.seenStart)
        }

        if ((obj.seenSequence != null && obj.seenSequence !== 0)) {
          w.uint32(48)
          w.uint64Number(obj.seenSequence)
        }

        if ((obj.kind != null && obj.kind !== '')) {
          w.uint32(58)
          w.string(obj.kind)
        }

        if (obj.scope != null) {
          w.uint32(66)
          w.string(obj.scope)
        }

        if (obj.ballot != null) {
          w.uint32(74)
          Ballot.codec().encode(obj.ballot, w)
        }

        if (obj.session != null) {
          w.uint32(82)
          SessionId.codec().encode(obj.session, w)
        }

        if (obj.revocation != null) {
          w.uint32(90)
          Revocation.codec().encode(obj.revocation, w)
        }

        if (obj.revocations != null) {
          for (const value of obj.revocations) {
            w.uint32(98)
            Revocation.codec().encode(value, w)
          }
        }

        if (obj.value != null) {
          w.uint32(106)
          Value.codec().encode(obj.value, w)
        }

        if ((obj.changed != null && obj.changed !== false)) {
          w.uint32(112)
          w.bool(obj.changed)
        }

        if (obj.next != null) {
          w.uint32(122)
          Ballot.codec().encode(obj.next, w)
        }

        if ((obj.number != null && obj.number !== 0)) {
          w.uint32(128)
          w.uint64Number(obj.number)
        }

        if (obj.wish != null) {
          w.uint32(138)
          Wish.codec().encode(obj.wish, w)
        }

        if (obj.members != null) {
          for (const value of obj.members) {
            w.uint32(146)
            VoterId.codec().encode(value, w)
          }
        }

        if (obj.hash != null) {
          w.uint32(154)
          w.string(obj.hash)
        }

        if (obj.snapshot != null) {
          w.uint32(162)
          Snapshot.codec().encode(obj.snapshot, w)
        }

        if (obj.decree != null) {
          w.uint32(170)
          Decree.codec().encode(obj.decree, w)
        }

        if (obj.chain != null) {
          for (const value of obj.chain) {
            w.uint32(178)
            ConfigRecord.codec().encode(value, w)
          }
        }

        if ((obj.held != null && obj.held !== false)) {
          w.uint32(184)
          w.bool(obj.held)
        }

        if (obj.chunk != null) {
          w.uint32(194)
          BaseChunk.codec().encode(obj.chunk, w)
        }

        if (obj.base != null) {
          w.uint32(202)
          w.string(obj.base)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          config: 0,
          incarnation: uint8ArrayAlloc(0),
          seenStart: uint8ArrayAlloc(0),
          seenSequence: 0,
          kind: '',
          revocations: [],
          changed: false,
          number: 0,
          members: [],
          chain: [],
          held: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.config = reader.uint64Number()
              break
            }
            case 2: {
              obj.incarnation = reader.bytes()
              break
            }
            case 3: {
              obj.nonce = Nonce.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.nonce ?? {}
              })
              break
            }
            case 4: {
              obj.sender = SessionId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.sender ?? {}
              })
              break
            }
            case 5: {
              obj.seenStart = reader.bytes()
              break
            }
            case 6: {
              obj.seenSequence = reader.uint64Number()
              break
            }
            case 7: {
              obj.kind = reader.string()
              break
            }
            case 8: {
              obj.scope = reader.string()
              break
            }
            case 9: {
              obj.ballot = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ballot ?? {}
              })
              break
            }
            case 10: {
              obj.session = SessionId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.session ?? {}
              })
              break
            }
            case 11: {
              obj.revocation = Revocation.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.revocation ?? {}
              })
              break
            }
            case 12: {
              if (opts.limits?.revocations != null && obj.revocations.length === opts.limits.revocations) {
                throw new MaxLengthError('Decode error - map field "revocations" had too many elements')
              }

              obj.revocations.push(Revocation.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.revocations$ ?? {}
              }))
              break
            }
            case 13: {
              obj.value = Value.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.value ?? {}
              })
              break
            }
            case 14: {
              obj.changed = reader.bool()
              break
            }
            case 15: {
              obj.next = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.next ?? {}
              })
              break
            }
            case 16: {
              obj.number = reader.uint64Number()
              break
            }
            case 17: {
              obj.wish = Wish.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.wish ?? {}
              })
              break
            }
            case 18: {
              if (opts.limits?.members != null && obj.members.length === opts.limits.members) {
                throw new MaxLengthError('Decode error - map field "members" had too many elements')
              }

              obj.members.push(VoterId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.members$ ?? {}
              }))
              break
            }
            case 19: {
              obj.hash = reader.string()
              break
            }
            case 20: {
              obj.snapshot = Snapshot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.snapshot ?? {}
              })
              break
            }
            case 21: {
              obj.decree = Decree.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.decree ?? {}
              })
              break
            }
            case 22: {
              if (opts.limits?.chain != null && obj.chain.length === opts.limits.chain) {
                throw new MaxLengthError('Decode error - map field "chain" had too many elements')
              }

              obj.chain.push(ConfigRecord.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.chain$ ?? {}
              }))
              break
            }
            case 23: {
              obj.held = reader.bool()
              break
            }
            case 24: {
              obj.chunk = BaseChunk.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.chunk ?? {}
              })
              break
            }
            case 25: {
              obj.base = reader.string()
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

  export const encode = (obj: Partial<Request>): Uint8Array => {
    return encodeMessage(obj, Request.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Request>): Request => {
    return decodeMessage(buf, Request.codec(), opts)
  }
}

export interface Reply {
  nonce?: Nonce
  voter?: VoterId
  start: Uint8Array
  configPlusOne: number
  sequence: number
  kind: string
  code: string
  ballot?: Ballot
  accepted?: Accepted
  number: number
  yes: boolean
  clear: boolean
  wishes: Wish[]
  entries: ScopeEntry[]
  next?: string
  snapshot?: Snapshot
  decree?: Decree
  signature?: Uint8Array
  chain: ConfigRecord[]
  members: VoterId[]
  revocations: Revocation[]
  base?: string
  chunk?: BaseChunk
}

export namespace Reply {
  let _codec: Codec<Reply>

  export const codec = (): Codec<Reply> => {
    if (_codec == null) {
      _codec = message<Reply>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.nonce != null) {
          w.uint32(10)
          Nonce.codec().encode(obj.nonce, w)
        }

        if (obj.voter != null) {
          w.uint32(18)
          VoterId.codec().encode(obj.voter, w)
        }

        if ((obj.start != null && obj.start.byteLength > 0)) {
          w.uint32(26)
          w.bytes(obj.start)
        }

        if ((obj.configPlusOne != null && obj.configPlusOne !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.configPlusOne)
        }

        if ((obj.sequence != null && obj.sequence !== 0)) {
          w.uint32(40)
          w.uint64Number(obj.sequence)
        }

        if ((obj.kind != null && obj.kind !== '')) {
          w.uint32(50)
          w.string(obj.kind)
        }

        if ((obj.code != null && obj.code !== '')) {
          w.uint32(58)
          w.string(obj.code)
        }

        if (obj.ballot != null) {
          w.uint32(66)
          Ballot.codec().encode(obj.ballot, w)
        }

        if (obj.accepted != null) {
          w.uint32(74)
          Accepted.codec().encode(obj.accepted, w)
        }

        if ((obj.number != null && obj.number !== 0)) {
          w.uint32(80)
          w.uint64Number(obj.number)
        }

        if ((obj.yes != null && obj.yes !== false)) {
          w.uint32(88)
          w.bool(obj.yes)
        }

        if ((obj.clear != null && obj.clear !== false)) {
          w.uint32(96)
          w.bool(obj.clear)
        }

        if (obj.wishes != null) {
          for (const value of obj.wishes) {
            w.uint32(106)
            Wish.codec().encode(value, w)
          }
        }

        if (obj.entries != null) {
          for (const value of obj.entries) {
            w.uint32(114)
            ScopeEntry.codec().encode(value, w)
          }
        }

        if (obj.next != null) {
          w.uint32(122)
          w.string(obj.next)
        }

        if (obj.snapshot != null) {
          w.uint32(130)
          Snapshot.codec().encode(obj.snapshot, w)
        }

        if (obj.decree != null) {
          w.uint32(138)
          Decree.codec().encode(obj.decree, w)
        }

        if (obj.signature != null) {
          w.uint32(146)
          w.bytes(obj.signature)
        }

        if (obj.chain != null) {
          for (const value of obj.chain) {
            w.uint32(154)
            ConfigRecord.codec().encode(value, w)
          }
        }

        if (obj.members != null) {
          for (const value of obj.members) {
            w.uint32(162)
            VoterId.codec().encode(value, w)
          }
        }

        if (obj.revocations != null) {
          for (const value of obj.revocations) {
            w.uint32(170)
            Revocation.codec().encode(value, w)
          }
        }

        if (obj.base != null) {
          w.uint32(178)
          w.string(obj.base)
        }

        if (obj.chunk != null) {
          w.uint32(186)
          BaseChunk.codec().encode(obj.chunk, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: uint8ArrayAlloc(0),
          configPlusOne: 0,
          sequence: 0,
          kind: '',
          code: '',
          number: 0,
          yes: false,
          clear: false,
          wishes: [],
          entries: [],
          chain: [],
          members: [],
          revocations: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.nonce = Nonce.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.nonce ?? {}
              })
              break
            }
            case 2: {
              obj.voter = VoterId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.voter ?? {}
              })
              break
            }
            case 3: {
              obj.start = reader.bytes()
              break
            }
            case 4: {
              obj.configPlusOne = reader.uint64Number()
              break
            }
            case 5: {
              obj.sequence = reader.uint64Number()
              break
            }
            case 6: {
              obj.kind = reader.string()
              break
            }
            case 7: {
              obj.code = reader.string()
              break
            }
            case 8: {
              obj.ballot = Ballot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ballot ?? {}
              })
              break
            }
            case 9: {
              obj.accepted = Accepted.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.accepted ?? {}
              })
              break
            }
            case 10: {
              obj.number = reader.uint64Number()
              break
            }
            case 11: {
              obj.yes = reader.bool()
              break
            }
            case 12: {
              obj.clear = reader.bool()
              break
            }
            case 13: {
              if (opts.limits?.wishes != null && obj.wishes.length === opts.limits.wishes) {
                throw new MaxLengthError('Decode error - map field "wishes" had too many elements')
              }

              obj.wishes.push(Wish.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.wishes$ ?? {}
              }))
              break
            }
            case 14: {
              if (opts.limits?.entries != null && obj.entries.length === opts.limits.entries) {
                throw new MaxLengthError('Decode error - map field "entries" had too many elements')
              }

              obj.entries.push(ScopeEntry.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.entries$ ?? {}
              }))
              break
            }
            case 15: {
              obj.next = reader.string()
              break
            }
            case 16: {
              obj.snapshot = Snapshot.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.snapshot ?? {}
              })
              break
            }
            case 17: {
              obj.decree = Decree.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.decree ?? {}
              })
              break
            }
            case 18: {
              obj.signature = reader.bytes()
              break
            }
            case 19: {
              if (opts.limits?.chain != null && obj.chain.length === opts.limits.chain) {
                throw new MaxLengthError('Decode error - map field "chain" had too many elements')
              }

              obj.chain.push(ConfigRecord.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.chain$ ?? {}
              }))
              break
            }
            case 20: {
              if (opts.limits?.members != null && obj.members.length === opts.limits.members) {
                throw new MaxLengthError('Decode error - map field "members" had too many elements')
              }

              obj.members.push(VoterId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.members$ ?? {}
              }))
              break
            }
            case 21: {
              if (opts.limits?.revocations != null && obj.revocations.length === opts.limits.revocations) {
                throw new MaxLengthError('Decode error - map field "revocations" had too many elements')
              }

              obj.revocations.push(Revocation.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.revocations$ ?? {}
              }))
              break
            }
            case 22: {
              obj.base = reader.string()
              break
            }
            case 23: {
              obj.chunk = BaseChunk.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.chunk ?? {}
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

  export const encode = (obj: Partial<Reply>): Uint8Array => {
    return encodeMessage(obj, Reply.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Reply>): Reply => {
    return decodeMessage(buf, Reply.codec(), opts)
  }
}

export interface Peer {
  kind: string
  wish?: Wish
  scope?: string
  number: number
  asker?: SessionId
  reason: string
  value?: Value
  chain: ConfigRecord[]
}

export namespace Peer {
  let _codec: Codec<Peer>

  export const codec = (): Codec<Peer> => {
    if (_codec == null) {
      _codec = message<Peer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.kind != null && obj.kind !== '')) {
          w.uint32(10)
          w.string(obj.kind)
        }

        if (obj.wish != null) {
          w.uint32(18)
          Wish.codec().encode(obj.wish, w)
        }

        if (obj.scope != null) {
          w.uint32(26)
          w.string(obj.scope)
        }

        if ((obj.number != null && obj.number !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.number)
        }

        if (obj.asker != null) {
          w.uint32(42)
          SessionId.codec().encode(obj.asker, w)
        }

        if ((obj.reason != null && obj.reason !== '')) {
          w.uint32(50)
          w.string(obj.reason)
        }

        if (obj.value != null) {
          w.uint32(58)
          Value.codec().encode(obj.value, w)
        }

        if (obj.chain != null) {
          for (const value of obj.chain) {
            w.uint32(66)
            ConfigRecord.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          kind: '',
          number: 0,
          reason: '',
          chain: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.kind = reader.string()
              break
            }
            case 2: {
              obj.wish = Wish.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.wish ?? {}
              })
              break
            }
            case 3: {
              obj.scope = reader.string()
              break
            }
            case 4: {
              obj.number = reader.uint64Number()
              break
            }
            case 5: {
              obj.asker = SessionId.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.asker ?? {}
              })
              break
            }
            case 6: {
              obj.reason = reader.string()
              break
            }
            case 7: {
              obj.value = Value.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.value ?? {}
              })
              break
            }
            case 8: {
              if (opts.limits?.chain != null && obj.chain.length === opts.limits.chain) {
                throw new MaxLengthError('Decode error - map field "chain" had too many elements')
              }

              obj.chain.push(ConfigRecord.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.chain$ ?? {}
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

  export const encode = (obj: Partial<Peer>): Uint8Array => {
    return encodeMessage(obj, Peer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Peer>): Peer => {
    return decodeMessage(buf, Peer.codec(), opts)
  }
}
