import { setMaxListeners } from 'node:events'
import type { NodeId } from '../base/index.js'
import { Emitter, abortReason, messageOf, withSignals } from '../base/index.js'
import type { Action, PlacementExplanation, Plan, Priority, QuotaReport } from '../storage-policy/index.js'
import { planDrain, planOf, planRebalance, takesMove, wantedReplicas } from '../storage-policy/index.js'
import { Answers } from './answers.js'
import { Carrier } from './carrier.js'
import { Claims } from './claims.js'
import { Conduct } from './conduct.js'
import { drainAway } from './draining.js'
import { Dropper } from './dropper.js'
import { saltOf } from './fingerprint.js'
import { Holders } from './holders.js'
import { Inventory } from './inventory.js'
import { listen } from './listening.js'
import { MeshNews, prioritiesRising, vitalsFlags } from './mesh-news.js'
import { registerMethods, vitalsBytesMax } from './methods.js'
import { Pauses } from './pausing.js'
import { Problems } from './problems.js'
import { PeerBook } from './peer-book.js'
import { Forgotten } from './forgotten.js'
import { Herald } from './herald.js'
import { Rounds } from './rounds.js'
import { checkSettings } from './settings.js'
import { Space } from './space.js'
import { Shedding } from './shedding.js'
import { beginSpread } from './spreading.js'
import { takesSpine } from './spine-shares.js'
import { SpotCheck } from './spot-check.js'
import { SteppingBack } from './stepping-back.js'
import { Stock } from './stock.js'
import { Target } from './target.js'
import { Telling } from './telling.js'
import { Trust } from './trust.js'
import type { DrainOutcome, EvictionOutcome, FileSpread, ReplicaCount, Replication, ReplicationComponents, ReplicationEvents, ReplicationSettings, ReplicationStatus, StorageOf } from './types.js'
import { ReplicationError } from './types.js'
import { Views } from './views.js'
import { Vouchers } from './vouchers.js'
import { Vouching } from './vouching.js'
import { Wants } from './wants.js'

/** The room at work. What it consists of is in README.md; here is who calls whom. */
export class ReplicationRoom implements Replication {
  readonly #components: ReplicationComponents
  readonly #self: NodeId
  readonly #events = new Emitter<ReplicationEvents>()
  readonly #inventory: Inventory
  readonly #holders: Holders
  readonly #wants: Wants
  readonly #vouchers: Vouchers
  readonly #telling: Telling
  readonly #vouching: Vouching
  readonly #book: PeerBook
  readonly #trust: Trust
  readonly #conduct: Conduct
  readonly #news: MeshNews
  readonly #forgotten: Forgotten
  readonly #space: Space
  readonly #target: Target
  readonly #dropper: Dropper
  readonly #carrier: Carrier
  readonly #spotCheck: SpotCheck
  readonly #herald: Herald
  readonly #stock: Stock
  readonly #answers: Answers
  readonly #views: Views
  readonly #shedding: Shedding
  readonly #rounds: Rounds
  readonly #problems = new Problems()
  #settings: ReplicationSettings
  /** Ends what goes on behind calls when `run` ends. */
  readonly #stop = new AbortController()
  #state: 'stopped' | 'running' = 'stopped'
  #paused = false
  #draining = false
  readonly #catalogChanges: Pauses
  readonly #copyChanges: Pauses

