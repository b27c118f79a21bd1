import type { BlockDevice } from '../../volumes/index.js'
import type { ByteReader } from './byte-reader.js'
import { handshakeFlag, info, initMagic, option, optionHeaderBytes, optionMagic, optionReply, reply, transmissionFlag } from './wire.js'

/**
 * Fixed newstyle negotiation: the server greets, the client sends options one by one and gets replies to each, until GO
 * (or the old EXPORT_NAME) chooses an export. Anything malformed gets an error reply where the protocol has one, else the
 * connection is closed: for this client alone.
 */
export interface Exports {
  /** Names that LIST shows. */
  names(): string[]
  /** Opens the export; undefined if there is none of that name. `''` is the default export: the only one, if it is. */
  find(name: string): Promise<{ name: string; device: BlockDevice } | undefined>
}

export interface Negotiated {
  readonly name: string
  readonly device: BlockDevice
  readonly structured: boolean
  /** The id of `base:allocation`, if the client asked for it. */
  readonly allocationContext: number | undefined
}

/** An export name is at most 4096 bytes by the protocol; options carry one, and a few short queries. */
const optionBytesMax = 16 * 1024
/** No client needs more; one that sends options for ever is sent away. */
const optionsMax = 256
const contextName = 'base:allocation'
const contextId = 1
/** What one request may carry. The protocol's own suggestion for servers that say nothing is 32 MiB. */
export const payloadBytesMax = 32 * 1024 * 1024

export async function negotiate(reader: ByteReader, send: (bytes: Buffer) => void, exports: Exports): Promise<Negotiated | undefined> {
  const greeting = Buffer.alloc(18)
  greeting.writeBigUInt64BE(initMagic, 0)
  greeting.writeBigUInt64BE(optionMagic, 8)
  greeting.writeUInt16BE(handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes, 16)
  send(greeting)
  const flags = (await reader.read(4))?.readUInt32BE(0)
  if (flags === undefined) return undefined
  const known = handshakeFlag.fixedNewstyle | handshakeFlag.noZeroes
  if ((flags & ~known) !== 0 || (flags & handshakeFlag.fixedNewstyle) === 0) return undefined
  const noZeroes = (flags & handshakeFlag.noZeroes) !== 0

  let structured = false
  let context: { exportName: string } | undefined
  for (let count = 0; count < optionsMax; count++) {
    const header = await reader.read(optionHeaderBytes)
    if (header === undefined || header.readBigUInt64BE(0) !== optionMagic) return undefined
    const chosen = header.readUInt32BE(8)
    const length = header.readUInt32BE(12)
    if (length > optionBytesMax) {
      // Skipping gigabytes to stay in step is not worth it: say why, and close.
      send(optionReply(chosen, reply.tooBig))
      return undefined
    }
    const data = await reader.read(length)
    if (data === undefined) return undefined
    switch (chosen) {
      case option.exportName: {
        const found = await exports.find(data.toString('utf8'))
        // This option has no error reply: closing is what the protocol asks for.
        if (found === undefined) return undefined
        const answer = Buffer.alloc(noZeroes ? 10 : 134)
        answer.writeBigUInt64BE(BigInt(found.device.sizeBytes), 0)
        answer.writeUInt16BE(transmissionFlags(found.device, structured), 8)
        send(answer)
        return { ...found, structured, allocationContext: context?.exportName === found.name ? contextId : undefined }
      }
      case option.abort:
        send(optionReply(chosen, reply.ack))
        return undefined
      case option.list:
        if (length !== 0) send(optionReply(chosen, reply.invalid))
        else {
          for (const name of exports.names()) send(optionReply(chosen, reply.server, lengthAndText(name)))
          send(optionReply(chosen, reply.ack))
        }
        break
      case option.structuredReply:
        if (length !== 0) send(optionReply(chosen, reply.invalid))
        else {
          structured = true
          send(optionReply(chosen, reply.ack))
        }
        break
      case option.info:
      case option.go: {
        const asked = parseInfo(data)
        if (asked === undefined) {
          send(optionReply(chosen, reply.invalid))
          break
        }
        const found = await exports.find(asked.name)
        if (found === undefined) {
          send(optionReply(chosen, reply.unknown, Buffer.from(`no volume of the name "${asked.name.slice(0, 255)}" is exported here`)))
          break
        }
        for (const answer of infoReplies(chosen, found, asked.infos, structured)) send(answer)
        send(optionReply(chosen, reply.ack))
        if (chosen === option.info) break
        return { ...found, structured, allocationContext: context?.exportName === found.name ? contextId : undefined }
      }
      case option.listMetaContext:
      case option.setMetaContext: {
        const asked = parseMetaContext(data)
        if (asked === undefined || (chosen === option.setMetaContext && !structured)) {
          send(optionReply(chosen, reply.invalid))
          break
        }
        const found = await exports.find(asked.name)
        if (found === undefined) {
          send(optionReply(chosen, reply.unknown))
          break
        }
        const matches = asked.queries.includes(contextName) || (chosen === option.listMetaContext && (asked.queries.length === 0 || asked.queries.includes('base:')))
        if (chosen === option.setMetaContext) context = matches ? { exportName: found.name } : undefined
        if (matches) {
          const text = Buffer.alloc(4 + contextName.length)
          // Ids mean something only after SET; LIST sends 0.
          text.writeUInt32BE(chosen === option.setMetaContext ? contextId : 0, 0)
          text.write(contextName, 4)
          send(optionReply(chosen, reply.metaContext, text))
        }
        send(optionReply(chosen, reply.ack))
        break
      }
      default:
        send(optionReply(chosen, reply.unsupported))
    }
  }
  return undefined
}

