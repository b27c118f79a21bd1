import type { NodeId } from '../../../src/base/index.js'
import { timingDefaults } from '../../../src/consensus/clocks.js'
import type { ConfigRecord } from '../../../src/consensus/config.js'
import type { Batch } from '../../../src/consensus/durable.js'
import type { HandOffWish, Reply, Request } from '../../../src/consensus/messages.js'
import type { NodeEffect } from '../../../src/consensus/node.js'
import type { OperationEnd, Running } from '../../../src/consensus/operations.js'
import type { Value } from '../../../src/consensus/value.js'
import { noBytes } from '../../../src/consensus/value.js'
import { Checks } from './checks.js'
import { FencedStore } from './fenced-store.js'
import { Host } from './host.js'
import type { HostHooks, Process } from './host.js'
import { MachineClocks } from './machine.js'
import type { Links } from './network.js'
import { authorityProof } from './seals.js'
import { World } from './world.js'

interface Held {
  readonly from: string
  readonly to: string
  readonly label: string
  readonly deliver: () => void
}

/** Links that take 1 ms and lose nothing, except what the story holds back or cuts. */
class StageLinks implements Links {
  readonly world: World
  readonly filters: { from: string; to: string; label: string; lose: boolean }[] = []
  readonly held: Held[] = []
  readonly counts = new Map<string, number>()

  constructor(world: World) {
    this.world = world
  }

  send(from: string, to: string, deliver: () => void, label = ''): void {
    this.counts.set(label, (this.counts.get(label) ?? 0) + 1)
    const filter = this.filters.find((one) => matches(one.from, from) && matches(one.to, to) && matches(one.label, label))
    if (filter === undefined) this.world.after(1, deliver)
    else if (!filter.lose) this.held.push({ from, to, label, deliver })
  }
}

function matches(pattern: string, text: string): boolean {
  return pattern === '*' || pattern.split(',').includes(text)
}

/**
 * A stage for stories: a few hosts, calm links, a clock that moves only when told. Lines in, lines out; what comes out is
 * what people would call an event. See `transcripts/README.md` for the words.
 */
export class Stage implements HostHooks {
  readonly #world = new World(7)
  readonly #links = new StageLinks(this.#world)
  readonly #hosts: Host[] = []
  readonly #ops = new Map<string, Running>()
  readonly #values = new Map<string, Value>()
  readonly #wishes = new Map<string, HandOffWish>()
  readonly #copies = new Map<string, Host['disk']>()
  readonly #store = new FencedStore()
  #checks: Checks | undefined
  #out: string[] = []
  #dropsFree = false
  #rowsAtOnce = 1

  /** One command; what happened. */
  command(line: string): string[] {
    this.#out = []
    try {
      this.#do(line.trim().split(/\s+/))
    } catch (error) {
      this.#out.push(`! ${error instanceof Error ? error.message.split('\n')[0] ?? '' : String(error)}`)
    }
    return this.#out
  }

  // ---- hooks --------------------------------------------------------------------------------------------------------

  peers(): Iterable<Host> {
    return this.#hosts
  }

  started(): void {
    return
  }

  asked(): void {
    return
  }

  synced(host: Host, batch: Batch): void {
    this.#checks?.synced(host, batch)
  }

  replied(host: Host, request: Request, reply: Reply): void {
    this.#checks?.replied(host, request, reply)
  }

  stepped(): void {
    return
  }