  constructor(components: ReplicationComponents, settings: ReplicationSettings) {
    checkSettings(settings)
    this.#components = components
    this.#settings = settings
    this.#self = components.connections.self
    const { blobs, rpc, clock, random, log, meta, connections, membership } = components
    this.#catalogChanges = new Pauses(clock)
    this.#copyChanges = new Pauses(clock)
    const salt = new DataView(random.bytes(8).buffer).getBigUint64(0)
    const inventory = (this.#inventory = new Inventory(saltOf(salt)))
    this.#telling = new Telling({ rpc, clock, log })
    this.#trust = new Trust(meta.slice('trust/'))
    const conduct = (this.#conduct = new Conduct({ clock }))
    const claims = new Claims({ onNote: () => this.#spotCheck.wake() })
    const holders = (this.#holders = new Holders({ inventory, book: () => this.#book, clock, claims }, this.#self))
    const book = (this.#book = new PeerBook(
      { rpc, connections, clock, random, log },
      {
        onInventory: (peer) => this.#changed(holders.inventoryOf(peer)),
        onDelta: (peer, delta) => this.#changed(holders.delta(peer, delta)),
        onVitals: (peer, before) => {
          void this.#forgotten.remove(peer)
          this.#rounds.heard(peer, before?.flags !== this.#book.vitalsOf(peer)?.flags)
        },
        onOffence: (peer, what) => {
          conduct.offended(peer, 'inventory')
          log.warn('a peer sent what is no inventory', { peer, what })
        },
        isTrusted: (peer) => this.#trust.trusts(peer, clock.wallMs()),
      },
    ))
    const vouchers = (this.#vouchers = new Vouchers({ meta: meta.slice('voucher/'), clock }))
    this.#wants = new Wants({ catalog: components.catalog, meta: meta.slice('parts/'), vouchers }, { self: this.#self, isHeld: (cid) => inventory.get(cid) !== undefined })
    const vouching = (this.#vouching = new Vouching(
      { rpc, connections, clock, log, vouchers, wants: this.#wants },
      {
        knowsAllParts: () => this.#stock.knowsAllParts,
        released: (cid, removed) => {
          this.#wants.changed(cid)
          if (removed) this.#stock.unneeded(cid)
          this.#changed([cid])
        },
      },
    ))
    this.#stock = new Stock(
      { blobs, clock, log, inventory, holders, wants: this.#wants },
      {
        settings: () => this.#settings,
        signal: this.#stop.signal,
        changed: (cids) => {
          this.#herald.soon()
          this.#changed(cids)
        },
        rescan: () => this.#rounds.rescan(),
        // A promise to another holder binds even where the catalog here says that nobody wants it: it may be behind.
        isBusy: (cid) => this.#carrier.isBusy(cid) || this.#target.isStoring(cid) || this.#dropper.isBound(cid),
        mayBeWanted: async (cid, signal) =>
          (await components.isKept?.(cid)) === true || (await components.mayBeWanted?.(cid, signal)) === true,
        orphanDropped: (cid, bytes) => this.#events.emit('done', { kind: 'drop', cid, to: null, bytes }),
      },
    )
    this.#space = new Space(components, { quota: () => this.#settings.quota, shares: () => this.#stock.shares })
    this.#news = new MeshNews(
      { membership, book, trust: this.#trust, conduct, clock },
      { self: this.#self, own: () => ({ quota: this.#space.last(), accepting: this.#closed() === undefined, repairing: this.#mayRepair() }) },
    )
    this.#forgotten = new Forgotten({ meta, nodes: this.#news.forgotten })
    this.#shedding = new Shedding(
      {
        clock, random, log, inventory, holders,
        wants: this.#wants,
        vouchers,
        news: this.#news,
        space: this.#space,
        late: () => ({ carrier: this.#carrier, dropper: this.#dropper, target: this.#target, views: this.#views }),
        reclaim: components.reclaim?.bind(components),
        isKept: async (cid) => (await components.isKept?.(cid)) === true,
      },
      { self: this.#self, settings: () => this.#settings, draining: () => this.#draining },
    )
    const isBusy = (): boolean => components.isBusy?.() === true
    this.#target = new Target(
      { blobs, clock, log, inventory, space: this.#space, steppingBack: new SteppingBack({ isBusy }) },
      {
        self: this.#self,
        storesMax: settings.storesMax,
        closed: () => this.#closed(),
        leaving: () => this.#draining,
        wantOf: (cid, root) => this.#wants.ask(cid, root),
        wantsVersion: () => this.#wants.version,
        partOf: (root, cid) => this.#wants.addParts(root, [cid]),
        vouched: async (cid, by, { wanted, priority }) => {
          await vouchers.take(cid, by, wanted, priority)
          this.#wants.changed(cid)
        },
        unvouched: async (cid, by) => {
          await vouchers.release(cid, by)
          this.#wants.changed(cid)
        },
        settled: (cid, root, by) => vouching.settle(cid, root, by),
        takesSpine: (bytes, comingBytes, want) => takesSpine({ inventory, wants: this.#wants }, bytes, comingBytes, want),
        takesMove: (bytes) => takesMove(this.#self, bytes, this.#news.mesh()),
        makeRoom: (bytes, want, signal) => this.#shedding.makeRoom(bytes, want, signal),
        stored: async (entry, from) => {
          // Whoever asked for it has it, and is making the other copies too: not a second coordinator's business yet.
          holders.say(entry.cid, from)
          this.#rounds.leave(entry.cid)
          await this.#stock.held(entry)
        },
        catalogChange: (waitMs, signal) => this.#catalogChanges.wait(waitMs, signal),
      },
    )
    this.#dropper = new Dropper(
      { blobs, rpc, meta: meta.slice('promise/'), clock, random, log, inventory },
      {
        self: this.#self,
        stopped: this.#stop.signal,
        mayDrop: (cid) => this.#shedding.mayDrop(cid),
        isGoing: (cid) => this.#stock.isGoing(cid),
        wants: async (cid) => (await this.#wants.ask(cid)) !== undefined || (await components.isKept?.(cid)) === true,
        dropped: (cid) => this.#stock.gone(cid),
        learned: (cid, peer, has, lied) => {
          holders.show(cid, peer, has)
          if (lied) this.#lied(peer)
          this.#changed([cid])
        },
      },
    )
    this.#carrier = new Carrier(
      { blobs, rpc, clock, random, log, inventory, holders, news: this.#news, steppingBack: new SteppingBack({ isBusy }) },
      {
        self: this.#self,
        copiesMax: settings.copiesMax,
        rootOf: (cid) => this.#wants.rootsOf(cid)[0],
        drop: (action, signal) => this.#shedding.drop(action, signal),
        voucherOf: (cid) => {
          const own = vouchers.isOwn(cid) ? vouchers.of(cid, this.#self) : undefined
          return own === undefined ? undefined : { wanted: own.wanted, priority: prioritiesRising.indexOf(own.priority) }
        },
        acknowledged: (cid, to) => {
          vouchers.acknowledged(cid, to)
        },
        lied: (peer) => this.#lied(peer),
        done: (action) => {
          if (action.kind === 'copy') this.#rounds.began(action.cid)
          this.#events.emit('done', { kind: action.kind, cid: action.cid, to: action.to, bytes: action.bytes })
          this.#changed([action.cid])
        },
        failed: (action, code, message) => {
          log.debug('a plan could not be carried out', { kind: action.kind, cid: action.cid, to: action.to, code, error: message })
          this.#events.emit('failed', { kind: action.kind, cid: action.cid, to: action.to, code, message })
          // Only a failed copy is tried elsewhere at once; what was refused to be dropped waits for the sweep.
          if (action.to !== null) this.#changed([action.cid])
        },
      },
    )
    this.#views = new Views(
      { clock, inventory, holders, wants: this.#wants, stock: this.#stock, carrier: this.#carrier },
      { policy: () => this.#rounds.policy(0), hasBegun: (cid) => this.#rounds.hasBegun(cid), told: (cid, wanted, have) => this.#events.emit('replicas', { cid, wanted, have }) },
    )
    this.#answers = new Answers(
      { blobs, clock, catalog: components.catalog, inventory, holders, wants: this.#wants, news: this.#news, changes: this.#copyChanges },
      { settings: () => this.#settings, stopped: this.#stop.signal },
    )
    this.#rounds = new Rounds(
      {
        clock, log, membership, inventory, holders,
        news: this.#news,
        stock: this.#stock,
        space: this.#space,
        dropper: this.#dropper,
        shedding: this.#shedding,
        carrier: this.#carrier,
        views: this.#views,
        problems: this.#problems,
      },
      {
        self: this.#self,
        settings: () => this.#settings,
        isResting: () => this.#paused || this.#draining,
        isBusy,
        returned: async (peer) => this.#forgotten.remove(peer),
        counted: () => this.#copyChanges.wake(),
      },
    )
    this.#spotCheck = new SpotCheck(
      { blobs, rpc, connections, clock, random, inventory, holders, book, log, claims },
      {
        changed: (cid) => this.#changed([cid]),
        intervalMs: () => this.#settings.spotCheckIntervalMs,
        mayAsk: () => this.#mayRepair(),
        lied: (peer) => this.#lied(peer),
      },
    )
    this.#herald = new Herald(
      { gossip: components.gossip, rpc, clock, log, connections, meta: meta.slice('herald/'), inventory, book },
      {
        settings: () => this.#settings,
        members: () => membership.members().length,
        quota: () => this.#space.last(),
        flags: () => this.#flags(),
        evictable: () => this.#shedding.evictable,
      },
    )
  }

  // --- lifecycle -------------------------------------------------------------------------------------------------

  async run(outer: AbortSignal): Promise<void> {
    const { clock, catalog, connections, gossip, membership } = this.#components
    // What is under way listens to a signal of our own, a listener each: dozens are no leak, and Node is told so.
    setMaxListeners(0, this.#stop.signal)
    const onAbort = (): void => this.#stop.abort(abortReason(outer))
    if (outer.aborted) return
    outer.addEventListener('abort', onAbort, { once: true })
    const { signal } = this.#stop
    await this.#trust.load(clock.wallMs())
    await this.#vouchers.load()
    await this.#wants.load()
    await this.#dropper.load()
    await this.#forgotten.load()
    await this.#stock.scan()
    await this.#space.report()
    await this.#herald.load()
    this.#state = 'running'
    registerMethods(this.#components.rpc, {
      clock,
      conduct: this.#conduct,
      target: this.#target,
      dropper: this.#dropper,
      inventory: this.#inventory,
      blobs: this.#components.blobs,
      vouching: this.#vouching,
      self: this.#self,
      swapVitals: (theirs, { from }) => {
        this.#book.hear(from, theirs)
        this.#rounds.wake()
        return this.#herald.vitals()
      },
    })
    const topic = gossip.topic('quota', { messageBytesMax: vitalsBytesMax })
    const stopListening = listen(
      { topic, catalog, connections, membership },
      { conduct: this.#conduct, book: this.#book, holders: this.#holders, stock: this.#stock, rounds: this.#rounds, herald: this.#herald, catalogChanges: this.#catalogChanges },
      signal,
    )
    try {
      await Promise.all([this.#rounds.run(signal), this.#herald.run(topic, signal), this.#spotCheck.run(signal), this.#book.run(signal), this.#vouching.run(signal)])
    } finally {
      stopListening()
      outer.removeEventListener('abort', onAbort)
      this.#state = 'stopped'
      this.#copyChanges.wake()
      this.#catalogChanges.wake()
    }
  }

  pause(): void {
    this.#paused = true
    this.#herald.soon()
  }

  resume(): void {
    this.#paused = false
    this.#herald.soon()
    this.#rounds.rescan()
  }

  configure(settings: Partial<ReplicationSettings>): void {
    const merged = { ...this.#settings, ...settings }
    checkSettings(merged)
    this.#settings = merged
    this.#herald.soon()
    this.#rounds.rescan()
  }

  heldChanged(came?: { root: string; blobs: readonly string[] }): void {
    const { log } = this.#components
    const told = came === undefined ? Promise.resolve() : this.#stock.cameWith(came.root, came.blobs)
    told
      .catch((error: unknown) => {
        log.debug('what file some blobs are a part of could not be noted', { error: messageOf(error) })
      })
      .finally(() => {
        this.#rounds.rescan()
      })
  }

  used(cid: string): void {
    const entry = this.#inventory.get(cid)
    if (entry !== undefined) entry.lastUsedMs = this.#components.clock.wallMs()
  }

  on<Name extends keyof ReplicationEvents>(name: Name, listener: (event: ReplicationEvents[Name]) => void): () => void {
    return this.#events.on(name, listener)
  }

  status(): ReplicationStatus {
    return {
      state: this.#state === 'stopped' ? 'stopped' : this.#draining ? 'draining' : this.#paused ? 'paused' : 'running',
      blobs: this.#inventory.size,
      ...this.#rounds.counts,
      copying: this.#carrier.copying,
      queued: this.#carrier.queued,
      storing: this.#target.storing,
      copied: this.#carrier.copied,
      copiedBytes: this.#carrier.copiedBytes,
      dropped: this.#stock.dropped,
      droppedBytes: this.#stock.droppedBytes,
      failed: this.#carrier.failures,
      problems: [...this.#problems.all(), ...this.#conduct.sentences()],
      untrusted: this.#trust.untrusted(this.#components.clock.wallMs()),
      lastSweepMs: this.#rounds.lastSweepMs,
    }
  }

  // --- questions -------------------------------------------------------------------------------------------------

  async replicasOf(target: string): Promise<ReplicaCount> {
    return this.#answers.replicasOf(target)
  }

  async wait(target: string, signal: AbortSignal, onProgress?: (count: ReplicaCount) => void): Promise<ReplicaCount> {
    return this.#answers.wait(target, signal, onProgress)
  }

  async explain(target: string): Promise<PlacementExplanation> {
    return this.#answers.explain(target)
  }

  async plan(): Promise<Plan> {
    const views = await this.#views.all()
    const drops = this.#stock.due().map((one): Action => ({ kind: 'drop', from: this.#self, to: null, ...one }))
    const plan = planRebalance(this.#self, views, this.#news.mesh(), this.#rounds.policy(this.#settings.rebalance.backgroundBytesMax), this.#components.clock.wallMs())
    return planOf([...drops, ...plan.actions])
  }

  rebalance(): void {
    this.#rounds.balanceNow()
  }

  copiesAtHand(root: string): NodeId[] {
    return this.#answers.copiesAtHand(root)
  }

  unneeded(cid: string): void {
    this.#stock.unneeded(cid)
  }

  async quota(): Promise<QuotaReport> {
    return this.#space.report()
  }

  storageOf(peer: NodeId): StorageOf | undefined {
    return this.#news.storageOf(peer, this.#settings.quota.shareExcess)
  }

  isForgotten(peer: NodeId): boolean {
    return this.#news.forgotten.has(peer)
  }

  isLeaving(peer: NodeId): boolean {
    return peer === this.#self ? this.#draining : this.#news.isLeaving(peer)
  }

  defaultReplicas(priority: Priority): number {
    return wantedReplicas(priority, undefined, this.#settings.factors, this.#news.mesh().freeShare())
  }

  // --- commands --------------------------------------------------------------------------------------------------

  async evict(options: { bytes: number; dryRun: boolean; signal?: AbortSignal }): Promise<EvictionOutcome> {
    const plan = this.#shedding.plan(await this.#shedding.candidates(), options.bytes)
    if (options.dryRun) return { ...plan, freedBytes: 0, refused: 0 }
    const signal = this.#with(options.signal)
    const freedBytes = await this.#shedding.carryOut(plan, signal)
    await this.#components.reclaim?.(signal)
    const freed = plan.actions.filter((action) => this.#inventory.get(action.cid) === undefined).length
    return { ...plan, freedBytes, refused: plan.actions.length - freed }
  }

  async reserve(bytes: number, signal?: AbortSignal, options: { orNothing?: boolean } = {}): Promise<{ release: () => Promise<void> }> {
    this.#checkStays()
    return withSignals([signal, this.#stop.signal], async (all) => this.#shedding.reserveOwn(bytes, all, options))
  }

  async spread(file: Parameters<Replication['spread']>[0], outer?: AbortSignal): Promise<FileSpread> {
    this.#checkStays()
    const { blobs, rpc, clock, log } = this.#components
    return withSignals([outer, this.#stop.signal], async (signal) => beginSpread(
      {
        blobs, rpc, clock, log,
        space: this.#space,
        news: this.#news,
        holders: this.#holders,
        inventory: this.#inventory,
        carrier: this.#carrier,
        shedding: this.#shedding,
        stock: this.#stock,
        wants: this.#wants,
        vouchers: this.#vouchers,
        telling: this.#telling,
        changes: this.#copyChanges,
        reclaim: async (signal) => this.#components.reclaim?.(signal),
      },
      { self: this.#self, settings: () => this.#settings, stopped: this.#stop.signal, rescan: () => { this.#rounds.rescan() } },
      { ...file, replicas: file.replicas ?? this.defaultReplicas(file.priority), isSaid: file.replicas !== undefined },
      signal,
    ))
  }

  async drain(signal: AbortSignal): Promise<DrainOutcome> {
    this.#draining = true
    this.#herald.soon()
    const all = this.#with(signal)
    try {
      return await drainAway(
        { clock: this.#components.clock, inventory: this.#inventory, carrier: this.#carrier },
        {
          plan: async () => {
            const views = await this.#views.all(true)
            return { wanted: views.length, ...planDrain(this.#self, views, this.#news.mesh(), this.#rounds.policy(Number.POSITIVE_INFINITY)) }
          },
        },
        all,
      )
    } finally {
      // Left on: a node that has drained takes nothing until it is started again, or `resume` after an abort.
      if (signal.aborted) {
        this.#draining = false
        this.#herald.soon()
        this.#rounds.rescan()
      }
    }
  }

  async forget(peer: NodeId): Promise<void> {
    await this.#forgotten.add(peer)
    this.#rounds.rescan()
  }

  // --- small things ----------------------------------------------------------------------------------------------

  /** Who drains its node stops it next: a file that came in meanwhile would go with it. */
  #checkStays(): void {
    if (this.#draining) throw new ReplicationError('NOT_ACCEPTING', 'this node is leaving (`drain`) and takes no files: put them at another one, or start this one again')
  }

  #mayRepair(): boolean {
    return !this.#paused && this.#components.mayRepair?.() !== false
  }

  #closed(): string | undefined {
    if (this.#draining) return 'this node is leaving'
    if (this.#components.mayRepair?.() === false) return 'this node is on battery or a metered network'
    return this.#settings.quota.shareExcess ? undefined : "this node does not take others' files"
  }

  #flags(): number {
    return (
      (this.#closed() === undefined ? vitalsFlags.accepting : 0) |
      (this.#mayRepair() ? vitalsFlags.repairing : 0) |
      (this.#settings.quota.shareExcess ? vitalsFlags.sharing : 0) |
      (this.#draining ? vitalsFlags.leaving : 0)
    )
  }

  #lied(peer: NodeId): void {
    const { clock, log } = this.#components
    log.warn('a peer claimed what it could not prove', { peer })
    this.#trust.strike(peer, clock.wallMs()).catch((error: unknown) => log.error('a strike could not be kept', { peer, error: messageOf(error) }))
    if (!this.#trust.trusts(peer, clock.wallMs())) this.#book.distrust(peer)
    this.#rounds.rescan()
  }

  #changed(cids: readonly string[]): void {
    if (cids.length === 0) return
    this.#rounds.changed(cids)
    this.#copyChanges.wake()
  }

  /** The caller's signal, and the end of the room. */
  #with(signal: AbortSignal | undefined): AbortSignal {
    if (signal === undefined) return this.#stop.signal
    const both = AbortSignal.any([signal, this.#stop.signal])
    setMaxListeners(0, both)
    return both
  }
}