export function transmissionFlags(device: BlockDevice, structured: boolean): number {
  const flag = transmissionFlag
  const writing = device.readOnly ? flag.readOnly : flag.sendFlush | flag.sendFua | flag.sendTrim | flag.sendWriteZeroes | flag.sendFastZero
  // A flush is answered for the whole device, so any number of connections to it are one: multi-conn is safe.
  return flag.hasFlags | flag.multiConn | flag.sendCache | writing | (structured ? flag.sendDontFragment : 0)
}

function infoReplies(chosen: number, found: { name: string; device: BlockDevice }, infos: readonly number[], structured: boolean): Buffer[] {
  const size = Buffer.alloc(12)
  size.writeUInt16BE(info.export, 0)
  size.writeBigUInt64BE(BigInt(found.device.sizeBytes), 2)
  size.writeUInt16BE(transmissionFlags(found.device, structured), 10)
  const replies = [optionReply(chosen, reply.info, size)]
  if (infos.includes(info.name)) {
    replies.push(optionReply(chosen, reply.info, Buffer.concat([u16(info.name), Buffer.from(found.name)])))
  }
  if (infos.includes(info.blockSize)) {
    const sizes = Buffer.alloc(14)
    sizes.writeUInt16BE(info.blockSize, 0)
    sizes.writeUInt32BE(1, 2)
    sizes.writeUInt32BE(found.device.blockBytes, 6)
    sizes.writeUInt32BE(payloadBytesMax, 10)
    replies.push(optionReply(chosen, reply.info, sizes))
  }
  return replies
}

/** `length name count infos…`, undefined if the lengths do not add up. */
function parseInfo(data: Buffer): { name: string; infos: number[] } | undefined {
  if (data.length < 6) return undefined
  const nameLength = data.readUInt32BE(0)
  if (nameLength > data.length - 6) return undefined
  const count = data.readUInt16BE(4 + nameLength)
  if (data.length !== 6 + nameLength + 2 * count) return undefined
  const infos = Array.from({ length: count }, (_, i) => data.readUInt16BE(6 + nameLength + 2 * i))
  return { name: data.toString('utf8', 4, 4 + nameLength), infos }
}

/** `length name count (length query)…` */
function parseMetaContext(data: Buffer): { name: string; queries: string[] } | undefined {
  if (data.length < 8) return undefined
  const nameLength = data.readUInt32BE(0)
  if (nameLength > data.length - 8) return undefined
  const name = data.toString('utf8', 4, 4 + nameLength)
  const count = data.readUInt32BE(4 + nameLength)
  const queries: string[] = []
  let at = 8 + nameLength
  for (let i = 0; i < count; i++) {
    if (at + 4 > data.length) return undefined
    const length = data.readUInt32BE(at)
    if (at + 4 + length > data.length) return undefined
    queries.push(data.toString('utf8', at + 4, at + 4 + length))
    at += 4 + length
  }
  return at === data.length ? { name, queries } : undefined
}

function lengthAndText(text: string): Buffer {
  const bytes = Buffer.from(text)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length, 0)
  return Buffer.concat([length, bytes])
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value, 0)
  return bytes
}
