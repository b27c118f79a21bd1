/** Asks those whose word was taken what has become of their files, and answers when asked (see `vouchers.ts`). */
import type { Clock, Connections, Log, NodeId, Rpc } from '../base/index.js'
import { messageOf } from '../base/index.js'
import { cidBytes, decode, decodeCid } from './messages.js'
import { isOver } from './pausing.js'
import { ReplicationError } from './types.js'
import type { Vouchers } from './vouchers.js'
import type { Wants } from './wants.js'
import { VouchedRequest, VouchedResponse } from './wire/replication.js'

export interface VouchingComponents {
  readonly rpc: Rpc
  readonly connections: Connections
  readonly clock: Clock
  readonly log: Log
  readonly vouchers: Vouchers
  readonly wants: Wants
}

export interface VouchingInit {
  /** Some files' parts could not be read from the disk here: then nothing is said to be unknown. */
  readonly knowsAllParts: () => boolean
  /** Nobody's word stands for it any more. `removed`: its member says that it is not wanted. */
  readonly released: (cid: string, removed: boolean) => void
}

/** Space that a broken put took is back within a quarter of a minute. */
const askEveryMs = 5_000
const askDeadlineMs = 10_000
/** 36 bytes each: a request of 20 KB. */
export const askedMax = 512
const states = { unknown: 0, onItsWay: 1, part: 2 } as const

export class Vouching {
  readonly #components: VouchingComponents
  readonly #init: VouchingInit

  constructor(components: VouchingComponents, init: VouchingInit) {
    this.#components = components
    this.#init = init
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, log, vouchers } = this.#components
    while (!signal.aborted) {
      try {
        await clock.sleep(askEveryMs, signal)
        await this.#look(signal)
        for (const { cid, by } of vouchers.lapsed()) {
          await vouchers.release(cid, by)
          this.#init.released(cid, false)
        }
      } catch (error) {
        if (isOver(signal)) return
        log.debug('vouchers could not be looked at', { error: messageOf(error) })
      }
    }
  }

  /** The file is there: the blob is a part of it, and needs nobody's word any more. False: its record has not come here yet. */
  async settle(cid: string, root: string, by: NodeId): Promise<boolean> {
    const { wants, vouchers } = this.#components
    if (!(await this.#isFile(root))) return false
    await wants.addParts(root, [cid])
    await vouchers.release(cid, by)
    wants.changed(cid)
    return true
  }

  /** `replication.vouched` */
  async answer(body: Uint8Array): Promise<Uint8Array> {
    const { cids } = decode(VouchedRequest, body, { cids: askedMax })
    const { vouchers } = this.#components
    const answers = new Uint8Array(cids.length)
    const roots: Uint8Array[] = []
    for (const [i, bytes] of cids.entries()) {
      const cid = decodeCid(bytes).toString()
      const root = vouchers.isOwn(cid) ? undefined : await this.#rootOf(cid)
      if (root !== undefined) {
        answers[i] = states.part
        roots.push(cidBytes(root))
      } else answers[i] = vouchers.isOwn(cid) || !this.#init.knowsAllParts() ? states.onItsWay : states.unknown
    }
    return VouchedResponse.encode({ states: answers, roots })
  }

  /** A catalogued file that it is a part of. */
  async #rootOf(cid: string): Promise<string | undefined> {
    const { wants } = this.#components
    for (const root of [...wants.rootsOf(cid), cid]) if (await this.#isFile(root)) return root
    return undefined
  }

  /** A record says so: another voucher for the same blob does not. */
  async #isFile(root: string): Promise<boolean> {
    const want = await this.#components.wants.ask(root)
    return want !== undefined && want.vouchedBy === undefined
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { connections, log } = this.#components
    for (const [by, cids] of this.#components.vouchers.byMember()) {
      if (!connections.isConnected(by)) continue
      try {
        for (let at = 0; at < cids.length; at += askedMax) await this.#ask(by, cids.slice(at, at + askedMax), signal)
      } catch (error) {
        signal.throwIfAborted()
        log.debug('a member did not say what became of its file', { peer: by, error: messageOf(error) })
      }
    }
  }

  async #ask(by: NodeId, cids: readonly string[], signal: AbortSignal): Promise<void> {
    const { rpc, vouchers } = this.#components
    const body = await rpc.request(by, 'replication.vouched', VouchedRequest.encode({ cids: cids.map(cidBytes) }), { deadlineMs: askDeadlineMs, signal })
    const { states: said, roots } = decode(VouchedResponse, body, { roots: askedMax })
    if (said.length !== cids.length) throw new ReplicationError('BAD_INPUT', 'not one answer for each question')
    let next = 0
    for (const [i, cid] of cids.entries()) {
      if (said[i] === states.part) {
        const root = roots[next++]
        if (root !== undefined) await this.settle(cid, decodeCid(root).toString(), by)
      } else if (said[i] === states.onItsWay) vouchers.renew(cid, by)
      else if (said[i] === states.unknown) {
        await vouchers.release(cid, by)
        this.#init.released(cid, true)
      }
    }
  }
}
