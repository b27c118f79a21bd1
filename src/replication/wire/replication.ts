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

export interface Vitals {
  boot: number
  sequence: number
  maxBytes: number
  usedBytes: number
  freeForOthersBytes: number
  freeForOwnBytes: number
  flags: number
  inventorySalt: bigint
  inventoryVersion: number
  inventoryEntries: number
  delta?: InventoryDelta
  evictableBytes: number[]
}

export namespace Vitals {
  let _codec: Codec<Vitals>

  export const codec = (): Codec<Vitals> => {
    if (_codec == null) {
      _codec = message<Vitals>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.boot != null && obj.boot !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.boot)
        }

        if ((obj.sequence != null && obj.sequence !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.sequence)
        }

        if ((obj.maxBytes != null && obj.maxBytes !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.maxBytes)
        }

        if ((obj.usedBytes != null && obj.usedBytes !== 0)) {
          w.uint32(32)
          w.uint64Number(obj.usedBytes)
        }

        if ((obj.freeForOthersBytes != null && obj.freeForOthersBytes !== 0)) {
          w.uint32(40)
          w.uint64Number(obj.freeForOthersBytes)
        }

        if ((obj.freeForOwnBytes != null && obj.freeForOwnBytes !== 0)) {
          w.uint32(48)
          w.uint64Number(obj.freeForOwnBytes)
        }

        if ((obj.flags != null && obj.flags !== 0)) {
          w.uint32(56)
          w.uint32(obj.flags)
        }

        if ((obj.inventorySalt != null && obj.inventorySalt !== 0n)) {
          w.uint32(65)
          w.fixed64(obj.inventorySalt)
        }

        if ((obj.inventoryVersion != null && obj.inventoryVersion !== 0)) {
          w.uint32(72)
          w.uint64Number(obj.inventoryVersion)
        }

        if ((obj.inventoryEntries != null && obj.inventoryEntries !== 0)) {
          w.uint32(80)
          w.uint64Number(obj.inventoryEntries)
        }

        if (obj.delta != null) {
          w.uint32(90)
          InventoryDelta.codec().encode(obj.delta, w)
        }

