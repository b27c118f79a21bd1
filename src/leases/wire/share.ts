/* eslint-disable import/export */
/* eslint-disable complexity */
/* eslint-disable @typescript-eslint/no-namespace */
/* eslint-disable @typescript-eslint/no-unnecessary-boolean-literal-compare */
/* eslint-disable @typescript-eslint/no-empty-interface */
/* eslint-disable import/consistent-type-specifier-style */
/* eslint-disable @typescript-eslint/no-unused-vars */

import { decodeMessage, encodeMessage, enumeration, MaxLengthError, message } from 'protons-runtime'
import { alloc as uint8ArrayAlloc } from 'uint8arrays/alloc'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

export enum ShareKind {
  ADMIT = 'ADMIT',
  RENEW = 'RENEW',
  RETURN = 'RETURN'
}

enum __ShareKindValues {
  ADMIT = 0,
  RENEW = 1,
  RETURN = 2
}

export namespace ShareKind {
  export const codec = (): Codec<ShareKind> => {
    return enumeration<ShareKind>(__ShareKindValues)
  }
}

export interface ShareItem {
  kind: ShareKind
  scope: string
  token: number
}

export namespace ShareItem {
  let _codec: Codec<ShareItem>

  export const codec = (): Codec<ShareItem> => {
    if (_codec == null) {
      _codec = message<ShareItem>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.kind != null && __ShareKindValues[obj.kind] !== 0) {
          w.uint32(8)
          ShareKind.codec().encode(obj.kind, w)
        }

        if ((obj.scope != null && obj.scope !== '')) {
          w.uint32(18)
          w.string(obj.scope)
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
          kind: ShareKind.ADMIT,
          scope: '',
          token: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.kind = ShareKind.codec().decode(reader)
              break
            }
            case 2: {
              obj.scope = reader.string()
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

  export const encode = (obj: Partial<ShareItem>): Uint8Array => {
    return encodeMessage(obj, ShareItem.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ShareItem>): ShareItem => {
    return decodeMessage(buf, ShareItem.codec(), opts)
  }
}

export interface ShareRequest {
  start: Uint8Array
  sequence: number
  items: ShareItem[]
}

export namespace ShareRequest {
  let _codec: Codec<ShareRequest>

  export const codec = (): Codec<ShareRequest> => {
    if (_codec == null) {
      _codec = message<ShareRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.start != null && obj.start.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.start)
        }

        if ((obj.sequence != null && obj.sequence !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.sequence)
        }

        if (obj.items != null) {
          for (const value of obj.items) {
            w.uint32(26)
            ShareItem.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: uint8ArrayAlloc(0),
          sequence: 0,
          items: []
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
              obj.sequence = reader.uint64Number()
              break
            }
            case 3: {
              if (opts.limits?.items != null && obj.items.length === opts.limits.items) {
                throw new MaxLengthError('Decode error - map field "items" had too many elements')
              }

              obj.items.push(ShareItem.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.items$ ?? {}
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

  export const encode = (obj: Partial<ShareRequest>): Uint8Array => {
    return encodeMessage(obj, ShareRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ShareRequest>): ShareRequest => {
    return decodeMessage(buf, ShareRequest.codec(), opts)
  }
}

export enum ShareRefusal {
  NONE = 'NONE',
  NOT_HOLDER = 'NOT_HOLDER',
  WRITER_WAITS = 'WRITER_WAITS',
  RECALLED = 'RECALLED',
  NOT_NOW = 'NOT_NOW',
  FULL = 'FULL'
}

enum __ShareRefusalValues {
  NONE = 0,
  NOT_HOLDER = 1,
  WRITER_WAITS = 2,
  RECALLED = 3,
  NOT_NOW = 4,
  FULL = 5
}

export namespace ShareRefusal {
  export const codec = (): Codec<ShareRefusal> => {
    return enumeration<ShareRefusal>(__ShareRefusalValues)
  }
}

export interface ShareAnswer {
  validMs: number
  refusal: ShareRefusal
}

export namespace ShareAnswer {
  let _codec: Codec<ShareAnswer>

  export const codec = (): Codec<ShareAnswer> => {
    if (_codec == null) {
      _codec = message<ShareAnswer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.validMs != null && obj.validMs !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.validMs)
        }

        if (obj.refusal != null && __ShareRefusalValues[obj.refusal] !== 0) {
          w.uint32(16)
          ShareRefusal.codec().encode(obj.refusal, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          validMs: 0,
          refusal: ShareRefusal.NONE
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.validMs = reader.uint64Number()
              break
            }
            case 2: {
              obj.refusal = ShareRefusal.codec().decode(reader)
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

  export const encode = (obj: Partial<ShareAnswer>): Uint8Array => {
    return encodeMessage(obj, ShareAnswer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ShareAnswer>): ShareAnswer => {
    return decodeMessage(buf, ShareAnswer.codec(), opts)
  }
}

export interface ShareReply {
  answers: ShareAnswer[]
}

export namespace ShareReply {
  let _codec: Codec<ShareReply>

  export const codec = (): Codec<ShareReply> => {
    if (_codec == null) {
      _codec = message<ShareReply>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.answers != null) {
          for (const value of obj.answers) {
            w.uint32(10)
            ShareAnswer.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          answers: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.answers != null && obj.answers.length === opts.limits.answers) {
                throw new MaxLengthError('Decode error - map field "answers" had too many elements')
              }

              obj.answers.push(ShareAnswer.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.answers$ ?? {}
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

  export const encode = (obj: Partial<ShareReply>): Uint8Array => {
    return encodeMessage(obj, ShareReply.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ShareReply>): ShareReply => {
    return decodeMessage(buf, ShareReply.codec(), opts)
  }
}

export interface ForceReleaseRequest {
  agent: string
}

export namespace ForceReleaseRequest {
  let _codec: Codec<ForceReleaseRequest>

  export const codec = (): Codec<ForceReleaseRequest> => {
    if (_codec == null) {
      _codec = message<ForceReleaseRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.agent != null && obj.agent !== '')) {
          w.uint32(10)
          w.string(obj.agent)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          agent: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.agent = reader.string()
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

  export const encode = (obj: Partial<ForceReleaseRequest>): Uint8Array => {
    return encodeMessage(obj, ForceReleaseRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ForceReleaseRequest>): ForceReleaseRequest => {
    return decodeMessage(buf, ForceReleaseRequest.codec(), opts)
  }
}

export interface ForceReleaseReply {
  released: number
}

export namespace ForceReleaseReply {
  let _codec: Codec<ForceReleaseReply>

  export const codec = (): Codec<ForceReleaseReply> => {
    if (_codec == null) {
      _codec = message<ForceReleaseReply>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.released != null && obj.released !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.released)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          released: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.released = reader.uint64Number()
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

  export const encode = (obj: Partial<ForceReleaseReply>): Uint8Array => {
    return encodeMessage(obj, ForceReleaseReply.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ForceReleaseReply>): ForceReleaseReply => {
    return decodeMessage(buf, ForceReleaseReply.codec(), opts)
  }
}