  effect(host: Host, effect: NodeEffect): void {
    const name = this.#name(host)
    switch (effect.kind) {
      case 'ready': this.#say(`${name} is ready in epoch ${effect.session.epoch}`); return
      case 'evicted': this.#say(`${name} was evicted`); return
      case 'granted':
        this.#values.set(effect.scope, effect.value)
        this.#say(`${name} holds ${effect.scope} with token ${effect.value.token}`)
        return
      case 'lost': this.#say(`${name} gives up ${effect.scope}, token ${effect.token}: ${effect.why}`); return
      case 'wish':
        if (!this.#wishes.has(`${name} ${effect.wish.scope}`)) this.#say(`${name} is asked for ${effect.wish.scope} by ${effect.wish.asker.node}`)
        this.#wishes.set(`${name} ${effect.wish.scope}`, effect.wish)
        return
      default:
    }
  }

  // ---- words --------------------------------------------------------------------------------------------------------

  #do([word = '', ...args]: string[]): void {
    switch (word) {
      case 'mesh': this.#mesh(Number(args[0]), Number(args[1] ?? args[0])); return
      case 'pass': this.#world.run(this.#world.nowMs + Number(args[0])); return
      case 'hold': this.#filter(args, false); return
      case 'lose': this.#filter(args, true); return
      case 'heal': this.#links.filters.length = 0; return
      case 'release': this.#release(args); return
      case 'forget': this.#links.held.length = 0; return
      case 'sent': this.#sent(args); return
      case 'who': this.#who(args[0] ?? ''); return
      case 'register': this.#register(args[0] ?? ''); return
      case 'no-base': this.#rowsAtOnce = 0; return
      case 'step-by-step': this.#find(args[0] ?? '').stepByStep = true; return
      case 'drop-free': this.#dropsFree = true; return
      default: this.#onHost(this.#find(args[0] ?? ''), word, args)
    }
  }

  #onHost(host: Host, word: string, args: string[]): void {
    const [, scope = '', more = ''] = args
    const name = this.#name(host)
    switch (word) {
      case 'sleep': host.suspend('asleep'); return
      case 'freeze': host.suspend('frozen'); return
      case 'wake': host.resume(); return
      case 'kill': host.kill(); return
      case 'start': host.start(); return
      case 'copy': this.#copies.set(scope, host.disk.copy()); return
      case 'restore': host.disk.restore(this.#copies.get(scope) as Host['disk']); return
      case 'restore-tail': {
        const { slot } = host.disk
        host.disk.restore(this.#copies.get(scope) as Host['disk'])
        host.disk.slot = slot
        return
      }
      case 'clone': this.#clone(host, scope); return
      case 'voter': this.#voter(host); return
      case 'acquire': this.#run(host, `${name} acquires ${scope}`, scope, (operations, ended) => operations.acquire(scope, { op: more === '' ? operations.nextOp() : more, payload: noBytes }, ended)); return
      case 'release-lease': this.#run(host, `${name} releases ${scope}`, scope, (operations, ended) => operations.release(scope, Number(more), ended)); return
      case 'read': this.#run(host, `${name} reads ${scope}`, scope, (operations, ended) => operations.read(scope, ended)); return
      case 'steal': this.#run(host, `${name} steals ${scope}`, scope, (operations, ended) => operations.stealDead(scope, this.#seen(scope), ended)); return
      case 'list': this.#list(host, scope); return
      case 'revoke': this.#run(host, `${name} revokes ${scope}`, scope, (operations, ended) => operations.revoke(scope, this.#seen(scope), { to: more === 'nobody' ? 'nobody' : 'me', unsafe: more === 'unsafe' }, ended)); return
      case 'wish': this.#run(host, `${name} asks for ${scope}`, scope, (operations, ended) => operations.wish(scope, this.#seen(scope), noBytes, ended)); return
      case 'follow': this.#run(host, `${name} asks for ${scope} wherever it goes`, scope, (operations, ended) => operations.wish(scope, this.#seen(scope), noBytes, ended, { follows: true })); return
      case 'agree': this.#agree(host, scope); return
      case 'agree-to': this.#agree(host, scope, more); return
      case 'cancel': this.#ops.get(`${name} ${scope}`)?.cancel(); return
      case 'reconfigure': this.#reconfigure(host, scope); return
      case 'fence': this.#fence(host, scope); return
      default: throw new Error(`unknown word ${word}`)
    }
  }

  #mesh(hosts: number, voters: number): void {
    for (let i = 1; i <= hosts; i++) this.#hosts.push(this.#host(`n${i}`))
    const members = this.#hosts.slice(0, voters).map((host) => ({ node: host.id, incarnation: host.disk.incarnation }))
    const first: ConfigRecord = { number: 0, members, hash: '', proof: authorityProof }
    this.#checks = new Checks(first)
    for (const host of this.#hosts) {
      host.disk.nodeChain = [first]
      host.disk.chain = [first]
      if (members.some((member) => member.node === host.id)) host.disk.record = { config: 0, floor: 0 }
      host.start()
    }
    // Past the grace that every voter keeps after a start.
    this.#world.run(7000)
  }

