/**
 * Files that are still being put, and larger than their node: their blobs go to other nodes before any record names them.
 *
 * A node takes only what a record of the catalog asks for, so that nobody can fill a disk with what no member has signed
 * for. Here the word of the member who asks stands in for the record: a *voucher*. Whoever took a blob on one asks that
 * member every few seconds what has become of it. Published: then it is a part of a file, like any other. Unknown to the
 * member, who gave up or was restarted: then it goes. No answer: it stays for an hour, and is an orphan then.
 *
 * Assumes that a member which answers "unknown" knows all the files that it has put. (The road not taken: a record for a
 * file that is not there yet. All nodes would show it, and somebody would have to clear it away.)
 *
 * On disk, so that a restart forgets no voucher of others: `<blob> <member>` → `<wanted> <priority> <until, Unix ms>`, text.
 */
import type { Clock, KeyValue, NodeId } from '../base/index.js'
import type { Priority } from '../storage-policy/index.js'
import { parseCid } from './messages.js'
import { prioritiesRising } from './mesh-news.js'
import { ReplicationError } from './types.js'

export interface Voucher {
  readonly wanted: number
  readonly priority: Priority
  readonly by: NodeId
}

interface Taken {
  readonly wanted: number
  readonly priority: Priority
  untilMs: number
}

/** Longer than any restart; shorter than anybody would mind the space. */
const keepMs = 3600_000
/** A TiB in the smallest blobs that files are spread in, and as much from each of four members at once. */
const perMemberMax = 16_384
const vouchersMax = 4 * perMemberMax
/** More copies than any file has. */
const wantedMax = 64

export class Vouchers {
  readonly #meta: KeyValue
  readonly #clock: Clock
  readonly #taken = new Map<string, Map<NodeId, Taken>>()
  readonly #counts = new Map<NodeId, number>()
  #count = 0
  /** Blobs of files that are being put here, by how many of them; and who has taken each on this node's word. */
  readonly #own = new Map<string, { imports: number; wanted: number; priority: Priority; at: Set<NodeId> }>()

  constructor(components: { meta: KeyValue; clock: Clock }) {
    this.#meta = components.meta
    this.#clock = components.clock
  }

  async load(): Promise<void> {
    for await (const [key, value] of this.#meta.entries()) {
      const [cid, by] = new TextDecoder().decode(key).split(' ')
      const [wanted, priority, untilMs] = new TextDecoder().decode(value).split(' ')
      const known = prioritiesRising.find((one) => one === priority)
      // A row that is damaged stands for nothing, and none stands for longer than it could have been given.
      if (cid === undefined || by === undefined || parseCid(cid) === undefined || known === undefined || !Number.isFinite(Number(untilMs))) continue
      const latestMs = this.#clock.wallMs() + keepMs
      this.#put(cid, by as NodeId, { wanted: wantedOf(Number(wanted)), priority: known, untilMs: Math.min(Number(untilMs), latestMs) })
    }
  }

  /** The word of this node, or of a member. */
  of(cid: string, self: NodeId): Voucher | undefined {
    const own = this.#own.get(cid)
    if (own !== undefined) return { wanted: own.wanted, priority: own.priority, by: self }
    for (const [by, { wanted, priority }] of this.#taken.get(cid) ?? []) return { wanted, priority, by }
    return undefined
  }

  // --- of others ---------------------------------------------------------------------------------------------------

  /** Kept before the blob is. Throws OVERLOADED. */
  async take(cid: string, by: NodeId, wanted: number, priority: number): Promise<void> {
    const known = this.#taken.get(cid)?.has(by) === true
    if (!known && (this.#count >= vouchersMax || (this.#counts.get(by) ?? 0) >= perMemberMax)) {
      throw new ReplicationError('OVERLOADED', 'too many blobs are here for files that are still on their way', { vouchers: this.#count })
    }
    const taken: Taken = { wanted: wantedOf(wanted), priority: prioritiesRising[priority] ?? 'normal', untilMs: this.#clock.wallMs() + keepMs }
    this.#put(cid, by, taken)
    const value = new TextEncoder().encode(`${String(taken.wanted)} ${taken.priority} ${String(taken.untilMs)}`)
    await this.#meta.write([this.#meta.put(keyOf(cid, by), value)], { durable: true })
  }

  async release(cid: string, by: NodeId): Promise<void> {
    const taken = this.#taken.get(cid)
    if (taken?.delete(by) !== true) return
    if (taken.size === 0) this.#taken.delete(cid)
    this.#count--
    const left = (this.#counts.get(by) ?? 1) - 1
    if (left === 0) this.#counts.delete(by)
    else this.#counts.set(by, left)
    await this.#meta.write([this.#meta.del(keyOf(cid, by))], { durable: false })
  }

  /** It was asked, and says that the file is still on its way. */
  renew(cid: string, by: NodeId): void {
    const taken = this.#taken.get(cid)?.get(by)
    if (taken !== undefined) taken.untilMs = this.#clock.wallMs() + keepMs
  }

  /** Members whose word was taken, and for what. */
  byMember(): Map<NodeId, string[]> {
    const all = new Map<NodeId, string[]>()
    for (const [cid, taken] of this.#taken) {
      for (const by of taken.keys()) {
        const cids = all.get(by)
        if (cids === undefined) all.set(by, [cid])
        else cids.push(cid)
      }
    }
    return all
  }

  lapsed(): { cid: string; by: NodeId }[] {
    const nowMs = this.#clock.wallMs()
    return [...this.#taken].flatMap(([cid, taken]) => [...taken].filter(([, one]) => one.untilMs <= nowMs).map(([by]) => ({ cid, by })))
  }

  // --- this node's own ---------------------------------------------------------------------------------------------

  open(cid: string, wanted: number, priority: Priority): void {
    const own = this.#own.get(cid)
    if (own === undefined) this.#own.set(cid, { imports: 1, wanted, priority, at: new Set() })
    else {
      own.imports++
      own.wanted = Math.max(own.wanted, wanted)
    }
  }

  close(cid: string): void {
    const own = this.#own.get(cid)
    if (own !== undefined && --own.imports === 0) this.#own.delete(cid)
  }

  isOwn(cid: string): boolean {
    return this.#own.has(cid)
  }

  /** Whoever has acknowledged it together with the voucher. */
  acknowledged(cid: string, by: NodeId): void {
    this.#own.get(cid)?.at.add(by)
  }

  /** Undefined if no file with it is being put here. */
  acknowledgedBy(cid: string): ReadonlySet<NodeId> | undefined {
    return this.#own.get(cid)?.at
  }

  #put(cid: string, by: NodeId, taken: Taken): void {
    let all = this.#taken.get(cid)
    if (all === undefined) this.#taken.set(cid, (all = new Map<NodeId, Taken>()))
    if (!all.has(by)) {
      this.#count++
      this.#counts.set(by, (this.#counts.get(by) ?? 0) + 1)
    }
    all.set(by, taken)
  }
}

function wantedOf(wanted: number): number {
  return Math.min(wantedMax, Math.max(1, Number.isSafeInteger(wanted) ? wanted : 1))
}

function keyOf(cid: string, by: NodeId): Uint8Array {
  return new TextEncoder().encode(`${cid} ${by}`)
}
