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

export interface VolumeEntry {
  id: Uint8Array
  removed: boolean
  sizeBytes: number
  durability: number
  replicas: number
  policy: number
  createdMs: number
  openings: Opening[]
}

export namespace VolumeEntry {
  let _codec: Codec<VolumeEntry>

  export const codec = (): Codec<VolumeEntry> => {
    if (_codec == null) {
      _codec = message<VolumeEntry>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.id != null && obj.id.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.id)
        }

        if ((obj.removed != null && obj.removed !== false)) {
          w.uint32(16)
          w.bool(obj.removed)
        }

        if ((obj.sizeBytes != null && obj.sizeBytes !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.sizeBytes)
        }

        if ((obj.durability != null && obj.durability !== 0)) {
          w.uint32(32)
          w.uint32(obj.durability)
        }

        if ((obj.replicas != null && obj.replicas !== 0)) {
          w.uint32(40)
          w.uint32(obj.replicas)
        }

        if ((obj.policy != null && obj.policy !== 0)) {
          w.uint32(48)
          w.uint32(obj.policy)
        }

        if ((obj.createdMs != null && obj.createdMs !== 0)) {
          w.uint32(56)
          w.uint64Number(obj.createdMs)
        }

        if (obj.openings != null) {
          for (const value of obj.openings) {
            w.uint32(66)
            Opening.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          id: uint8ArrayAlloc(0),
          removed: false,
          sizeBytes: 0,
          durability: 0,
          replicas: 0,
          policy: 0,
          createdMs: 0,
          openings: []
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
              obj.removed = reader.bool()
              break
            }
            case 3: {
              obj.sizeBytes = reader.uint64Number()
              break
            }
            case 4: {
              obj.durability = reader.uint32()
              break
            }
            case 5: {
              obj.replicas = reader.uint32()
              break
            }
            case 6: {
              obj.policy = reader.uint32()
              break
            }
            case 7: {
              obj.createdMs = reader.uint64Number()
              break
            }
            case 8: {
              if (opts.limits?.openings != null && obj.openings.length === opts.limits.openings) {
                throw new MaxLengthError('Decode error - map field "openings" had too many elements')
              }

              if (obj.openings.length === 64) {
                throw new MaxLengthError('Decode error - repeated field "openings" had too many elements')
              }

              obj.openings.push(Opening.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.openings$ ?? {}
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

  export const encode = (obj: Partial<VolumeEntry>): Uint8Array => {
    return encodeMessage(obj, VolumeEntry.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<VolumeEntry>): VolumeEntry => {
    return decodeMessage(buf, VolumeEntry.codec(), opts)
  }
}

export interface Opening {
  node: string
  incarnation: Uint8Array
  epoch: number
}

export namespace Opening {
  let _codec: Codec<Opening>

  export const codec = (): Codec<Opening> => {
    if (_codec == null) {
      _codec = message<Opening>((obj, w, opts = {}) => {
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
          w.uint32(obj.epoch)
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
              obj.epoch = reader.uint32()
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

  export const encode = (obj: Partial<Opening>): Uint8Array => {
    return encodeMessage(obj, Opening.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Opening>): Opening => {
    return decodeMessage(buf, Opening.codec(), opts)
  }
}

export interface VolumeChanged {
  name: string
  id: Uint8Array
}

export namespace VolumeChanged {
  let _codec: Codec<VolumeChanged>

  export const codec = (): Codec<VolumeChanged> => {
    if (_codec == null) {
      _codec = message<VolumeChanged>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.name != null && obj.name !== '')) {
          w.uint32(10)
          w.string(obj.name)
        }

        if ((obj.id != null && obj.id.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.id)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          name: '',
          id: uint8ArrayAlloc(0)
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
              obj.id = reader.bytes()
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

  export const encode = (obj: Partial<VolumeChanged>): Uint8Array => {
    return encodeMessage(obj, VolumeChanged.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<VolumeChanged>): VolumeChanged => {
    return decodeMessage(buf, VolumeChanged.codec(), opts)
  }
}
