/* eslint-disable import/export */
/* eslint-disable complexity */
/* eslint-disable @typescript-eslint/no-namespace */
/* eslint-disable @typescript-eslint/no-unnecessary-boolean-literal-compare */
/* eslint-disable @typescript-eslint/no-empty-interface */
/* eslint-disable import/consistent-type-specifier-style */
/* eslint-disable @typescript-eslint/no-unused-vars */

import { decodeMessage, encodeMessage, enumeration, message } from 'protons-runtime'
import { alloc as uint8ArrayAlloc } from 'uint8arrays/alloc'
import type { Codec, DecodeOptions } from 'protons-runtime'
import type { Uint8ArrayList } from 'uint8arraylist'

export interface RpcFrame {
  kind: RpcFrame.Kind
  id: number
  method: string
  body: Uint8Array
  deadlineMs: number
  code: string
  message: string
  facts: string
}

export namespace RpcFrame {
  export enum Kind {
    NONE = 'NONE',
    REQUEST = 'REQUEST',
    RESPONSE = 'RESPONSE',
    ERROR = 'ERROR',
    CANCEL = 'CANCEL'
  }

  enum __KindValues {
    NONE = 0,
    REQUEST = 1,
    RESPONSE = 2,
    ERROR = 3,
    CANCEL = 4
  }

  export namespace Kind {
    export const codec = (): Codec<Kind> => {
      return enumeration<Kind>(__KindValues)
    }
  }

  let _codec: Codec<RpcFrame>

  export const codec = (): Codec<RpcFrame> => {
    if (_codec == null) {
      _codec = message<RpcFrame>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.kind != null && __KindValues[obj.kind] !== 0) {
          w.uint32(8)
          RpcFrame.Kind.codec().encode(obj.kind, w)
        }

        if ((obj.id != null && obj.id !== 0)) {
          w.uint32(16)
          w.uint32(obj.id)
        }

        if ((obj.method != null && obj.method !== '')) {
          w.uint32(26)
          w.string(obj.method)
        }

        if ((obj.body != null && obj.body.byteLength > 0)) {
          w.uint32(34)
          w.bytes(obj.body)
        }

        if ((obj.deadlineMs != null && obj.deadlineMs !== 0)) {
          w.uint32(40)
          w.uint32(obj.deadlineMs)
        }

        if ((obj.code != null && obj.code !== '')) {
          w.uint32(50)
          w.string(obj.code)
        }

        if ((obj.message != null && obj.message !== '')) {
          w.uint32(58)
          w.string(obj.message)
        }

        if ((obj.facts != null && obj.facts !== '')) {
          w.uint32(66)
          w.string(obj.facts)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          kind: Kind.NONE,
          id: 0,
          method: '',
          body: uint8ArrayAlloc(0),
          deadlineMs: 0,
          code: '',
          message: '',
          facts: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.kind = RpcFrame.Kind.codec().decode(reader)
              break
            }
            case 2: {
              obj.id = reader.uint32()
              break
            }
            case 3: {
              obj.method = reader.string()
              break
            }
            case 4: {
              obj.body = reader.bytes()
              break
            }
            case 5: {
              obj.deadlineMs = reader.uint32()
              break
            }
            case 6: {
              obj.code = reader.string()
              break
            }
            case 7: {
              obj.message = reader.string()
              break
            }
            case 8: {
              obj.facts = reader.string()
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

  export const encode = (obj: Partial<RpcFrame>): Uint8Array => {
    return encodeMessage(obj, RpcFrame.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RpcFrame>): RpcFrame => {
    return decodeMessage(buf, RpcFrame.codec(), opts)
  }
}
