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

export interface SignedRecord {
  body: Uint8Array
  signature: Uint8Array
  proof?: Uint8Array
}

export namespace SignedRecord {
  let _codec: Codec<SignedRecord>

  export const codec = (): Codec<SignedRecord> => {
    if (_codec == null) {
      _codec = message<SignedRecord>((obj, w, opts = {}) => {
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

        if (obj.proof != null) {
          w.uint32(26)
          w.bytes(obj.proof)
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
            case 3: {
              obj.proof = reader.bytes()
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

  export const encode = (obj: Partial<SignedRecord>): Uint8Array => {
    return encodeMessage(obj, SignedRecord.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<SignedRecord>): SignedRecord => {
    return decodeMessage(buf, SignedRecord.codec(), opts)
  }
}

export interface RecordBody {
  path: Uint8Array
  writer: Uint8Array
  owner?: Uint8Array
  modified: bigint
  token: bigint
  content?: RecordContent
  basisModified?: bigint
  basisWriter?: Uint8Array
  ownFrom: bigint
  lineage: RecordRun[]
  movedPath?: Uint8Array
  movedModified?: bigint
  movedWriter?: Uint8Array
}

export namespace RecordBody {
  let _codec: Codec<RecordBody>

  export const codec = (): Codec<RecordBody> => {
    if (_codec == null) {
      _codec = message<RecordBody>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.path != null && obj.path.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.path)
        }

        if ((obj.writer != null && obj.writer.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.writer)
        }

        if (obj.owner != null) {
          w.uint32(26)
          w.bytes(obj.owner)
        }

        if ((obj.modified != null && obj.modified !== 0n)) {
          w.uint32(33)
          w.fixed64(obj.modified)
        }

        if ((obj.token != null && obj.token !== 0n)) {
          w.uint32(41)
          w.fixed64(obj.token)
        }

        if (obj.content != null) {
          w.uint32(50)
          RecordContent.codec().encode(obj.content, w)
        }

        if (obj.basisModified != null) {
          w.uint32(57)
          w.fixed64(obj.basisModified)
        }

        if (obj.basisWriter != null) {
          w.uint32(66)
          w.bytes(obj.basisWriter)
        }

        if ((obj.ownFrom != null && obj.ownFrom !== 0n)) {
          w.uint32(73)
          w.fixed64(obj.ownFrom)
        }

        if (obj.lineage != null) {
          for (const value of obj.lineage) {
            w.uint32(82)
            RecordRun.codec().encode(value, w)
          }
        }

        if (obj.movedPath != null) {
          w.uint32(90)
          w.bytes(obj.movedPath)
        }

        if (obj.movedModified != null) {
          w.uint32(97)
          w.fixed64(obj.movedModified)
        }

        if (obj.movedWriter != null) {
          w.uint32(106)
          w.bytes(obj.movedWriter)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          path: uint8ArrayAlloc(0),
          writer: uint8ArrayAlloc(0),
          modified: 0n,
          token: 0n,
          ownFrom: 0n,
          lineage: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.path = reader.bytes()
              break
            }
            case 2: {
              obj.writer = reader.bytes()
              break
            }
            case 3: {
              obj.owner = reader.bytes()
              break
            }
            case 4: {
              obj.modified = reader.fixed64()
              break
            }
            case 5: {
              obj.token = reader.fixed64()
              break
            }
            case 6: {
              obj.content = RecordContent.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.content ?? {}
              })
              break
            }
            case 7: {
              obj.basisModified = reader.fixed64()
              break
            }
            case 8: {
              obj.basisWriter = reader.bytes()
              break
            }
            case 9: {
              obj.ownFrom = reader.fixed64()
              break
            }
            case 10: {
              if (opts.limits?.lineage != null && obj.lineage.length === opts.limits.lineage) {
                throw new MaxLengthError('Decode error - map field "lineage" had too many elements')
              }

              obj.lineage.push(RecordRun.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.lineage$ ?? {}
              }))
              break
            }
            case 11: {
              obj.movedPath = reader.bytes()
              break
            }
            case 12: {
              obj.movedModified = reader.fixed64()
              break
            }
            case 13: {
              obj.movedWriter = reader.bytes()
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

  export const encode = (obj: Partial<RecordBody>): Uint8Array => {
    return encodeMessage(obj, RecordBody.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RecordBody>): RecordBody => {
    return decodeMessage(buf, RecordBody.codec(), opts)
  }
}

export interface RecordContent {
  cid: Uint8Array
  size: bigint
  priority: number
  replicas: number
  pinned: boolean
}

export namespace RecordContent {
  let _codec: Codec<RecordContent>

  export const codec = (): Codec<RecordContent> => {
    if (_codec == null) {
      _codec = message<RecordContent>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.cid != null && obj.cid.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.cid)
        }

        if ((obj.size != null && obj.size !== 0n)) {
          w.uint32(17)
          w.fixed64(obj.size)
        }

        if ((obj.priority != null && obj.priority !== 0)) {
          w.uint32(24)
          w.uint32(obj.priority)
        }

        if ((obj.replicas != null && obj.replicas !== 0)) {
          w.uint32(32)
          w.uint32(obj.replicas)
        }

        if ((obj.pinned != null && obj.pinned !== false)) {
          w.uint32(40)
          w.bool(obj.pinned)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          cid: uint8ArrayAlloc(0),
          size: 0n,
          priority: 0,
          replicas: 0,
          pinned: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.cid = reader.bytes()
              break
            }
            case 2: {
              obj.size = reader.fixed64()
              break
            }
            case 3: {
              obj.priority = reader.uint32()
              break
            }
            case 4: {
              obj.replicas = reader.uint32()
              break
            }
            case 5: {
              obj.pinned = reader.bool()
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

  export const encode = (obj: Partial<RecordContent>): Uint8Array => {
    return encodeMessage(obj, RecordContent.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RecordContent>): RecordContent => {
    return decodeMessage(buf, RecordContent.codec(), opts)
  }
}

export interface RecordRun {
  writer?: Uint8Array
  from: bigint
  to: bigint
}

export namespace RecordRun {
  let _codec: Codec<RecordRun>

  export const codec = (): Codec<RecordRun> => {
    if (_codec == null) {
      _codec = message<RecordRun>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.writer != null) {
          w.uint32(10)
          w.bytes(obj.writer)
        }

        if ((obj.from != null && obj.from !== 0n)) {
          w.uint32(17)
          w.fixed64(obj.from)
        }

        if ((obj.to != null && obj.to !== 0n)) {
          w.uint32(25)
          w.fixed64(obj.to)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          from: 0n,
          to: 0n
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.writer = reader.bytes()
              break
            }
            case 2: {
              obj.from = reader.fixed64()
              break
            }
            case 3: {
              obj.to = reader.fixed64()
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

  export const encode = (obj: Partial<RecordRun>): Uint8Array => {
    return encodeMessage(obj, RecordRun.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RecordRun>): RecordRun => {
    return decodeMessage(buf, RecordRun.codec(), opts)
  }
}

export interface StoredVersions {
  versions: Uint8Array[]
}

export namespace StoredVersions {
  let _codec: Codec<StoredVersions>

  export const codec = (): Codec<StoredVersions> => {
    if (_codec == null) {
      _codec = message<StoredVersions>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.versions != null) {
          for (const value of obj.versions) {
            w.uint32(10)
            w.bytes(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          versions: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.versions != null && obj.versions.length === opts.limits.versions) {
                throw new MaxLengthError('Decode error - map field "versions" had too many elements')
              }

              obj.versions.push(reader.bytes())
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

  export const encode = (obj: Partial<StoredVersions>): Uint8Array => {
    return encodeMessage(obj, StoredVersions.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StoredVersions>): StoredVersions => {
    return decodeMessage(buf, StoredVersions.codec(), opts)
  }
}

export interface CatalogNews {
  records: Uint8Array[]
  root?: Uint8Array
}

export namespace CatalogNews {
  let _codec: Codec<CatalogNews>

  export const codec = (): Codec<CatalogNews> => {
    if (_codec == null) {
      _codec = message<CatalogNews>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.records != null) {
          for (const value of obj.records) {
            w.uint32(10)
            w.bytes(value)
          }
        }

        if (obj.root != null) {
          w.uint32(18)
          w.bytes(obj.root)
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

              obj.records.push(reader.bytes())
              break
            }
            case 2: {
              obj.root = reader.bytes()
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

  export const encode = (obj: Partial<CatalogNews>): Uint8Array => {
    return encodeMessage(obj, CatalogNews.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<CatalogNews>): CatalogNews => {
    return decodeMessage(buf, CatalogNews.codec(), opts)
  }
}

export interface DigestRequest {
  root: Uint8Array
  returning: boolean
  wallMs: number
}

export namespace DigestRequest {
  let _codec: Codec<DigestRequest>

  export const codec = (): Codec<DigestRequest> => {
    if (_codec == null) {
      _codec = message<DigestRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.root != null && obj.root.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.root)
        }

        if ((obj.returning != null && obj.returning !== false)) {
          w.uint32(16)
          w.bool(obj.returning)
        }

        if ((obj.wallMs != null && obj.wallMs !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.wallMs)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          root: uint8ArrayAlloc(0),
          returning: false,
          wallMs: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.root = reader.bytes()
              break
            }
            case 2: {
              obj.returning = reader.bool()
              break
            }
            case 3: {
              obj.wallMs = reader.uint64Number()
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

  export const encode = (obj: Partial<DigestRequest>): Uint8Array => {
    return encodeMessage(obj, DigestRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<DigestRequest>): DigestRequest => {
    return decodeMessage(buf, DigestRequest.codec(), opts)
  }
}

export interface DigestResponse {
  buckets: Uint8Array
  returning: boolean
  wallMs: number
}

export namespace DigestResponse {
  let _codec: Codec<DigestResponse>

  export const codec = (): Codec<DigestResponse> => {
    if (_codec == null) {
      _codec = message<DigestResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.buckets != null && obj.buckets.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.buckets)
        }

        if ((obj.returning != null && obj.returning !== false)) {
          w.uint32(16)
          w.bool(obj.returning)
        }

        if ((obj.wallMs != null && obj.wallMs !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.wallMs)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          buckets: uint8ArrayAlloc(0),
          returning: false,
          wallMs: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.buckets = reader.bytes()
              break
            }
            case 2: {
              obj.returning = reader.bool()
              break
            }
            case 3: {
              obj.wallMs = reader.uint64Number()
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

  export const encode = (obj: Partial<DigestResponse>): Uint8Array => {
    return encodeMessage(obj, DigestResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<DigestResponse>): DigestResponse => {
    return decodeMessage(buf, DigestResponse.codec(), opts)
  }
}

export interface BucketRequest {
  buckets: Uint8Array
}

export namespace BucketRequest {
  let _codec: Codec<BucketRequest>

  export const codec = (): Codec<BucketRequest> => {
    if (_codec == null) {
      _codec = message<BucketRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.buckets != null && obj.buckets.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.buckets)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          buckets: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.buckets = reader.bytes()
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

  export const encode = (obj: Partial<BucketRequest>): Uint8Array => {
    return encodeMessage(obj, BucketRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<BucketRequest>): BucketRequest => {
    return decodeMessage(buf, BucketRequest.codec(), opts)
  }
}

export interface BucketResponse {
  digests: Uint8Array
}

export namespace BucketResponse {
  let _codec: Codec<BucketResponse>

  export const codec = (): Codec<BucketResponse> => {
    if (_codec == null) {
      _codec = message<BucketResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.digests != null && obj.digests.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.digests)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          digests: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.digests = reader.bytes()
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

  export const encode = (obj: Partial<BucketResponse>): Uint8Array => {
    return encodeMessage(obj, BucketResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<BucketResponse>): BucketResponse => {
    return decodeMessage(buf, BucketResponse.codec(), opts)
  }
}

export interface RecordsRequest {
  wanted: RecordsWanted[]
  after?: Uint8Array
}

export namespace RecordsRequest {
  let _codec: Codec<RecordsRequest>

  export const codec = (): Codec<RecordsRequest> => {
    if (_codec == null) {
      _codec = message<RecordsRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.wanted != null) {
          for (const value of obj.wanted) {
            w.uint32(10)
            RecordsWanted.codec().encode(value, w)
          }
        }

        if (obj.after != null) {
          w.uint32(18)
          w.bytes(obj.after)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          wanted: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.wanted != null && obj.wanted.length === opts.limits.wanted) {
                throw new MaxLengthError('Decode error - map field "wanted" had too many elements')
              }

              obj.wanted.push(RecordsWanted.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.wanted$ ?? {}
              }))
              break
            }
            case 2: {
              obj.after = reader.bytes()
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

  export const encode = (obj: Partial<RecordsRequest>): Uint8Array => {
    return encodeMessage(obj, RecordsRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RecordsRequest>): RecordsRequest => {
    return decodeMessage(buf, RecordsRequest.codec(), opts)
  }
}

export interface RecordsWanted {
  prefix: Uint8Array
  have: Uint8Array
}

export namespace RecordsWanted {
  let _codec: Codec<RecordsWanted>

  export const codec = (): Codec<RecordsWanted> => {
    if (_codec == null) {
      _codec = message<RecordsWanted>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.prefix != null && obj.prefix.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.prefix)
        }

        if ((obj.have != null && obj.have.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.have)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          prefix: uint8ArrayAlloc(0),
          have: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.prefix = reader.bytes()
              break
            }
            case 2: {
              obj.have = reader.bytes()
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

  export const encode = (obj: Partial<RecordsWanted>): Uint8Array => {
    return encodeMessage(obj, RecordsWanted.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RecordsWanted>): RecordsWanted => {
    return decodeMessage(buf, RecordsWanted.codec(), opts)
  }
}

export interface RecordsResponse {
  records: Uint8Array[]
  unknown: Uint8Array
  done: number
  next?: Uint8Array
}

export namespace RecordsResponse {
  let _codec: Codec<RecordsResponse>

  export const codec = (): Codec<RecordsResponse> => {
    if (_codec == null) {
      _codec = message<RecordsResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.records != null) {
          for (const value of obj.records) {
            w.uint32(10)
            w.bytes(value)
          }
        }

        if ((obj.unknown != null && obj.unknown.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.unknown)
        }

        if ((obj.done != null && obj.done !== 0)) {
          w.uint32(24)
          w.uint32(obj.done)
        }

        if (obj.next != null) {
          w.uint32(34)
          w.bytes(obj.next)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          records: [],
          unknown: uint8ArrayAlloc(0),
          done: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.records != null && obj.records.length === opts.limits.records) {
                throw new MaxLengthError('Decode error - map field "records" had too many elements')
              }

              obj.records.push(reader.bytes())
              break
            }
            case 2: {
              obj.unknown = reader.bytes()
              break
            }
            case 3: {
              obj.done = reader.uint32()
              break
            }
            case 4: {
              obj.next = reader.bytes()
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

  export const encode = (obj: Partial<RecordsResponse>): Uint8Array => {
    return encodeMessage(obj, RecordsResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<RecordsResponse>): RecordsResponse => {
    return decodeMessage(buf, RecordsResponse.codec(), opts)
  }
}
