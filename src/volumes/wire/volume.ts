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

export interface Session {
  node: string
  incarnation: Uint8Array
  epoch: number
}

export namespace Session {
  let _codec: Codec<Session>

  export const codec = (): Codec<Session> => {
    if (_codec == null) {
      _codec = message<Session>((obj, w, opts = {}) => {
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

  export const encode = (obj: Partial<Session>): Uint8Array => {
    return encodeMessage(obj, Session.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Session>): Session => {
    return decodeMessage(buf, Session.codec(), opts)
  }
}

export interface SegmentValue {
  version: number
  token: number
  configuration: number
  replicas: string[]
  joining: string[]
  sessions: Session[]
  ranges: HeldRange[]
  cuts: Position[]
  cutsForgotten: number
}

export namespace SegmentValue {
  let _codec: Codec<SegmentValue>

  export const codec = (): Codec<SegmentValue> => {
    if (_codec == null) {
      _codec = message<SegmentValue>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.version != null && obj.version !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.version)
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.token)
        }

        if ((obj.configuration != null && obj.configuration !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.configuration)
        }

        if (obj.replicas != null) {
          for (const value of obj.replicas) {
            w.uint32(34)
            w.string(value)
          }
        }

        if (obj.joining != null) {
          for (const value of obj.joining) {
            w.uint32(42)
            w.string(value)
          }
        }

        if (obj.sessions != null) {
          for (const value of obj.sessions) {
            w.uint32(50)
            Session.codec().encode(value, w)
          }
        }

        if (obj.ranges != null) {
          for (const value of obj.ranges) {
            w.uint32(58)
            HeldRange.codec().encode(value, w)
          }
        }

        if (obj.cuts != null) {
          for (const value of obj.cuts) {
            w.uint32(66)
            Position.codec().encode(value, w)
          }
        }

        if ((obj.cutsForgotten != null && obj.cutsForgotten !== 0)) {
          w.uint32(72)
          w.uint64Number(obj.cutsForgotten)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          version: 0,
          token: 0,
          configuration: 0,
          replicas: [],
          joining: [],
          sessions: [],
          ranges: [],
          cuts: [],
          cutsForgotten: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.version = reader.uint64Number()
              break
            }
            case 2: {
              obj.token = reader.uint64Number()
              break
            }
            case 3: {
              obj.configuration = reader.uint64Number()
              break
            }
            case 4: {
              if (opts.limits?.replicas != null && obj.replicas.length === opts.limits.replicas) {
                throw new MaxLengthError('Decode error - map field "replicas" had too many elements')
              }

              obj.replicas.push(reader.string())
              break
            }
            case 5: {
              if (opts.limits?.joining != null && obj.joining.length === opts.limits.joining) {
                throw new MaxLengthError('Decode error - map field "joining" had too many elements')
              }

              obj.joining.push(reader.string())
              break
            }
            case 6: {
              if (opts.limits?.sessions != null && obj.sessions.length === opts.limits.sessions) {
                throw new MaxLengthError('Decode error - map field "sessions" had too many elements')
              }

              obj.sessions.push(Session.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.sessions$ ?? {}
              }))
              break
            }
            case 7: {
              if (opts.limits?.ranges != null && obj.ranges.length === opts.limits.ranges) {
                throw new MaxLengthError('Decode error - map field "ranges" had too many elements')
              }

              obj.ranges.push(HeldRange.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ranges$ ?? {}
              }))
              break
            }
            case 8: {
              if (opts.limits?.cuts != null && obj.cuts.length === opts.limits.cuts) {
                throw new MaxLengthError('Decode error - map field "cuts" had too many elements')
              }

              obj.cuts.push(Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.cuts$ ?? {}
              }))
              break
            }
            case 9: {
              obj.cutsForgotten = reader.uint64Number()
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

  export const encode = (obj: Partial<SegmentValue>): Uint8Array => {
    return encodeMessage(obj, SegmentValue.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<SegmentValue>): SegmentValue => {
    return decodeMessage(buf, SegmentValue.codec(), opts)
  }
}

export interface HeldRange {
  start: number
  blocks: number
  session: number
  token: number
  unsettled: number[]
}

export namespace HeldRange {
  let _codec: Codec<HeldRange>

  export const codec = (): Codec<HeldRange> => {
    if (_codec == null) {
      _codec = message<HeldRange>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.start != null && obj.start !== 0)) {
          w.uint32(8)
          w.uint32(obj.start)
        }

        if ((obj.blocks != null && obj.blocks !== 0)) {
          w.uint32(16)
          w.uint32(obj.blocks)
        }

        if ((obj.session != null && obj.session !== 0)) {
          w.uint32(24)
          w.uint32(obj.session)
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.token)
        }

        if (obj.unsettled != null) {
          for (const value of obj.unsettled) {
            w.uint32(40)
            w.uint64Number(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: 0,
          blocks: 0,
          session: 0,
          token: 0,
          unsettled: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.start = reader.uint32()
              break
            }
            case 2: {
              obj.blocks = reader.uint32()
              break
            }
            case 3: {
              obj.session = reader.uint32()
              break
            }
            case 4: {
              obj.token = reader.uint64Number()
              break
            }
            case 5: {
              if (opts.limits?.unsettled != null && obj.unsettled.length === opts.limits.unsettled) {
                throw new MaxLengthError('Decode error - map field "unsettled" had too many elements')
              }

              obj.unsettled.push(reader.uint64Number())
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

  export const encode = (obj: Partial<HeldRange>): Uint8Array => {
    return encodeMessage(obj, HeldRange.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<HeldRange>): HeldRange => {
    return decodeMessage(buf, HeldRange.codec(), opts)
  }
}

export interface Position {
  token: number
  sequence: number
}

export namespace Position {
  let _codec: Codec<Position>

  export const codec = (): Codec<Position> => {
    if (_codec == null) {
      _codec = message<Position>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.token)
        }

        if ((obj.sequence != null && obj.sequence !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.sequence)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          token: 0,
          sequence: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.token = reader.uint64Number()
              break
            }
            case 2: {
              obj.sequence = reader.uint64Number()
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

  export const encode = (obj: Partial<Position>): Uint8Array => {
    return encodeMessage(obj, Position.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Position>): Position => {
    return decodeMessage(buf, Position.codec(), opts)
  }
}

export interface Segment {
  volume: Uint8Array
  number: number
}

export namespace Segment {
  let _codec: Codec<Segment>

  export const codec = (): Codec<Segment> => {
    if (_codec == null) {
      _codec = message<Segment>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.volume != null && obj.volume.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.volume)
        }

        if ((obj.number != null && obj.number !== 0)) {
          w.uint32(16)
          w.uint32(obj.number)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          volume: uint8ArrayAlloc(0),
          number: 0
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
              obj.number = reader.uint32()
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

  export const encode = (obj: Partial<Segment>): Uint8Array => {
    return encodeMessage(obj, Segment.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Segment>): Segment => {
    return decodeMessage(buf, Segment.codec(), opts)
  }
}

export enum Content {
  UNKNOWN = 'UNKNOWN',
  DATA = 'DATA',
  ZEROES = 'ZEROES',
  HOLE = 'HOLE'
}

enum __ContentValues {
  UNKNOWN = 0,
  DATA = 1,
  ZEROES = 2,
  HOLE = 3
}

export namespace Content {
  export const codec = (): Codec<Content> => {
    return enumeration<Content>(__ContentValues)
  }
}

export interface Origin {
  client: Uint8Array
  sequence: number
}

export namespace Origin {
  let _codec: Codec<Origin>

  export const codec = (): Codec<Origin> => {
    if (_codec == null) {
      _codec = message<Origin>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.client != null && obj.client.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.client)
        }

        if ((obj.sequence != null && obj.sequence !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.sequence)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          client: uint8ArrayAlloc(0),
          sequence: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.client = reader.bytes()
              break
            }
            case 2: {
              obj.sequence = reader.uint64Number()
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

  export const encode = (obj: Partial<Origin>): Uint8Array => {
    return encodeMessage(obj, Origin.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Origin>): Origin => {
    return decodeMessage(buf, Origin.codec(), opts)
  }
}

export interface Entry {
  start: number
  blocks: number
  sequence: number
  content: Content
  bytes: Uint8Array
  origin?: Origin
}

export namespace Entry {
  let _codec: Codec<Entry>

  export const codec = (): Codec<Entry> => {
    if (_codec == null) {
      _codec = message<Entry>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.start != null && obj.start !== 0)) {
          w.uint32(8)
          w.uint32(obj.start)
        }

        if ((obj.blocks != null && obj.blocks !== 0)) {
          w.uint32(16)
          w.uint32(obj.blocks)
        }

        if ((obj.sequence != null && obj.sequence !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.sequence)
        }

        if (obj.content != null && __ContentValues[obj.content] !== 0) {
          w.uint32(32)
          Content.codec().encode(obj.content, w)
        }

        if ((obj.bytes != null && obj.bytes.byteLength > 0)) {
          w.uint32(42)
          w.bytes(obj.bytes)
        }

        if (obj.origin != null) {
          w.uint32(50)
          Origin.codec().encode(obj.origin, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: 0,
          blocks: 0,
          sequence: 0,
          content: Content.UNKNOWN,
          bytes: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.start = reader.uint32()
              break
            }
            case 2: {
              obj.blocks = reader.uint32()
              break
            }
            case 3: {
              obj.sequence = reader.uint64Number()
              break
            }
            case 4: {
              obj.content = Content.codec().decode(reader)
              break
            }
            case 5: {
              obj.bytes = reader.bytes()
              break
            }
            case 6: {
              obj.origin = Origin.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.origin ?? {}
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

  export const encode = (obj: Partial<Entry>): Uint8Array => {
    return encodeMessage(obj, Entry.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Entry>): Entry => {
    return decodeMessage(buf, Entry.codec(), opts)
  }
}

export interface AppliedOrigin {
  origin?: Origin
  start: number
  blocks: number
  version?: Position
}

export namespace AppliedOrigin {
  let _codec: Codec<AppliedOrigin>

  export const codec = (): Codec<AppliedOrigin> => {
    if (_codec == null) {
      _codec = message<AppliedOrigin>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.origin != null) {
          w.uint32(10)
          Origin.codec().encode(obj.origin, w)
        }

        if ((obj.start != null && obj.start !== 0)) {
          w.uint32(16)
          w.uint32(obj.start)
        }

        if ((obj.blocks != null && obj.blocks !== 0)) {
          w.uint32(24)
          w.uint32(obj.blocks)
        }

        if (obj.version != null) {
          w.uint32(34)
          Position.codec().encode(obj.version, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: 0,
          blocks: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.origin = Origin.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.origin ?? {}
              })
              break
            }
            case 2: {
              obj.start = reader.uint32()
              break
            }
            case 3: {
              obj.blocks = reader.uint32()
              break
            }
            case 4: {
              obj.version = Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.version ?? {}
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

  export const encode = (obj: Partial<AppliedOrigin>): Uint8Array => {
    return encodeMessage(obj, AppliedOrigin.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<AppliedOrigin>): AppliedOrigin => {
    return decodeMessage(buf, AppliedOrigin.codec(), opts)
  }
}

export interface Run {
  start: number
  blocks: number
  content: Content
  version?: Position
  bytes: Uint8Array
}

export namespace Run {
  let _codec: Codec<Run>

  export const codec = (): Codec<Run> => {
    if (_codec == null) {
      _codec = message<Run>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.start != null && obj.start !== 0)) {
          w.uint32(8)
          w.uint32(obj.start)
        }

        if ((obj.blocks != null && obj.blocks !== 0)) {
          w.uint32(16)
          w.uint32(obj.blocks)
        }

        if (obj.content != null && __ContentValues[obj.content] !== 0) {
          w.uint32(24)
          Content.codec().encode(obj.content, w)
        }

        if (obj.version != null) {
          w.uint32(34)
          Position.codec().encode(obj.version, w)
        }

        if ((obj.bytes != null && obj.bytes.byteLength > 0)) {
          w.uint32(42)
          w.bytes(obj.bytes)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: 0,
          blocks: 0,
          content: Content.UNKNOWN,
          bytes: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.start = reader.uint32()
              break
            }
            case 2: {
              obj.blocks = reader.uint32()
              break
            }
            case 3: {
              obj.content = Content.codec().decode(reader)
              break
            }
            case 4: {
              obj.version = Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.version ?? {}
              })
              break
            }
            case 5: {
              obj.bytes = reader.bytes()
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

  export const encode = (obj: Partial<Run>): Uint8Array => {
    return encodeMessage(obj, Run.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Run>): Run => {
    return decodeMessage(buf, Run.codec(), opts)
  }
}

export interface BlockRange {
  start: number
  blocks: number
}

export namespace BlockRange {
  let _codec: Codec<BlockRange>

  export const codec = (): Codec<BlockRange> => {
    if (_codec == null) {
      _codec = message<BlockRange>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.start != null && obj.start !== 0)) {
          w.uint32(8)
          w.uint32(obj.start)
        }

        if ((obj.blocks != null && obj.blocks !== 0)) {
          w.uint32(16)
          w.uint32(obj.blocks)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          start: 0,
          blocks: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.start = reader.uint32()
              break
            }
            case 2: {
              obj.blocks = reader.uint32()
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

  export const encode = (obj: Partial<BlockRange>): Uint8Array => {
    return encodeMessage(obj, BlockRange.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<BlockRange>): BlockRange => {
    return decodeMessage(buf, BlockRange.codec(), opts)
  }
}

export interface AppendRequest {
  segment?: Segment
  token: number
  configuration: number
  entries: Entry[]
  sync: boolean
  settled: number
}

export namespace AppendRequest {
  let _codec: Codec<AppendRequest>

  export const codec = (): Codec<AppendRequest> => {
    if (_codec == null) {
      _codec = message<AppendRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.segment != null) {
          w.uint32(10)
          Segment.codec().encode(obj.segment, w)
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.token)
        }

        if ((obj.configuration != null && obj.configuration !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.configuration)
        }

        if (obj.entries != null) {
          for (const value of obj.entries) {
            w.uint32(34)
            Entry.codec().encode(value, w)
          }
        }

        if ((obj.sync != null && obj.sync !== false)) {
          w.uint32(40)
          w.bool(obj.sync)
        }

        if ((obj.settled != null && obj.settled !== 0)) {
          w.uint32(48)
          w.uint64Number(obj.settled)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          token: 0,
          configuration: 0,
          entries: [],
          sync: false,
          settled: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.segment = Segment.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.segment ?? {}
              })
              break
            }
            case 2: {
              obj.token = reader.uint64Number()
              break
            }
            case 3: {
              obj.configuration = reader.uint64Number()
              break
            }
            case 4: {
              if (opts.limits?.entries != null && obj.entries.length === opts.limits.entries) {
                throw new MaxLengthError('Decode error - map field "entries" had too many elements')
              }

              obj.entries.push(Entry.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.entries$ ?? {}
              }))
              break
            }
            case 5: {
              obj.sync = reader.bool()
              break
            }
            case 6: {
              obj.settled = reader.uint64Number()
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

  export const encode = (obj: Partial<AppendRequest>): Uint8Array => {
    return encodeMessage(obj, AppendRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<AppendRequest>): AppendRequest => {
    return decodeMessage(buf, AppendRequest.codec(), opts)
  }
}

export interface AppendAnswer {
  end: number
  refusal?: Refusal
}

export namespace AppendAnswer {
  let _codec: Codec<AppendAnswer>

  export const codec = (): Codec<AppendAnswer> => {
    if (_codec == null) {
      _codec = message<AppendAnswer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.end != null && obj.end !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.end)
        }

        if (obj.refusal != null) {
          w.uint32(18)
          Refusal.codec().encode(obj.refusal, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          end: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.end = reader.uint64Number()
              break
            }
            case 2: {
              obj.refusal = Refusal.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.refusal ?? {}
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

  export const encode = (obj: Partial<AppendAnswer>): Uint8Array => {
    return encodeMessage(obj, AppendAnswer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<AppendAnswer>): AppendAnswer => {
    return decodeMessage(buf, AppendAnswer.codec(), opts)
  }
}

export interface StreamedAppend {
  number: number
  append?: AppendRequest
}

export namespace StreamedAppend {
  let _codec: Codec<StreamedAppend>

  export const codec = (): Codec<StreamedAppend> => {
    if (_codec == null) {
      _codec = message<StreamedAppend>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.number != null && obj.number !== 0)) {
          w.uint32(8)
          w.uint32(obj.number)
        }

        if (obj.append != null) {
          w.uint32(18)
          AppendRequest.codec().encode(obj.append, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          number: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.number = reader.uint32()
              break
            }
            case 2: {
              obj.append = AppendRequest.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.append ?? {}
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

  export const encode = (obj: Partial<StreamedAppend>): Uint8Array => {
    return encodeMessage(obj, StreamedAppend.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StreamedAppend>): StreamedAppend => {
    return decodeMessage(buf, StreamedAppend.codec(), opts)
  }
}

export interface StreamedAnswer {
  number: number
  answer?: AppendAnswer
}

export namespace StreamedAnswer {
  let _codec: Codec<StreamedAnswer>

  export const codec = (): Codec<StreamedAnswer> => {
    if (_codec == null) {
      _codec = message<StreamedAnswer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.number != null && obj.number !== 0)) {
          w.uint32(8)
          w.uint32(obj.number)
        }

        if (obj.answer != null) {
          w.uint32(18)
          AppendAnswer.codec().encode(obj.answer, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          number: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.number = reader.uint32()
              break
            }
            case 2: {
              obj.answer = AppendAnswer.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.answer ?? {}
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

  export const encode = (obj: Partial<StreamedAnswer>): Uint8Array => {
    return encodeMessage(obj, StreamedAnswer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StreamedAnswer>): StreamedAnswer => {
    return decodeMessage(buf, StreamedAnswer.codec(), opts)
  }
}

export enum Why {
  NOT_REFUSED = 'NOT_REFUSED',
  FENCED = 'FENCED',
  GAP = 'GAP',
  NOT_A_REPLICA = 'NOT_A_REPLICA',
  NOT_READY = 'NOT_READY',
  FULL = 'FULL'
}

enum __WhyValues {
  NOT_REFUSED = 0,
  FENCED = 1,
  GAP = 2,
  NOT_A_REPLICA = 3,
  NOT_READY = 4,
  FULL = 5
}

export namespace Why {
  export const codec = (): Codec<Why> => {
    return enumeration<Why>(__WhyValues)
  }
}

export interface Refusal {
  why: Why
  token: number
  configuration: number
}

export namespace Refusal {
  let _codec: Codec<Refusal>

  export const codec = (): Codec<Refusal> => {
    if (_codec == null) {
      _codec = message<Refusal>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.why != null && __WhyValues[obj.why] !== 0) {
          w.uint32(8)
          Why.codec().encode(obj.why, w)
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.token)
        }

        if ((obj.configuration != null && obj.configuration !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.configuration)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          why: Why.NOT_REFUSED,
          token: 0,
          configuration: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.why = Why.codec().decode(reader)
              break
            }
            case 2: {
              obj.token = reader.uint64Number()
              break
            }
            case 3: {
              obj.configuration = reader.uint64Number()
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

  export const encode = (obj: Partial<Refusal>): Uint8Array => {
    return encodeMessage(obj, Refusal.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Refusal>): Refusal => {
    return decodeMessage(buf, Refusal.codec(), opts)
  }
}

export interface FenceRequest {
  segment?: Segment
  ranges: FencedRange[]
  configuration: number
  cuts: Position[]
  create: boolean
}

export namespace FenceRequest {
  let _codec: Codec<FenceRequest>

  export const codec = (): Codec<FenceRequest> => {
    if (_codec == null) {
      _codec = message<FenceRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.segment != null) {
          w.uint32(10)
          Segment.codec().encode(obj.segment, w)
        }

        if (obj.ranges != null) {
          for (const value of obj.ranges) {
            w.uint32(18)
            FencedRange.codec().encode(value, w)
          }
        }

        if ((obj.configuration != null && obj.configuration !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.configuration)
        }

        if (obj.cuts != null) {
          for (const value of obj.cuts) {
            w.uint32(34)
            Position.codec().encode(value, w)
          }
        }

        if ((obj.create != null && obj.create !== false)) {
          w.uint32(40)
          w.bool(obj.create)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          ranges: [],
          configuration: 0,
          cuts: [],
          create: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.segment = Segment.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.segment ?? {}
              })
              break
            }
            case 2: {
              if (opts.limits?.ranges != null && obj.ranges.length === opts.limits.ranges) {
                throw new MaxLengthError('Decode error - map field "ranges" had too many elements')
              }

              obj.ranges.push(FencedRange.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ranges$ ?? {}
              }))
              break
            }
            case 3: {
              obj.configuration = reader.uint64Number()
              break
            }
            case 4: {
              if (opts.limits?.cuts != null && obj.cuts.length === opts.limits.cuts) {
                throw new MaxLengthError('Decode error - map field "cuts" had too many elements')
              }

              obj.cuts.push(Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.cuts$ ?? {}
              }))
              break
            }
            case 5: {
              obj.create = reader.bool()
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

  export const encode = (obj: Partial<FenceRequest>): Uint8Array => {
    return encodeMessage(obj, FenceRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<FenceRequest>): FenceRequest => {
    return decodeMessage(buf, FenceRequest.codec(), opts)
  }
}

export interface FencedRange {
  start: number
  blocks: number
  token: number
}

export namespace FencedRange {
  let _codec: Codec<FencedRange>

  export const codec = (): Codec<FencedRange> => {
    if (_codec == null) {
      _codec = message<FencedRange>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.start != null && obj.start !== 0)) {
          w.uint32(8)
          w.uint32(obj.start)
        }

        if ((obj.blocks != null && obj.blocks !== 0)) {
          w.uint32(16)
          w.uint32(obj.blocks)
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
          start: 0,
          blocks: 0,
          token: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.start = reader.uint32()
              break
            }
            case 2: {
              obj.blocks = reader.uint32()
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

  export const encode = (obj: Partial<FencedRange>): Uint8Array => {
    return encodeMessage(obj, FencedRange.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<FencedRange>): FencedRange => {
    return decodeMessage(buf, FencedRange.codec(), opts)
  }
}

export interface FenceAnswer {
  ends: Position[]
  refusal?: Refusal
}

export namespace FenceAnswer {
  let _codec: Codec<FenceAnswer>

  export const codec = (): Codec<FenceAnswer> => {
    if (_codec == null) {
      _codec = message<FenceAnswer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.ends != null) {
          for (const value of obj.ends) {
            w.uint32(10)
            Position.codec().encode(value, w)
          }
        }

        if (obj.refusal != null) {
          w.uint32(18)
          Refusal.codec().encode(obj.refusal, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          ends: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.ends != null && obj.ends.length === opts.limits.ends) {
                throw new MaxLengthError('Decode error - map field "ends" had too many elements')
              }

              obj.ends.push(Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ends$ ?? {}
              }))
              break
            }
            case 2: {
              obj.refusal = Refusal.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.refusal ?? {}
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

  export const encode = (obj: Partial<FenceAnswer>): Uint8Array => {
    return encodeMessage(obj, FenceAnswer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<FenceAnswer>): FenceAnswer => {
    return decodeMessage(buf, FenceAnswer.codec(), opts)
  }
}

export interface FetchRequest {
  segment?: Segment
  range?: BlockRange
  versions: boolean
  state: boolean
  stale: boolean
  tokens: number[]
}

export namespace FetchRequest {
  let _codec: Codec<FetchRequest>

  export const codec = (): Codec<FetchRequest> => {
    if (_codec == null) {
      _codec = message<FetchRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.segment != null) {
          w.uint32(10)
          Segment.codec().encode(obj.segment, w)
        }

        if (obj.range != null) {
          w.uint32(18)
          BlockRange.codec().encode(obj.range, w)
        }

        if ((obj.versions != null && obj.versions !== false)) {
          w.uint32(24)
          w.bool(obj.versions)
        }

        if ((obj.state != null && obj.state !== false)) {
          w.uint32(32)
          w.bool(obj.state)
        }

        if ((obj.stale != null && obj.stale !== false)) {
          w.uint32(40)
          w.bool(obj.stale)
        }

        if (obj.tokens != null) {
          for (const value of obj.tokens) {
            w.uint32(48)
            w.uint64Number(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          versions: false,
          state: false,
          stale: false,
          tokens: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.segment = Segment.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.segment ?? {}
              })
              break
            }
            case 2: {
              obj.range = BlockRange.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.range ?? {}
              })
              break
            }
            case 3: {
              obj.versions = reader.bool()
              break
            }
            case 4: {
              obj.state = reader.bool()
              break
            }
            case 5: {
              obj.stale = reader.bool()
              break
            }
            case 6: {
              if (opts.limits?.tokens != null && obj.tokens.length === opts.limits.tokens) {
                throw new MaxLengthError('Decode error - map field "tokens" had too many elements')
              }

              obj.tokens.push(reader.uint64Number())
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

  export const encode = (obj: Partial<FetchRequest>): Uint8Array => {
    return encodeMessage(obj, FetchRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<FetchRequest>): FetchRequest => {
    return decodeMessage(buf, FetchRequest.codec(), opts)
  }
}

export interface FetchAnswer {
  runs: Run[]
  ends: Position[]
  origins: AppliedOrigin[]
  refusal?: Refusal
}

export namespace FetchAnswer {
  let _codec: Codec<FetchAnswer>

  export const codec = (): Codec<FetchAnswer> => {
    if (_codec == null) {
      _codec = message<FetchAnswer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.runs != null) {
          for (const value of obj.runs) {
            w.uint32(10)
            Run.codec().encode(value, w)
          }
        }

        if (obj.ends != null) {
          for (const value of obj.ends) {
            w.uint32(18)
            Position.codec().encode(value, w)
          }
        }

        if (obj.origins != null) {
          for (const value of obj.origins) {
            w.uint32(26)
            AppliedOrigin.codec().encode(value, w)
          }
        }

        if (obj.refusal != null) {
          w.uint32(34)
          Refusal.codec().encode(obj.refusal, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          runs: [],
          ends: [],
          origins: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.runs != null && obj.runs.length === opts.limits.runs) {
                throw new MaxLengthError('Decode error - map field "runs" had too many elements')
              }

              obj.runs.push(Run.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.runs$ ?? {}
              }))
              break
            }
            case 2: {
              if (opts.limits?.ends != null && obj.ends.length === opts.limits.ends) {
                throw new MaxLengthError('Decode error - map field "ends" had too many elements')
              }

              obj.ends.push(Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ends$ ?? {}
              }))
              break
            }
            case 3: {
              if (opts.limits?.origins != null && obj.origins.length === opts.limits.origins) {
                throw new MaxLengthError('Decode error - map field "origins" had too many elements')
              }

              obj.origins.push(AppliedOrigin.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.origins$ ?? {}
              }))
              break
            }
            case 4: {
              obj.refusal = Refusal.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.refusal ?? {}
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

  export const encode = (obj: Partial<FetchAnswer>): Uint8Array => {
    return encodeMessage(obj, FetchAnswer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<FetchAnswer>): FetchAnswer => {
    return decodeMessage(buf, FetchAnswer.codec(), opts)
  }
}

export interface CopyRequest {
  segment?: Segment
  from: string
  value?: SegmentValue
  ranges: BlockRange[]
  cuts: Position[]
  join: boolean
}

export namespace CopyRequest {
  let _codec: Codec<CopyRequest>

  export const codec = (): Codec<CopyRequest> => {
    if (_codec == null) {
      _codec = message<CopyRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.segment != null) {
          w.uint32(10)
          Segment.codec().encode(obj.segment, w)
        }

        if ((obj.from != null && obj.from !== '')) {
          w.uint32(18)
          w.string(obj.from)
        }

        if (obj.value != null) {
          w.uint32(26)
          SegmentValue.codec().encode(obj.value, w)
        }

        if (obj.ranges != null) {
          for (const value of obj.ranges) {
            w.uint32(34)
            BlockRange.codec().encode(value, w)
          }
        }

        if (obj.cuts != null) {
          for (const value of obj.cuts) {
            w.uint32(42)
            Position.codec().encode(value, w)
          }
        }

        if ((obj.join != null && obj.join !== false)) {
          w.uint32(48)
          w.bool(obj.join)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          from: '',
          ranges: [],
          cuts: [],
          join: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.segment = Segment.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.segment ?? {}
              })
              break
            }
            case 2: {
              obj.from = reader.string()
              break
            }
            case 3: {
              obj.value = SegmentValue.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.value ?? {}
              })
              break
            }
            case 4: {
              if (opts.limits?.ranges != null && obj.ranges.length === opts.limits.ranges) {
                throw new MaxLengthError('Decode error - map field "ranges" had too many elements')
              }

              obj.ranges.push(BlockRange.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.ranges$ ?? {}
              }))
              break
            }
            case 5: {
              if (opts.limits?.cuts != null && obj.cuts.length === opts.limits.cuts) {
                throw new MaxLengthError('Decode error - map field "cuts" had too many elements')
              }

              obj.cuts.push(Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.cuts$ ?? {}
              }))
              break
            }
            case 6: {
              obj.join = reader.bool()
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

  export const encode = (obj: Partial<CopyRequest>): Uint8Array => {
    return encodeMessage(obj, CopyRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<CopyRequest>): CopyRequest => {
    return decodeMessage(buf, CopyRequest.codec(), opts)
  }
}

export interface CopyAnswer {
  done: boolean
  refusal?: Refusal
  ready: boolean
}

export namespace CopyAnswer {
  let _codec: Codec<CopyAnswer>

  export const codec = (): Codec<CopyAnswer> => {
    if (_codec == null) {
      _codec = message<CopyAnswer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.done != null && obj.done !== false)) {
          w.uint32(8)
          w.bool(obj.done)
        }

        if (obj.refusal != null) {
          w.uint32(18)
          Refusal.codec().encode(obj.refusal, w)
        }

        if ((obj.ready != null && obj.ready !== false)) {
          w.uint32(24)
          w.bool(obj.ready)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          done: false,
          ready: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.done = reader.bool()
              break
            }
            case 2: {
              obj.refusal = Refusal.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.refusal ?? {}
              })
              break
            }
            case 3: {
              obj.ready = reader.bool()
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

  export const encode = (obj: Partial<CopyAnswer>): Uint8Array => {
    return encodeMessage(obj, CopyAnswer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<CopyAnswer>): CopyAnswer => {
    return decodeMessage(buf, CopyAnswer.codec(), opts)
  }
}

export enum Verb {
  READ = 'READ',
  WRITE = 'WRITE',
  WRITE_ZEROES = 'WRITE_ZEROES',
  TRIM = 'TRIM',
  EXTENTS = 'EXTENTS',
  FLUSH = 'FLUSH'
}

enum __VerbValues {
  READ = 0,
  WRITE = 1,
  WRITE_ZEROES = 2,
  TRIM = 3,
  EXTENTS = 4,
  FLUSH = 5
}

export namespace Verb {
  export const codec = (): Codec<Verb> => {
    return enumeration<Verb>(__VerbValues)
  }
}

export interface AccessRequest {
  segment?: Segment
  client: Uint8Array
  operations: Operation[]
}

export namespace AccessRequest {
  let _codec: Codec<AccessRequest>

  export const codec = (): Codec<AccessRequest> => {
    if (_codec == null) {
      _codec = message<AccessRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.segment != null) {
          w.uint32(10)
          Segment.codec().encode(obj.segment, w)
        }

        if ((obj.client != null && obj.client.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.client)
        }

        if (obj.operations != null) {
          for (const value of obj.operations) {
            w.uint32(26)
            Operation.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          client: uint8ArrayAlloc(0),
          operations: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.segment = Segment.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.segment ?? {}
              })
              break
            }
            case 2: {
              obj.client = reader.bytes()
              break
            }
            case 3: {
              if (opts.limits?.operations != null && obj.operations.length === opts.limits.operations) {
                throw new MaxLengthError('Decode error - map field "operations" had too many elements')
              }

              obj.operations.push(Operation.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.operations$ ?? {}
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

  export const encode = (obj: Partial<AccessRequest>): Uint8Array => {
    return encodeMessage(obj, AccessRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<AccessRequest>): AccessRequest => {
    return decodeMessage(buf, AccessRequest.codec(), opts)
  }
}

export interface Operation {
  verb: Verb
  offset: number
  length: number
  bytes: Uint8Array
  sequence: number
  token: number
  latencyMs: number
}

export namespace Operation {
  let _codec: Codec<Operation>

  export const codec = (): Codec<Operation> => {
    if (_codec == null) {
      _codec = message<Operation>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.verb != null && __VerbValues[obj.verb] !== 0) {
          w.uint32(8)
          Verb.codec().encode(obj.verb, w)
        }

        if ((obj.offset != null && obj.offset !== 0)) {
          w.uint32(16)
          w.uint32(obj.offset)
        }

        if ((obj.length != null && obj.length !== 0)) {
          w.uint32(24)
          w.uint32(obj.length)
        }

        if ((obj.bytes != null && obj.bytes.byteLength > 0)) {
          w.uint32(34)
          w.bytes(obj.bytes)
        }

        if ((obj.sequence != null && obj.sequence !== 0)) {
          w.uint32(40)
          w.uint64Number(obj.sequence)
        }

        if ((obj.token != null && obj.token !== 0)) {
          w.uint32(48)
          w.uint64Number(obj.token)
        }

        if ((obj.latencyMs != null && obj.latencyMs !== 0)) {
          w.uint32(56)
          w.uint32(obj.latencyMs)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          verb: Verb.READ,
          offset: 0,
          length: 0,
          bytes: uint8ArrayAlloc(0),
          sequence: 0,
          token: 0,
          latencyMs: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.verb = Verb.codec().decode(reader)
              break
            }
            case 2: {
              obj.offset = reader.uint32()
              break
            }
            case 3: {
              obj.length = reader.uint32()
              break
            }
            case 4: {
              obj.bytes = reader.bytes()
              break
            }
            case 5: {
              obj.sequence = reader.uint64Number()
              break
            }
            case 6: {
              obj.token = reader.uint64Number()
              break
            }
            case 7: {
              obj.latencyMs = reader.uint32()
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

  export const encode = (obj: Partial<Operation>): Uint8Array => {
    return encodeMessage(obj, Operation.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Operation>): Operation => {
    return decodeMessage(buf, Operation.codec(), opts)
  }
}

export interface AccessAnswer {
  results: Result[]
  value?: SegmentValue
}

export namespace AccessAnswer {
  let _codec: Codec<AccessAnswer>

  export const codec = (): Codec<AccessAnswer> => {
    if (_codec == null) {
      _codec = message<AccessAnswer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.results != null) {
          for (const value of obj.results) {
            w.uint32(10)
            Result.codec().encode(value, w)
          }
        }

        if (obj.value != null) {
          w.uint32(18)
          SegmentValue.codec().encode(obj.value, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          results: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.results != null && obj.results.length === opts.limits.results) {
                throw new MaxLengthError('Decode error - map field "results" had too many elements')
              }

              obj.results.push(Result.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.results$ ?? {}
              }))
              break
            }
            case 2: {
              obj.value = SegmentValue.codec().decode(reader, reader.uint32(), {
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

  export const encode = (obj: Partial<AccessAnswer>): Uint8Array => {
    return encodeMessage(obj, AccessAnswer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<AccessAnswer>): AccessAnswer => {
    return decodeMessage(buf, AccessAnswer.codec(), opts)
  }
}

export enum Outcome {
  DONE = 'DONE',
  MOVED = 'MOVED',
  FAILED = 'FAILED',
  NO_SPACE = 'NO_SPACE'
}

enum __OutcomeValues {
  DONE = 0,
  MOVED = 1,
  FAILED = 2,
  NO_SPACE = 3
}

export namespace Outcome {
  export const codec = (): Codec<Outcome> => {
    return enumeration<Outcome>(__OutcomeValues)
  }
}

export interface Result {
  outcome: Outcome
  bytes: Uint8Array
  version?: Position
  runs: Run[]
  message: string
}

export namespace Result {
  let _codec: Codec<Result>

  export const codec = (): Codec<Result> => {
    if (_codec == null) {
      _codec = message<Result>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.outcome != null && __OutcomeValues[obj.outcome] !== 0) {
          w.uint32(8)
          Outcome.codec().encode(obj.outcome, w)
        }

        if ((obj.bytes != null && obj.bytes.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.bytes)
        }

        if (obj.version != null) {
          w.uint32(26)
          Position.codec().encode(obj.version, w)
        }

        if (obj.runs != null) {
          for (const value of obj.runs) {
            w.uint32(34)
            Run.codec().encode(value, w)
          }
        }

        if ((obj.message != null && obj.message !== '')) {
          w.uint32(42)
          w.string(obj.message)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          outcome: Outcome.DONE,
          bytes: uint8ArrayAlloc(0),
          runs: [],
          message: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.outcome = Outcome.codec().decode(reader)
              break
            }
            case 2: {
              obj.bytes = reader.bytes()
              break
            }
            case 3: {
              obj.version = Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.version ?? {}
              })
              break
            }
            case 4: {
              if (opts.limits?.runs != null && obj.runs.length === opts.limits.runs) {
                throw new MaxLengthError('Decode error - map field "runs" had too many elements')
              }

              obj.runs.push(Run.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.runs$ ?? {}
              }))
              break
            }
            case 5: {
              obj.message = reader.string()
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

  export const encode = (obj: Partial<Result>): Uint8Array => {
    return encodeMessage(obj, Result.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Result>): Result => {
    return decodeMessage(buf, Result.codec(), opts)
  }
}

export interface OfferRequest {
  segment?: Segment
  range?: BlockRange
  origins: AppliedOrigin[]
  blocks: Run[]
  from?: Position
}

export namespace OfferRequest {
  let _codec: Codec<OfferRequest>

  export const codec = (): Codec<OfferRequest> => {
    if (_codec == null) {
      _codec = message<OfferRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.segment != null) {
          w.uint32(10)
          Segment.codec().encode(obj.segment, w)
        }

        if (obj.range != null) {
          w.uint32(18)
          BlockRange.codec().encode(obj.range, w)
        }

        if (obj.origins != null) {
          for (const value of obj.origins) {
            w.uint32(26)
            AppliedOrigin.codec().encode(value, w)
          }
        }

        if (obj.blocks != null) {
          for (const value of obj.blocks) {
            w.uint32(34)
            Run.codec().encode(value, w)
          }
        }

        if (obj.from != null) {
          w.uint32(42)
          Position.codec().encode(obj.from, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          origins: [],
          blocks: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.segment = Segment.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.segment ?? {}
              })
              break
            }
            case 2: {
              obj.range = BlockRange.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.range ?? {}
              })
              break
            }
            case 3: {
              if (opts.limits?.origins != null && obj.origins.length === opts.limits.origins) {
                throw new MaxLengthError('Decode error - map field "origins" had too many elements')
              }

              obj.origins.push(AppliedOrigin.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.origins$ ?? {}
              }))
              break
            }
            case 4: {
              if (opts.limits?.blocks != null && obj.blocks.length === opts.limits.blocks) {
                throw new MaxLengthError('Decode error - map field "blocks" had too many elements')
              }

              obj.blocks.push(Run.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.blocks$ ?? {}
              }))
              break
            }
            case 5: {
              obj.from = Position.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.from ?? {}
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

  export const encode = (obj: Partial<OfferRequest>): Uint8Array => {
    return encodeMessage(obj, OfferRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<OfferRequest>): OfferRequest => {
    return decodeMessage(buf, OfferRequest.codec(), opts)
  }
}

export interface OfferAnswer {
  session?: Session
}

export namespace OfferAnswer {
  let _codec: Codec<OfferAnswer>

  export const codec = (): Codec<OfferAnswer> => {
    if (_codec == null) {
      _codec = message<OfferAnswer>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.session != null) {
          w.uint32(10)
          Session.codec().encode(obj.session, w)
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
              obj.session = Session.codec().decode(reader, reader.uint32(), {
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

  export const encode = (obj: Partial<OfferAnswer>): Uint8Array => {
    return encodeMessage(obj, OfferAnswer.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<OfferAnswer>): OfferAnswer => {
    return decodeMessage(buf, OfferAnswer.codec(), opts)
  }
}

export interface News {
  segment?: Segment
  value?: SegmentValue
}

export namespace News {
  let _codec: Codec<News>

  export const codec = (): Codec<News> => {
    if (_codec == null) {
      _codec = message<News>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.segment != null) {
          w.uint32(10)
          Segment.codec().encode(obj.segment, w)
        }

        if (obj.value != null) {
          w.uint32(18)
          SegmentValue.codec().encode(obj.value, w)
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
              obj.segment = Segment.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.segment ?? {}
              })
              break
            }
            case 2: {
              obj.value = SegmentValue.codec().decode(reader, reader.uint32(), {
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

  export const encode = (obj: Partial<News>): Uint8Array => {
    return encodeMessage(obj, News.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<News>): News => {
    return decodeMessage(buf, News.codec(), opts)
  }
}

export interface Nothing {}

export namespace Nothing {
  let _codec: Codec<Nothing>

  export const codec = (): Codec<Nothing> => {
    if (_codec == null) {
      _codec = message<Nothing>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
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

  export const encode = (obj: Partial<Nothing>): Uint8Array => {
    return encodeMessage(obj, Nothing.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Nothing>): Nothing => {
    return decodeMessage(buf, Nothing.codec(), opts)
  }
}