  #host(id: string): Host {
    const clocks = new MachineClocks(this.#world, { kind: 'sleep-blind', rate: 1, quantumMs: 1 })
    return new Host({ world: this.#world, network: this.#links, clocks, hooks: this }, { id: id as NodeId, timing: timingDefaults, syncMsMax: 0.2 })
  }

  #clone(host: Host, copy: string): void {
    const clone = this.#host(host.id)
    clone.disk.restore(this.#copies.get(copy) as Host['disk'])
    this.#hosts.push(clone)
    clone.start()
  }

  #run(host: Host, what: string, scope: string, begin: (operations: Process['operations'], ended: (end: OperationEnd) => void) => Running): void {
    const { process } = host
    if (process === undefined) throw new Error('not running')
    host.inProcess(process, () => {
      process.node.at(host.readings)
      this.#ops.set(`${this.#name(host)} ${scope}`, begin(process.operations, (end) => { this.#say(`${what}: ${this.#describe(scope, end)}`) }))
    })
  }

  #list(host: Host, prefix: string): void {
    const { process } = host
    if (process === undefined) throw new Error('not running')
    host.inProcess(process, () => {
      process.node.at(host.readings)
      process.operations.list({ prefix, limit: 100, heldOnly: false, without: [] }, (entries) => {
        const told = [...(entries ?? [])].map(([scope, { holder, token }]) => `${scope} is ${holder === null ? 'free' : `${holder.node}'s`}, token ${token}`)
        this.#say(`${this.#name(host)} lists ${prefix}: ${entries === undefined ? 'failed' : told.join('; ')}`)
      })
    })
  }

  /** `to`: to somebody else than who asked last. */
  #agree(host: Host, scope: string, to?: string): void {
    const last = this.#wishes.get(`${this.#name(host)} ${scope}`)
    if (last === undefined) throw new Error('nobody asked')
    const other = to === undefined ? undefined : this.#find(to).process?.node.session
    const wish = other === undefined ? last : { ...last, asker: other }
    this.#run(host, `${this.#name(host)} hands ${scope} to ${wish.asker.node}`, scope, (operations, ended) => operations.handOff(scope, wish.token, wish.asker, noBytes, ended))
  }

  #reconfigure(host: Host, list: string): void {
    const { process } = host
    if (process === undefined) throw new Error('not running')
    host.inProcess(process, () => {
      process.node.at(host.readings)
      process.node.reconfigure({
        wanted: { nodes: list.split(',') as NodeId[] }, mayDrop: () => this.#dropsFree, rowsAtOnce: this.#rowsAtOnce,
        ended: (end) => { this.#say(`${this.#name(host)} reconfigures: ${end.kind === 'active' ? `configuration ${end.config} is active` : `gave up, ${end.why}${end.sealed ? ', sealed' : ''}`}`) },
      })
    })
  }

