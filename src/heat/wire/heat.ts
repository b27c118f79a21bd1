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

export interface HeatNews {
  made: bigint
  coordinate?: Coordinate
  roundTrips: RoundTrip[]
  volumes: VolumeNews[]
}

export namespace HeatNews {
  let _codec: Codec<HeatNews>

  export const codec = (): Codec<HeatNews> => {
    if (_codec == null) {
      _codec = message<HeatNews>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.made != null && obj.made !== 0n)) {
          w.uint32(9)
          w.fixed64(obj.made)
        }

        if (obj.coordinate != null) {
          w.uint32(18)
          Coordinate.codec().encode(obj.coordinate, w)
        }

        if (obj.roundTrips != null) {
          for (const value of obj.roundTrips) {
            w.uint32(26)
            RoundTrip.codec().encode(value, w)
          }
        }

        if (obj.volumes != null) {
          for (const value of obj.volumes) {
            w.uint32(34)
            VolumeNews.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          made: 0n,
          roundTrips: [],
          volumes: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.made = reader.fixed64()
              break
            }
            case 2: {
              obj.coordinate = Coordinate.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.coordinate ?? {}
              })
              break
            }
            case 3: {
              if (opts.limits?.roundTrips != null && obj.roundTrips.length === opts.limits.roundTrips) {
                throw new MaxLengthError('Decode error - map field "roundTrips" had too many elements')
              }

              if (obj.roundTrips.length === 64) {
                throw new MaxLengthError('Decode error - repeated field "roundTrips" had too many elements')
              }

              obj.roundTrips.push(RoundTrip.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.roundTrips$ ?? {}
              }))
              break
            }
            case 4: {
              if (opts.limits?.volumes != null && obj.volumes.length === opts.limits.volumes) {
                throw new MaxLengthError('Decode error - map field "volumes" had too many elements')
              }

              if (obj.volumes.length === 128) {
                throw new MaxLengthError('Decode error - repeated field "volumes" had too many elements')
              }

              obj.volumes.push(VolumeNews.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.volumes$ ?? {}
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

  export const encode = (obj: Partial<HeatNews>): Uint8Array => {
    return encodeMessage(obj, HeatNews.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<HeatNews>): HeatNews => {
    return decodeMessage(buf, HeatNews.codec(), opts)
  }
}

export interface Coordinate {
  position: number[]
  heightMs: number
  error: number
}

export namespace Coordinate {
  let _codec: Codec<Coordinate>

  export const codec = (): Codec<Coordinate> => {
    if (_codec == null) {
      _codec = message<Coordinate>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.position != null) {
          for (const value of obj.position) {
            w.uint32(13)
            w.float(value)
          }
        }

        if ((obj.heightMs != null && obj.heightMs !== 0)) {
          w.uint32(21)
          w.float(obj.heightMs)
        }

        if ((obj.error != null && obj.error !== 0)) {
          w.uint32(29)
          w.float(obj.error)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          position: [],
          heightMs: 0,
          error: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.position != null && obj.position.length === opts.limits.position) {
                throw new MaxLengthError('Decode error - map field "position" had too many elements')
              }

              if (obj.position.length === 2) {
                throw new MaxLengthError('Decode error - repeated field "position" had too many elements')
              }

              obj.position.push(reader.float())
              break
            }
            case 2: {
              obj.heightMs = reader.float()
              break
            }
            case 3: {
              obj.error = reader.float()
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

  export const encode = (obj: Partial<Coordinate>): Uint8Array => {
    return encodeMessage(obj, Coordinate.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Coordinate>): Coordinate => {
    return decodeMessage(buf, Coordinate.codec(), opts)
  }
}

export interface RoundTrip {
  node: Uint8Array
  microseconds: number
}

export namespace RoundTrip {
  let _codec: Codec<RoundTrip>

  export const codec = (): Codec<RoundTrip> => {
    if (_codec == null) {
      _codec = message<RoundTrip>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.node != null && obj.node.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.node)
        }

        if ((obj.microseconds != null && obj.microseconds !== 0)) {
          w.uint32(16)
          w.uint32(obj.microseconds)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          node: uint8ArrayAlloc(0),
          microseconds: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.node = reader.bytes()
              break
            }
            case 2: {
              obj.microseconds = reader.uint32()
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

  export const encode = (obj: Partial<RoundTrip>): Uint8Array => {
    return encodeMessage(obj, RoundTrip.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RoundTrip>): RoundTrip => {
    return decodeMessage(buf, RoundTrip.codec(), opts)
  }
}

export interface VolumeNews {
  volume: Uint8Array
  ranges: RangeNews[]
}

export namespace VolumeNews {
  let _codec: Codec<VolumeNews>

  export const codec = (): Codec<VolumeNews> => {
    if (_codec == null) {
      _codec = message<VolumeNews>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.volume != null && obj.volume.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.volume)
        }

        if (obj.ranges != null) {
          for (const value of obj.ranges) {
            w.uint32(18)
            RangeNews.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          volume: uint8ArrayAlloc(0),
          ranges: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.volume = reader.bytes()
              break
            }
            case 2: {
              if (opts.limits?.ranges != null && obj.ranges.length === opts.limits.ranges) {
                throw new MaxLengthError('Decode error - map field "ranges" had too many elements')
              }

              if (obj.ranges.length === 128) {
                throw new MaxLengthError('Decode error - repeated field "ranges" had too many elements')
              }

              obj.ranges.push(RangeNews.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ranges$ ?? {}
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

  export const encode = (obj: Partial<VolumeNews>): Uint8Array => {
    return encodeMessage(obj, VolumeNews.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<VolumeNews>): VolumeNews => {
    return decodeMessage(buf, VolumeNews.codec(), opts)
  }
}

export interface RangeNews {
  start: number
  blocks: number
  writes: number
  reads: number
  lastWrite: bigint
  latencyMicroseconds: number
}

export namespace RangeNews {
  let _codec: Codec<RangeNews>

  export const codec = (): Codec<RangeNews> => {
    if (_codec == null) {
      _codec = message<RangeNews>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.start != null && obj.start !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.start)
        }

        if ((obj.blocks != null && obj.blocks !== 0)) {
          w.uint32(16)
          w.uint32(obj.blocks)
        }

        if ((obj.writes != null && obj.writes !== 0)) {
          w.uint32(24)
          w.uint32(obj.writes)
        }

        if ((obj.reads != null && obj.reads !== 0)) {
          w.uint32(32)
          w.uint32(obj.reads)
        }

        if ((obj.lastWrite != null && obj.lastWrite !== 0n)) {
          w.uint32(41)
          w.fixed64(obj.lastWrite)
        }

        if ((obj.latencyMicroseconds != null && obj.latencyMicroseconds !== 0)) {
          w.uint32(48)
          w.uint32(obj.latencyMicroseconds)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: 0,
          blocks: 0,
          writes: 0,
          reads: 0,
          lastWrite: 0n,
          latencyMicroseconds: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.start = reader.uint64Number()
              break
            }
            case 2: {
              obj.blocks = reader.uint32()
              break
            }
            case 3: {
              obj.writes = reader.uint32()
              break
            }
            case 4: {
              obj.reads = reader.uint32()
              break
            }
            case 5: {
              obj.lastWrite = reader.fixed64()
              break
            }
            case 6: {
              obj.latencyMicroseconds = reader.uint32()
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

  export const encode = (obj: Partial<RangeNews>): Uint8Array => {
    return encodeMessage(obj, RangeNews.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RangeNews>): RangeNews => {
    return decodeMessage(buf, RangeNews.codec(), opts)
  }
}
