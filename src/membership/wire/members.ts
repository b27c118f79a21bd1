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

export interface MembersGossip {
  announcement?: Announcement
  certificate?: Uint8Array
  beat?: Beat
  revocation?: Uint8Array
}

export namespace MembersGossip {
  let _codec: Codec<MembersGossip>

  export const codec = (): Codec<MembersGossip> => {
    if (_codec == null) {
      _codec = message<MembersGossip>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.announcement != null) {
          w.uint32(10)
          Announcement.codec().encode(obj.announcement, w)
        }

        if (obj.certificate != null) {
          w.uint32(18)
          w.bytes(obj.certificate)
        }

        if (obj.beat != null) {
          w.uint32(26)
          Beat.codec().encode(obj.beat, w)
        }

        if (obj.revocation != null) {
          w.uint32(34)
          w.bytes(obj.revocation)
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
              obj.announcement = Announcement.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.announcement ?? {}
              })
              break
            }
            case 2: {
              obj.certificate = reader.bytes()
              break
            }
            case 3: {
              obj.beat = Beat.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.beat ?? {}
              })
              break
            }
            case 4: {
              obj.revocation = reader.bytes()
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

  export const encode = (obj: Partial<MembersGossip>): Uint8Array => {
    return encodeMessage(obj, MembersGossip.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<MembersGossip>): MembersGossip => {
    return decodeMessage(buf, MembersGossip.codec(), opts)
  }
}

export interface Announcement {
  body: Uint8Array
  signature: Uint8Array
}

export namespace Announcement {
  let _codec: Codec<Announcement>

  export const codec = (): Codec<Announcement> => {
    if (_codec == null) {
      _codec = message<Announcement>((obj, w, opts = {}) => {
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

  export const encode = (obj: Partial<Announcement>): Uint8Array => {
    return encodeMessage(obj, Announcement.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Announcement>): Announcement => {
    return decodeMessage(buf, Announcement.codec(), opts)
  }
}

export interface AnnouncementBody {
  mesh: Uint8Array
  peer: Uint8Array
  startId: Uint8Array
  madeMs: number
  name: string
  region: string
  segment: string
  power: number
  version: string
  addresses: string[]
}

export namespace AnnouncementBody {
  let _codec: Codec<AnnouncementBody>

  export const codec = (): Codec<AnnouncementBody> => {
    if (_codec == null) {
      _codec = message<AnnouncementBody>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.mesh != null && obj.mesh.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.mesh)
        }

        if ((obj.peer != null && obj.peer.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.peer)
        }

        if ((obj.startId != null && obj.startId.byteLength > 0)) {
          w.uint32(26)
          w.bytes(obj.startId)
        }

        if ((obj.madeMs != null && obj.madeMs !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.madeMs)
        }

        if ((obj.name != null && obj.name !== '')) {
          w.uint32(42)
          w.string(obj.name)
        }

        if ((obj.region != null && obj.region !== '')) {
          w.uint32(50)
          w.string(obj.region)
        }

        if ((obj.segment != null && obj.segment !== '')) {
          w.uint32(58)
          w.string(obj.segment)
        }

        if ((obj.power != null && obj.power !== 0)) {
          w.uint32(64)
          w.uint32(obj.power)
        }

        if ((obj.version != null && obj.version !== '')) {
          w.uint32(74)
          w.string(obj.version)
        }

        if (obj.addresses != null) {
          for (const value of obj.addresses) {
            w.uint32(82)
            w.string(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          mesh: uint8ArrayAlloc(0),
          peer: uint8ArrayAlloc(0),
          startId: uint8ArrayAlloc(0),
          madeMs: 0,
          name: '',
          region: '',
          segment: '',
          power: 0,
          version: '',
          addresses: []
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
              obj.peer = reader.bytes()
              break
            }
            case 3: {
              obj.startId = reader.bytes()
              break
            }
            case 4: {
              obj.madeMs = reader.uint64Number()
              break
            }
            case 5: {
              obj.name = reader.string()
              break
            }
            case 6: {
              obj.region = reader.string()
              break
            }
            case 7: {
              obj.segment = reader.string()
              break
            }
            case 8: {
              obj.power = reader.uint32()
              break
            }
            case 9: {
              obj.version = reader.string()
              break
            }
            case 10: {
              if (opts.limits?.addresses != null && obj.addresses.length === opts.limits.addresses) {
                throw new MaxLengthError('Decode error - map field "addresses" had too many elements')
              }

              if (obj.addresses.length === 16) {
                throw new MaxLengthError('Decode error - repeated field "addresses" had too many elements')
              }

              obj.addresses.push(reader.string())
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

  export const encode = (obj: Partial<AnnouncementBody>): Uint8Array => {
    return encodeMessage(obj, AnnouncementBody.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<AnnouncementBody>): AnnouncementBody => {
    return decodeMessage(buf, AnnouncementBody.codec(), opts)
  }
}

export interface Beat {
  startId: Uint8Array
  announcedMs: number
  count: number
}

export namespace Beat {
  let _codec: Codec<Beat>

  export const codec = (): Codec<Beat> => {
    if (_codec == null) {
      _codec = message<Beat>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.startId != null && obj.startId.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.startId)
        }

        if ((obj.announcedMs != null && obj.announcedMs !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.announcedMs)
        }

        if ((obj.count != null && obj.count !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.count)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          startId: uint8ArrayAlloc(0),
          announcedMs: 0,
          count: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.startId = reader.bytes()
              break
            }
            case 2: {
              obj.announcedMs = reader.uint64Number()
              break
            }
            case 3: {
              obj.count = reader.uint64Number()
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

  export const encode = (obj: Partial<Beat>): Uint8Array => {
    return encodeMessage(obj, Beat.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Beat>): Beat => {
    return decodeMessage(buf, Beat.codec(), opts)
  }
}

export interface Sync {
  digest?: Uint8Array
  revocations: Uint8Array[]
  records: Uint8Array[]
  announcements: Announcement[]
  wants?: Uint8Array
  more: boolean
  genesis?: Uint8Array
}

export namespace Sync {
  let _codec: Codec<Sync>

  export const codec = (): Codec<Sync> => {
    if (_codec == null) {
      _codec = message<Sync>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.digest != null) {
          w.uint32(10)
          w.bytes(obj.digest)
        }

        if (obj.revocations != null) {
          for (const value of obj.revocations) {
            w.uint32(18)
            w.bytes(value)
          }
        }

        if (obj.records != null) {
          for (const value of obj.records) {
            w.uint32(26)
            w.bytes(value)
          }
        }

        if (obj.announcements != null) {
          for (const value of obj.announcements) {
            w.uint32(34)
            Announcement.codec().encode(value, w)
          }
        }

        if (obj.wants != null) {
          w.uint32(42)
          w.bytes(obj.wants)
        }

        if ((obj.more != null && obj.more !== false)) {
          w.uint32(48)
          w.bool(obj.more)
        }

        if (obj.genesis != null) {
          w.uint32(58)
          w.bytes(obj.genesis)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          revocations: [],
          records: [],
          announcements: [],
          more: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.digest = reader.bytes()
              break
            }
            case 2: {
              if (opts.limits?.revocations != null && obj.revocations.length === opts.limits.revocations) {
                throw new MaxLengthError('Decode error - map field "revocations" had too many elements')
              }

              if (obj.revocations.length === 4096) {
                throw new MaxLengthError('Decode error - repeated field "revocations" had too many elements')
              }

              obj.revocations.push(reader.bytes())
              break
            }
            case 3: {
              if (opts.limits?.records != null && obj.records.length === opts.limits.records) {
                throw new MaxLengthError('Decode error - map field "records" had too many elements')
              }

              if (obj.records.length === 4096) {
                throw new MaxLengthError('Decode error - repeated field "records" had too many elements')
              }

              obj.records.push(reader.bytes())
              break
            }
            case 4: {
              if (opts.limits?.announcements != null && obj.announcements.length === opts.limits.announcements) {
                throw new MaxLengthError('Decode error - map field "announcements" had too many elements')
              }

              if (obj.announcements.length === 4096) {
                throw new MaxLengthError('Decode error - repeated field "announcements" had too many elements')
              }

              obj.announcements.push(Announcement.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.announcements$ ?? {}
              }))
              break
            }
            case 5: {
              obj.wants = reader.bytes()
              break
            }
            case 6: {
              obj.more = reader.bool()
              break
            }
            case 7: {
              obj.genesis = reader.bytes()
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

  export const encode = (obj: Partial<Sync>): Uint8Array => {
    return encodeMessage(obj, Sync.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Sync>): Sync => {
    return decodeMessage(buf, Sync.codec(), opts)
  }
}

export interface StoredMember {
  record: Uint8Array
  metMs?: number
  announcement?: Announcement
  lastSeenMs: number
  state: number
  days: StoredDay[]
}

export namespace StoredMember {
  let _codec: Codec<StoredMember>

  export const codec = (): Codec<StoredMember> => {
    if (_codec == null) {
      _codec = message<StoredMember>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.record != null && obj.record.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.record)
        }

        if (obj.metMs != null) {
          w.uint32(16)
          w.uint64Number(obj.metMs)
        }

        if (obj.announcement != null) {
          w.uint32(26)
          Announcement.codec().encode(obj.announcement, w)
        }

        if ((obj.lastSeenMs != null && obj.lastSeenMs !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.lastSeenMs)
        }

        if ((obj.state != null && obj.state !== 0)) {
          w.uint32(40)
          w.uint32(obj.state)
        }

        if (obj.days != null) {
          for (const value of obj.days) {
            w.uint32(50)
            StoredDay.codec().encode(value, w)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          record: uint8ArrayAlloc(0),
          lastSeenMs: 0,
          state: 0,
          days: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.record = reader.bytes()
              break
            }
            case 2: {
              obj.metMs = reader.uint64Number()
              break
            }
            case 3: {
              obj.announcement = Announcement.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.announcement ?? {}
              })
              break
            }
            case 4: {
              obj.lastSeenMs = reader.uint64Number()
              break
            }
            case 5: {
              obj.state = reader.uint32()
              break
            }
            case 6: {
              if (opts.limits?.days != null && obj.days.length === opts.limits.days) {
                throw new MaxLengthError('Decode error - map field "days" had too many elements')
              }

              if (obj.days.length === 64) {
                throw new MaxLengthError('Decode error - repeated field "days" had too many elements')
              }

              obj.days.push(StoredDay.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.days$ ?? {}
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

  export const encode = (obj: Partial<StoredMember>): Uint8Array => {
    return encodeMessage(obj, StoredMember.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StoredMember>): StoredMember => {
    return decodeMessage(buf, StoredMember.codec(), opts)
  }
}

export interface StoredDay {
  day: number
  observedMs: number
  upMs: number
}

export namespace StoredDay {
  let _codec: Codec<StoredDay>

  export const codec = (): Codec<StoredDay> => {
    if (_codec == null) {
      _codec = message<StoredDay>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.day != null && obj.day !== 0)) {
          w.uint32(8)
          w.uint32(obj.day)
        }

        if ((obj.observedMs != null && obj.observedMs !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.observedMs)
        }

        if ((obj.upMs != null && obj.upMs !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.upMs)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          day: 0,
          observedMs: 0,
          upMs: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.day = reader.uint32()
              break
            }
            case 2: {
              obj.observedMs = reader.uint64Number()
              break
            }
            case 3: {
              obj.upMs = reader.uint64Number()
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

  export const encode = (obj: Partial<StoredDay>): Uint8Array => {
    return encodeMessage(obj, StoredDay.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StoredDay>): StoredDay => {
    return decodeMessage(buf, StoredDay.codec(), opts)
  }
}

export interface StoredMesh {
  mesh: Uint8Array
  bootstrap: string[]
  genesis?: Uint8Array
}

export namespace StoredMesh {
  let _codec: Codec<StoredMesh>

  export const codec = (): Codec<StoredMesh> => {
    if (_codec == null) {
      _codec = message<StoredMesh>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.mesh != null && obj.mesh.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.mesh)
        }

        if (obj.bootstrap != null) {
          for (const value of obj.bootstrap) {
            w.uint32(18)
            w.string(value)
          }
        }

        if (obj.genesis != null) {
          w.uint32(26)
          w.bytes(obj.genesis)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          mesh: uint8ArrayAlloc(0),
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
              if (opts.limits?.bootstrap != null && obj.bootstrap.length === opts.limits.bootstrap) {
                throw new MaxLengthError('Decode error - map field "bootstrap" had too many elements')
              }

              if (obj.bootstrap.length === 64) {
                throw new MaxLengthError('Decode error - repeated field "bootstrap" had too many elements')
              }

              obj.bootstrap.push(reader.string())
              break
            }
            case 3: {
              obj.genesis = reader.bytes()
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

  export const encode = (obj: Partial<StoredMesh>): Uint8Array => {
    return encodeMessage(obj, StoredMesh.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StoredMesh>): StoredMesh => {
    return decodeMessage(buf, StoredMesh.codec(), opts)
  }
}
