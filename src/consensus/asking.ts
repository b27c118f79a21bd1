import type { Appointment } from './agenda.js'
import type { HandOffWish } from './messages.js'
import type { Node } from './node.js'
import type { OperationEnd, Running } from './operations.js'
import { ReadRound } from './rounds/read.js'
import type { SessionId } from './types.js'
import { sameSession } from './types.js'
import type { Value } from './value.js'
import { isHeldBy } from './value.js'

/** A wish is told again this often, until it is granted, refused or given up: voters keep it only for a while. */
const wishEveryMs = 600

/**
 * Whoever is told directly and is there hands over within this, if it is to be had soon; until then the voters are spared the
 * way round. Well below `wishEveryMs`, since a cut between the two alone must not stop it for long.
 */
const directOnlyMs = 200

export interface WishOptions {
  /** When the scope moves to another node the wish goes after it, so that who waits keeps its place in the order. */
  readonly follows?: boolean
  /** That it is held so was heard, not read: its holder is asked first, the voters if it does not answer soon. */
  readonly isHint?: boolean
}

export interface AskingInit extends WishOptions {
  readonly scope: string
  readonly holder: SessionId
  readonly token: number
  readonly reason: Uint8Array
  /** A value that was read. */
  readonly observe: (value: Value) => void
  readonly granted: (value: Value) => OperationEnd
  readonly ended: (end: OperationEnd) => void
}

/**
 * Asks the holder for a scope, directly and through the voters, since a cut between the two alone must not stop it; learns of
 * the grant from the holder or from the register. Whom a wish is put to is nothing that safety stands on: it is granted by a
 * chosen value or not at all.
 */
export class Asking implements Running {
  readonly #node: Node
  readonly #init: AskingInit
  #target: { readonly holder: SessionId; readonly token: number }
  #timer: Appointment | undefined
  #read: ReadRound | undefined
  #over = false

  constructor(node: Node, init: AskingInit) {
    this.#node = node
    this.#init = init
    this.#target = { holder: init.holder, token: init.token }
  }

  begin(): void {
    if (this.#init.isHint === true) this.#askFirst()
    else this.#tell()
  }

  cancel(): void {
    this.#finish({ kind: 'failed', why: 'cancelled', unknown: true })
  }

  /** A chosen value that names this node. */
  heardGrant(value: Value): void {
    if (!this.#over) this.#finish(this.#init.granted(value))
  }

  refused(reason: string): void {
    this.#finish({ kind: 'refused', reason })
  }

  /** Somebody says that it is elsewhere now. */
  moved(value: Value): void {
    if (value.token > this.#target.token) this.#followed(value)
  }

  #finish(end: OperationEnd): void {
    if (this.#over) return
    this.#over = true
    this.#timer?.cancel()
    this.#read?.cancel()
    this.#init.ended(end)
  }

  get #wish(): HandOffWish {
    const { scope, reason } = this.#init
    return { scope, ...this.#target, asker: this.#node.session, reason }
  }

  #ask(): void {
    this.#node.effect({ kind: 'peer', to: this.#target.holder.node, message: { kind: 'wish', wish: this.#wish } })
  }

  #askFirst(): void {
    this.#timer?.cancel()
    this.#ask()
    this.#timer = this.#node.after(directOnlyMs, () => { this.#tell() })
  }

  #tell(): void {
    const node = this.#node
    const { scope } = this.#init
    this.#ask()
    node.ask(node.config.members, { kind: 'relay', wish: this.#wish }, () => undefined)
    this.#timer = node.after(wishEveryMs, () => { this.#tell() })
    if (this.#read !== undefined) return
    const read = new ReadRound(node, { scope, ended: (result) => {
      if (this.#read !== read) return
      this.#read = undefined
      if (this.#over || result.kind !== 'read') return
      const value = result.accepted?.value
      if (value !== undefined) this.#init.observe(value)
      if (!this.#followed(value)) this.#finish({ kind: 'gone', value })
    } })
    this.#read = read
    read.begin()
  }

  /** True if the scope is still to be had by asking, there or where it is now. */
  #followed(value: Value | undefined): boolean {
    const { holder, token } = this.#target
    if (this.#over || isHeldBy(value, holder, token)) return true
    if (this.#init.follows !== true || value === undefined || value.holder === null || value.token < token || sameSession(value.holder, this.#node.session)) return false
    this.#target = { holder: value.holder, token: value.token }
    if (!sameSession(value.holder, holder)) {
      const before = this.#read
      this.#read = undefined
      before?.cancel()
      this.#askFirst()
      // It has had the scope anew, maybe: a wish of before does not count then.
    } else this.#ask()
    return true
  }
}