  #fence(host: Host, scope: string): void {
    const token = host.process?.node.holdings.get(scope)?.value.token ?? 0
    const answer = this.#store.fence(scope, token)
    if (answer !== undefined) host.process?.node.holdings.fenced(scope, token)
    this.#say(answer === undefined ? `the store refuses ${token}` : `the store takes nothing below ${token} from now on`)
  }

  #describe(scope: string, end: OperationEnd): string {
    const of = (value: Value | undefined): string => (value === undefined ? 'never written' : `${value.holder === null ? 'free' : `${value.holder.node}'s`}, token ${value.token}`)
    switch (end.kind) {
      case 'granted':
      case 'lapsed':
      case 'released':
      case 'handed':
      case 'freed':
        return `${end.kind}, token ${end.value.token}`
      case 'held':
        this.#values.set(scope, end.value)
        return `held, it is ${of(end.value)}`
      case 'gone':
      case 'alive':
        if (end.value !== undefined) this.#values.set(scope, end.value)
        return `${end.kind}, it is ${of(end.value)}`
      case 'read':
        if (end.accepted !== undefined) this.#values.set(scope, end.accepted.value)
        return of(end.accepted?.value)
      case 'refused': return `refused: ${end.reason}`
      case 'failed': return `failed (${end.why})${end.unknown ? ', outcome unknown' : ''}`
    }
  }

  /** The value that somebody saw last: what takers mean to replace. */
  #seen(scope: string): Value {
    const value = this.#values.get(scope)
    if (value === undefined) throw new Error('nobody has seen it yet')
    return value
  }

  #who(scope: string): void {
    for (const host of this.#hosts) {
      const holding = host.process?.node.holdings.get(scope)
      if (holding === undefined || host.process === undefined) continue
      const token = host.process.node.mayAct(scope, host.readings)
      const why = host.process.node.isSessionValid(host.readings) ? (holding.frozen ? 'frozen' : 'not fenced') : 'session lapsed'
      this.#say(token === undefined ? `${this.#name(host)} has token ${holding.value.token} but may not act: ${why}` : `${this.#name(host)} may act with token ${token}`)
    }
    if (this.#out.length === 0) this.#say('nobody')
  }

  #register(scope: string): void {
    for (const host of this.#hosts) {
      if (host.disk.record.config === -1) continue
      const value = host.disk.registers.get(scope)?.accepted?.value
      this.#say(`${this.#name(host)}: ${value === undefined ? 'nothing accepted' : `token ${value.token} ${value.holder === null ? 'free' : value.holder.node}`}`)
    }
  }

  #voter(host: Host): void {
    const { process } = host
    if (process === undefined) throw new Error('not running')
    const { voter } = process
    this.#say(voter.forgot ? 'has noticed that it forgot' : voter.config === -1 ? 'votes in nothing' : `votes in configuration ${voter.config}${voter.sealed ? ', sealed' : ''}`)
  }

  #filter([link = '', label = '*']: string[], lose: boolean): void {
    const [from = '*', to = '*'] = link.split('>')
    this.#links.filters.push({ from, to, label, lose })
  }

  /** Takes the filters away and delivers what was held, or only what matches. */
  #release([link = '*>*', label = '*']: string[]): void {
    const [from = '*', to = '*'] = link.split('>')
    this.#links.filters.length = 0
    const all = this.#links.held.splice(0)
    for (const one of all) {
      if (matches(from, one.from) && matches(to, one.to) && matches(label, one.label)) this.#world.after(1, one.deliver)
      else this.#links.held.push(one)
    }
  }

  #sent(kinds: string[]): void {
    this.#say((kinds[0] ?? '').split(',').map((kind) => `${this.#links.counts.get(kind) ?? 0} ${kind}`).join(', '))
    this.#links.counts.clear()
  }

  #find(name: string): Host {
    const [id, copy] = name.split("'")
    const found = this.#hosts.filter((host) => host.id === id)[copy === undefined ? 0 : 1]
    if (found === undefined) throw new Error(`unknown word or host ${name}`)
    return found
  }

  /** A clone is n3'. */
  #name(host: Host): string {
    const same = this.#hosts.filter((other) => other.id === host.id)
    return same.indexOf(host) > 0 ? `${host.id}'` : host.id
  }

  #say(line: string): void {
    this.#out.push(line)
  }
}