        if (obj.evictableBytes != null) {
          for (const value of obj.evictableBytes) {
            w.uint32(96)
            w.uint64Number(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          boot: 0,
          sequence: 0,
          maxBytes: 0,
          usedBytes: 0,
          freeForOthersBytes: 0,
          freeForOwnBytes: 0,
          flags: 0,
          inventorySalt: 0n,
          inventoryVersion: 0,
          inventoryEntries: 0,
          evictableBytes: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.boot = reader.uint64Number()
              break
            }
            case 2: {
              obj.sequence = reader.uint64Number()
              break
            }
            case 3: {
              obj.maxBytes = reader.uint64Number()
              break
            }
            case 4: {
              obj.usedBytes = reader.uint64Number()
              break
            }
            case 5: {
              obj.freeForOthersBytes = reader.uint64Number()
              break
            }
            case 6: {
              obj.freeForOwnBytes = reader.uint64Number()
              break
            }
            case 7: {
              obj.flags = reader.uint32()
              break
            }
            case 8: {
              obj.inventorySalt = reader.fixed64()
              break
            }
            case 9: {
              obj.inventoryVersion = reader.uint64Number()
              break
            }
            case 10: {
              obj.inventoryEntries = reader.uint64Number()
              break
            }
            case 11: {
              obj.delta = InventoryDelta.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.delta ?? {}
              })
              break
            }
            case 12: {
              if (opts.limits?.evictableBytes != null && obj.evictableBytes.length === opts.limits.evictableBytes) {
                throw new MaxLengthError('Decode error - map field "evictableBytes" had too many elements')
              }

              obj.evictableBytes.push(reader.uint64Number())
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

  export const encode = (obj: Partial<Vitals>): Uint8Array => {
    return encodeMessage(obj, Vitals.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Vitals>): Vitals => {
    return decodeMessage(buf, Vitals.codec(), opts)
  }
}

export interface InventoryDelta {
  fromVersion: number
  added: Uint8Array
  removed: Uint8Array
}

export namespace InventoryDelta {
  let _codec: Codec<InventoryDelta>

  export const codec = (): Codec<InventoryDelta> => {
    if (_codec == null) {
      _codec = message<InventoryDelta>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.fromVersion != null && obj.fromVersion !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.fromVersion)
        }

        if ((obj.added != null && obj.added.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.added)
        }

        if ((obj.removed != null && obj.removed.byteLength > 0)) {
          w.uint32(26)
          w.bytes(obj.removed)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          fromVersion: 0,
          added: uint8ArrayAlloc(0),
          removed: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.fromVersion = reader.uint64Number()
              break
            }
            case 2: {
              obj.added = reader.bytes()
              break
            }
            case 3: {
              obj.removed = reader.bytes()
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

  export const encode = (obj: Partial<InventoryDelta>): Uint8Array => {
    return encodeMessage(obj, InventoryDelta.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<InventoryDelta>): InventoryDelta => {
    return decodeMessage(buf, InventoryDelta.codec(), opts)
  }
}

export interface InventoryRequest {
  salt: bigint
  version: number
  after: number
}

export namespace InventoryRequest {
  let _codec: Codec<InventoryRequest>

  export const codec = (): Codec<InventoryRequest> => {
    if (_codec == null) {
      _codec = message<InventoryRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.salt != null && obj.salt !== 0n)) {
          w.uint32(9)
          w.fixed64(obj.salt)
        }

        if ((obj.version != null && obj.version !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.version)
        }

        if ((obj.after != null && obj.after !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.after)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          salt: 0n,
          version: 0,
          after: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.salt = reader.fixed64()
              break
            }
            case 2: {
              obj.version = reader.uint64Number()
              break
            }
            case 3: {
              obj.after = reader.uint64Number()
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

  export const encode = (obj: Partial<InventoryRequest>): Uint8Array => {
    return encodeMessage(obj, InventoryRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<InventoryRequest>): InventoryRequest => {
    return decodeMessage(buf, InventoryRequest.codec(), opts)
  }
}

export interface InventoryResponse {
  salt: bigint
  version: number
  delta?: InventoryDelta
  page?: InventoryPage
}

export namespace InventoryResponse {
  let _codec: Codec<InventoryResponse>

  export const codec = (): Codec<InventoryResponse> => {
    if (_codec == null) {
      _codec = message<InventoryResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.salt != null && obj.salt !== 0n)) {
          w.uint32(9)
          w.fixed64(obj.salt)
        }

        if ((obj.version != null && obj.version !== 0)) {
          w.uint32(16)
          w.uint64Number(obj.version)
        }

        if (obj.delta != null) {
          w.uint32(26)
          InventoryDelta.codec().encode(obj.delta, w)
        }

        if (obj.page != null) {
          w.uint32(34)
          InventoryPage.codec().encode(obj.page, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          salt: 0n,
          version: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.salt = reader.fixed64()
              break
            }
            case 2: {
              obj.version = reader.uint64Number()
              break
            }
            case 3: {
              obj.delta = InventoryDelta.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.delta ?? {}
              })
              break
            }
            case 4: {
              obj.page = InventoryPage.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.page ?? {}
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

  export const encode = (obj: Partial<InventoryResponse>): Uint8Array => {
    return encodeMessage(obj, InventoryResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<InventoryResponse>): InventoryResponse => {
    return decodeMessage(buf, InventoryResponse.codec(), opts)
  }
}

export interface InventoryPage {
  entries: number
  parameter: number
  coded: Uint8Array
  last: boolean
}

export namespace InventoryPage {
  let _codec: Codec<InventoryPage>

  export const codec = (): Codec<InventoryPage> => {
    if (_codec == null) {
      _codec = message<InventoryPage>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.entries != null && obj.entries !== 0)) {
          w.uint32(8)
          w.uint32(obj.entries)
        }

        if ((obj.parameter != null && obj.parameter !== 0)) {
          w.uint32(16)
          w.uint32(obj.parameter)
        }

        if ((obj.coded != null && obj.coded.byteLength > 0)) {
          w.uint32(26)
          w.bytes(obj.coded)
        }

        if ((obj.last != null && obj.last !== false)) {
          w.uint32(32)
          w.bool(obj.last)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          entries: 0,
          parameter: 0,
          coded: uint8ArrayAlloc(0),
          last: false
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.entries = reader.uint32()
              break
            }
            case 2: {
              obj.parameter = reader.uint32()
              break
            }
            case 3: {
              obj.coded = reader.bytes()
              break
            }
            case 4: {
              obj.last = reader.bool()
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

  export const encode = (obj: Partial<InventoryPage>): Uint8Array => {
    return encodeMessage(obj, InventoryPage.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<InventoryPage>): InventoryPage => {
    return decodeMessage(buf, InventoryPage.codec(), opts)
  }
}

export interface StoreRequest {
  cid: Uint8Array
  spine: boolean
  bytes: number
  root?: Uint8Array
  holders: string[]
  move: boolean
  challenge?: Challenge
  voucher?: Voucher
}

export namespace StoreRequest {
  let _codec: Codec<StoreRequest>

  export const codec = (): Codec<StoreRequest> => {
    if (_codec == null) {
      _codec = message<StoreRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.cid != null && obj.cid.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.cid)
        }

        if ((obj.spine != null && obj.spine !== false)) {
          w.uint32(16)
          w.bool(obj.spine)
        }

        if ((obj.bytes != null && obj.bytes !== 0)) {
          w.uint32(24)
          w.uint64Number(obj.bytes)
        }

        if (obj.root != null) {
          w.uint32(34)
          w.bytes(obj.root)
        }

        if (obj.holders != null) {
          for (const value of obj.holders) {
            w.uint32(42)
            w.string(value)
          }
        }

        if ((obj.move != null && obj.move !== false)) {
          w.uint32(48)
          w.bool(obj.move)
        }

        if (obj.challenge != null) {
          w.uint32(58)
          Challenge.codec().encode(obj.challenge, w)
        }

        if (obj.voucher != null) {
          w.uint32(66)
          Voucher.codec().encode(obj.voucher, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          cid: uint8ArrayAlloc(0),
          spine: false,
          bytes: 0,
          holders: [],
          move: false
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
              obj.spine = reader.bool()
              break
            }
            case 3: {
              obj.bytes = reader.uint64Number()
              break
            }
            case 4: {
              obj.root = reader.bytes()
              break
            }
            case 5: {
              if (opts.limits?.holders != null && obj.holders.length === opts.limits.holders) {
                throw new MaxLengthError('Decode error - map field "holders" had too many elements')
              }

              obj.holders.push(reader.string())
              break
            }
            case 6: {
              obj.move = reader.bool()
              break
            }
            case 7: {
              obj.challenge = Challenge.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.challenge ?? {}
              })
              break
            }
            case 8: {
              obj.voucher = Voucher.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.voucher ?? {}
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

  export const encode = (obj: Partial<StoreRequest>): Uint8Array => {
    return encodeMessage(obj, StoreRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StoreRequest>): StoreRequest => {
    return decodeMessage(buf, StoreRequest.codec(), opts)
  }
}

export interface Voucher {
  wanted: number
  priority: number
}

export namespace Voucher {
  let _codec: Codec<Voucher>

  export const codec = (): Codec<Voucher> => {
    if (_codec == null) {
      _codec = message<Voucher>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.wanted != null && obj.wanted !== 0)) {
          w.uint32(8)
          w.uint32(obj.wanted)
        }

        if ((obj.priority != null && obj.priority !== 0)) {
          w.uint32(16)
          w.uint32(obj.priority)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          wanted: 0,
          priority: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.wanted = reader.uint32()
              break
            }
            case 2: {
              obj.priority = reader.uint32()
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

  export const encode = (obj: Partial<Voucher>): Uint8Array => {
    return encodeMessage(obj, Voucher.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Voucher>): Voucher => {
    return decodeMessage(buf, Voucher.codec(), opts)
  }
}

export interface VouchedRequest {
  cids: Uint8Array[]
}

export namespace VouchedRequest {
  let _codec: Codec<VouchedRequest>

  export const codec = (): Codec<VouchedRequest> => {
    if (_codec == null) {
      _codec = message<VouchedRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.cids != null) {
          for (const value of obj.cids) {
            w.uint32(10)
            w.bytes(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          cids: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.cids != null && obj.cids.length === opts.limits.cids) {
                throw new MaxLengthError('Decode error - map field "cids" had too many elements')
              }

              obj.cids.push(reader.bytes())
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

  export const encode = (obj: Partial<VouchedRequest>): Uint8Array => {
    return encodeMessage(obj, VouchedRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<VouchedRequest>): VouchedRequest => {
    return decodeMessage(buf, VouchedRequest.codec(), opts)
  }
}

export interface VouchedResponse {
  states: Uint8Array
  roots: Uint8Array[]
}

export namespace VouchedResponse {
  let _codec: Codec<VouchedResponse>

  export const codec = (): Codec<VouchedResponse> => {
    if (_codec == null) {
      _codec = message<VouchedResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.states != null && obj.states.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.states)
        }

        if (obj.roots != null) {
          for (const value of obj.roots) {
            w.uint32(18)
            w.bytes(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          states: uint8ArrayAlloc(0),
          roots: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.states = reader.bytes()
              break
            }
            case 2: {
              if (opts.limits?.roots != null && obj.roots.length === opts.limits.roots) {
                throw new MaxLengthError('Decode error - map field "roots" had too many elements')
              }

              obj.roots.push(reader.bytes())
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

  export const encode = (obj: Partial<VouchedResponse>): Uint8Array => {
    return encodeMessage(obj, VouchedResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<VouchedResponse>): VouchedResponse => {
    return decodeMessage(buf, VouchedResponse.codec(), opts)
  }
}

export interface StoreResponse {
  bytes: number
  already: boolean
  proof: Uint8Array
  inventorySalt: bigint
  inventoryVersion: number
}

export namespace StoreResponse {
  let _codec: Codec<StoreResponse>

  export const codec = (): Codec<StoreResponse> => {
    if (_codec == null) {
      _codec = message<StoreResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.bytes != null && obj.bytes !== 0)) {
          w.uint32(8)
          w.uint64Number(obj.bytes)
        }

        if ((obj.already != null && obj.already !== false)) {
          w.uint32(16)
          w.bool(obj.already)
        }

        if ((obj.proof != null && obj.proof.byteLength > 0)) {
          w.uint32(26)
          w.bytes(obj.proof)
        }

        if ((obj.inventorySalt != null && obj.inventorySalt !== 0n)) {
          w.uint32(33)
          w.fixed64(obj.inventorySalt)
        }

        if ((obj.inventoryVersion != null && obj.inventoryVersion !== 0)) {
          w.uint32(40)
          w.uint64Number(obj.inventoryVersion)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          bytes: 0,
          already: false,
          proof: uint8ArrayAlloc(0),
          inventorySalt: 0n,
          inventoryVersion: 0
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.bytes = reader.uint64Number()
              break
            }
            case 2: {
              obj.already = reader.bool()
              break
            }
            case 3: {
              obj.proof = reader.bytes()
              break
            }
            case 4: {
              obj.inventorySalt = reader.fixed64()
              break
            }
            case 5: {
              obj.inventoryVersion = reader.uint64Number()
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

  export const encode = (obj: Partial<StoreResponse>): Uint8Array => {
    return encodeMessage(obj, StoreResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<StoreResponse>): StoreResponse => {
    return decodeMessage(buf, StoreResponse.codec(), opts)
  }
}

export interface Challenge {
  nonce: Uint8Array
  length: number
  offsets: number[]
}

export namespace Challenge {
  let _codec: Codec<Challenge>

  export const codec = (): Codec<Challenge> => {
    if (_codec == null) {
      _codec = message<Challenge>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.nonce != null && obj.nonce.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.nonce)
        }

        if ((obj.length != null && obj.length !== 0)) {
          w.uint32(24)
          w.uint32(obj.length)
        }

        if (obj.offsets != null) {
          for (const value of obj.offsets) {
            w.uint32(32)
            w.uint64Number(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          nonce: uint8ArrayAlloc(0),
          length: 0,
          offsets: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.nonce = reader.bytes()
              break
            }
            case 3: {
              obj.length = reader.uint32()
              break
            }
            case 4: {
              if (opts.limits?.offsets != null && obj.offsets.length === opts.limits.offsets) {
                throw new MaxLengthError('Decode error - map field "offsets" had too many elements')
              }

              obj.offsets.push(reader.uint64Number())
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

  export const encode = (obj: Partial<Challenge>): Uint8Array => {
    return encodeMessage(obj, Challenge.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<Challenge>): Challenge => {
    return decodeMessage(buf, Challenge.codec(), opts)
  }
}

export interface ChallengeRequest {
  cid: Uint8Array
  challenge?: Challenge
}

export namespace ChallengeRequest {
  let _codec: Codec<ChallengeRequest>

  export const codec = (): Codec<ChallengeRequest> => {
    if (_codec == null) {
      _codec = message<ChallengeRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.cid != null && obj.cid.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.cid)
        }

        if (obj.challenge != null) {
          w.uint32(18)
          Challenge.codec().encode(obj.challenge, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          cid: uint8ArrayAlloc(0)
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
              obj.challenge = Challenge.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.challenge ?? {}
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

  export const encode = (obj: Partial<ChallengeRequest>): Uint8Array => {
    return encodeMessage(obj, ChallengeRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ChallengeRequest>): ChallengeRequest => {
    return decodeMessage(buf, ChallengeRequest.codec(), opts)
  }
}

export interface ChallengeResponse {
  held: boolean
  proof: Uint8Array
}

export namespace ChallengeResponse {
  let _codec: Codec<ChallengeResponse>

  export const codec = (): Codec<ChallengeResponse> => {
    if (_codec == null) {
      _codec = message<ChallengeResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.held != null && obj.held !== false)) {
          w.uint32(8)
          w.bool(obj.held)
        }

        if ((obj.proof != null && obj.proof.byteLength > 0)) {
          w.uint32(18)
          w.bytes(obj.proof)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          held: false,
          proof: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.held = reader.bool()
              break
            }
            case 2: {
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

  export const encode = (obj: Partial<ChallengeResponse>): Uint8Array => {
    return encodeMessage(obj, ChallengeResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ChallengeResponse>): ChallengeResponse => {
    return decodeMessage(buf, ChallengeResponse.codec(), opts)
  }
}

export interface KeepRequest {
  cid: Uint8Array
  attempt: string
  keepMs: number
}

export namespace KeepRequest {
  let _codec: Codec<KeepRequest>

  export const codec = (): Codec<KeepRequest> => {
    if (_codec == null) {
      _codec = message<KeepRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.cid != null && obj.cid.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.cid)
        }

        if ((obj.attempt != null && obj.attempt !== '')) {
          w.uint32(18)
          w.string(obj.attempt)
        }

        if ((obj.keepMs != null && obj.keepMs !== 0)) {
          w.uint32(24)
          w.uint32(obj.keepMs)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          cid: uint8ArrayAlloc(0),
          attempt: '',
          keepMs: 0
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
              obj.attempt = reader.string()
              break
            }
            case 3: {
              obj.keepMs = reader.uint32()
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

  export const encode = (obj: Partial<KeepRequest>): Uint8Array => {
    return encodeMessage(obj, KeepRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<KeepRequest>): KeepRequest => {
    return decodeMessage(buf, KeepRequest.codec(), opts)
  }
}

export interface KeepResponse {
  keeps: boolean
  reason: string
}

export namespace KeepResponse {
  let _codec: Codec<KeepResponse>

  export const codec = (): Codec<KeepResponse> => {
    if (_codec == null) {
      _codec = message<KeepResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.keeps != null && obj.keeps !== false)) {
          w.uint32(8)
          w.bool(obj.keeps)
        }

        if ((obj.reason != null && obj.reason !== '')) {
          w.uint32(18)
          w.string(obj.reason)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          keeps: false,
          reason: ''
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.keeps = reader.bool()
              break
            }
            case 2: {
              obj.reason = reader.string()
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

  export const encode = (obj: Partial<KeepResponse>): Uint8Array => {
    return encodeMessage(obj, KeepResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<KeepResponse>): KeepResponse => {
    return decodeMessage(buf, KeepResponse.codec(), opts)
  }
}

export interface ProofRequest {
  cid: Uint8Array
  attempt: string
  challenge?: Challenge
}

export namespace ProofRequest {
  let _codec: Codec<ProofRequest>

  export const codec = (): Codec<ProofRequest> => {
    if (_codec == null) {
      _codec = message<ProofRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.cid != null && obj.cid.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.cid)
        }

        if ((obj.attempt != null && obj.attempt !== '')) {
          w.uint32(18)
          w.string(obj.attempt)
        }

        if (obj.challenge != null) {
          w.uint32(26)
          Challenge.codec().encode(obj.challenge, w)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          cid: uint8ArrayAlloc(0),
          attempt: ''
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
              obj.attempt = reader.string()
              break
            }
            case 3: {
              obj.challenge = Challenge.codec().decode(reader, reader.uint32(), {
                limits: opts.limits?.challenge ?? {}
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

  export const encode = (obj: Partial<ProofRequest>): Uint8Array => {
    return encodeMessage(obj, ProofRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ProofRequest>): ProofRequest => {
    return decodeMessage(buf, ProofRequest.codec(), opts)
  }
}

export interface ProofResponse {
  proof: Uint8Array
}

export namespace ProofResponse {
  let _codec: Codec<ProofResponse>

  export const codec = (): Codec<ProofResponse> => {
    if (_codec == null) {
      _codec = message<ProofResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.proof != null && obj.proof.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.proof)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          proof: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
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

  export const encode = (obj: Partial<ProofResponse>): Uint8Array => {
    return encodeMessage(obj, ProofResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ProofResponse>): ProofResponse => {
    return decodeMessage(buf, ProofResponse.codec(), opts)
  }
}

export interface ReleaseRequest {
  cid: Uint8Array
  attempt: string
}

export namespace ReleaseRequest {
  let _codec: Codec<ReleaseRequest>

  export const codec = (): Codec<ReleaseRequest> => {
    if (_codec == null) {
      _codec = message<ReleaseRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.cid != null && obj.cid.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.cid)
        }

        if ((obj.attempt != null && obj.attempt !== '')) {
          w.uint32(18)
          w.string(obj.attempt)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          cid: uint8ArrayAlloc(0),
          attempt: ''
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
              obj.attempt = reader.string()
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

  export const encode = (obj: Partial<ReleaseRequest>): Uint8Array => {
    return encodeMessage(obj, ReleaseRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<ReleaseRequest>): ReleaseRequest => {
    return decodeMessage(buf, ReleaseRequest.codec(), opts)
  }
}

export interface HaveRequest {
  cids: Uint8Array[]
}

export namespace HaveRequest {
  let _codec: Codec<HaveRequest>

  export const codec = (): Codec<HaveRequest> => {
    if (_codec == null) {
      _codec = message<HaveRequest>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if (obj.cids != null) {
          for (const value of obj.cids) {
            w.uint32(10)
            w.bytes(value)
          }
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          cids: []
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              if (opts.limits?.cids != null && obj.cids.length === opts.limits.cids) {
                throw new MaxLengthError('Decode error - map field "cids" had too many elements')
              }

              obj.cids.push(reader.bytes())
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

  export const encode = (obj: Partial<HaveRequest>): Uint8Array => {
    return encodeMessage(obj, HaveRequest.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<HaveRequest>): HaveRequest => {
    return decodeMessage(buf, HaveRequest.codec(), opts)
  }
}

export interface HaveResponse {
  held: Uint8Array
}

export namespace HaveResponse {
  let _codec: Codec<HaveResponse>

  export const codec = (): Codec<HaveResponse> => {
    if (_codec == null) {
      _codec = message<HaveResponse>((obj, w, opts = {}) => {
        if (opts.lengthDelimited !== false) {
          w.fork()
        }

        if ((obj.held != null && obj.held.byteLength > 0)) {
          w.uint32(10)
          w.bytes(obj.held)
        }

        if (opts.lengthDelimited !== false) {
          w.ldelim()
        }
      }, (reader, length, opts = {}) => {
        const obj: any = {
          held: uint8ArrayAlloc(0)
        }

        const end = length == null ? reader.len : reader.pos + length

        while (reader.pos < end) {
          const tag = reader.uint32()

          switch (tag >>> 3) {
            case 1: {
              obj.held = reader.bytes()
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

  export const encode = (obj: Partial<HaveResponse>): Uint8Array => {
    return encodeMessage(obj, HaveResponse.codec())
  }

  export const decode = (buf: Uint8Array | Uint8ArrayList, opts?: DecodeOptions<HaveResponse>): HaveResponse => {
    return decodeMessage(buf, HaveResponse.codec(), opts)
  }
}
