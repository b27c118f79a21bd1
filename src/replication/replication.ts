import { setMaxListeners } from 'node:events'
import type { NodeId } from '../base/index.js'
import { CommonError, Emitter, abortReason, messageOf } from '../base/index.js'
import type { Action, BlobView, EvictionCandidate, EvictionPlan, MeshView, PlacementExplanation, Plan, Priority, QuotaReport } from '../storage-policy/index.js'
import { explainPlacement, minimumReplicas, planDrain, planEviction, planOf, planRebalance, planRelief, priorities, standingOf, takesMove, wantedReplicas } from '../storage-policy/index.js'
import { Carrier } from './carrier.js'
import type { DropOutcome } from './dropper.js'
import { Dropper } from './dropper.js'
import { saltOf } from './fingerprint.js'
import { Holders } from './holders.js'
import { Inventory } from './inventory.js'
import type { HeldEntry } from './inventory.js'
import { decode, parseCid } from './messages.js'
import { MeshNews, vitalsFlags } from './mesh-news.js'
import { registerMethods, vitalsBytesMax } from './methods.js'
import { isOver, Pauses } from './pausing.js'
import { PeerBook } from './peer-book.js'
import { Herald } from './herald.js'
import { checkSettings } from './settings.js'
import { Space } from './space.js'
import { SpotCheck } from './spot-check.js'
import { Target } from './target.js'
import { Trust } from './trust.js'
import type { DrainOutcome, EvictionOutcome, ReplicaCount, Replication, ReplicationComponents, ReplicationEvents, ReplicationSettings, ReplicationStatus } from './types.js'
import { ReplicationError } from './types.js'
import type { Want } from './wants.js'
import { Wants } from './wants.js'
import { Vitals } from './wire/replication.js'

/** A file that came in here so recently that its owner may be watching. */
const freshMs = 10 * 60_000
/** What happens within this time is planned together. */
const gatherMs = 20
/** After a start or a wake-up nobody is judged before the others have had this long to be heard. */
const settleMs = 15_000
/** Deletions that are confirmed at once. */
const dropsMax = 8
/** A round of draining that moved nothing is tried again so often: a full or silent node may come back. */
const drainRoundsIdleMax = 3
const drainPauseMs = 5_000
const pollMs = 1_000
const problemsMax = 20

/** The room at work. What it consists of is in README.md; here is who calls whom. */
export class ReplicationRoom implements Replication {
  readonly #components: ReplicationComponents
  readonly #self: NodeId
  readonly #events = new Emitter<ReplicationEvents>()
  readonly #inventory: Inventory
  readonly #holders: Holders
  readonly #wants: Wants
  readonly #book: PeerBook
  readonly #trust: Trust
  readonly #news: MeshNews
  readonly #space: Space
  readonly #target: Target
  readonly #dropper: Dropper
  readonly #carrier: Carrier
  readonly #spotCheck: SpotCheck
  readonly #herald: Herald
  #settings: ReplicationSettings
  /** Ends what goes on behind calls when `run` ends. */
  readonly #stop = new AbortController()
  #state: 'stopped' | 'running' = 'stopped'
  #paused = false
  #draining = false
  /** Blobs to look at at the next plan. */
  #dirty = new Set<string>()
  #rescan = false
  #startedAtMs = 0
  /** Since when a blob has had live copies beyond the wanted ones, wall clock. */
  readonly #surplusSince = new Map<string, number>()
  /** Since when no file refers to a blob held here, elapsed time; `removed`: because one that did is gone. */
  readonly #orphans = new Map<string, { sinceMs: number; removed: boolean }>()
  readonly #tending: Pauses
  readonly #catalogChanges: Pauses
  readonly #copyChanges: Pauses
  #shares = { ownBytes: 0, othersBytes: 0, pinnedBytes: 0 }
  #counts = { underReplicated: 0, belowMinimum: 0 }
  #dropped = 0
  #droppedBytes = 0
  #lastSweepMs: number | undefined
  #budgetBytes = 0
  #budgetAtMs = 0
  #relieving = false
  readonly #problems = new Map<string, string>()

  constructor(components: ReplicationComponents, settings: ReplicationSettings) {
    checkSettings(settings)
    this.#components = components
    this.#settings = settings
    this.#self = components.connections.self
    const { blobs, rpc, clock, random, log, meta, connections, membership } = components
    this.#tending = new Pauses(clock)
    this.#catalogChanges = new Pauses(clock)
    this.#copyChanges = new Pauses(clock)
    const salt = new DataView(random.bytes(8).buffer).getBigUint64(0)
    const inventory = (this.#inventory = new Inventory(saltOf(salt)))
    this.#trust = new Trust(meta.slice('trust/'))
    const holders = (this.#holders = new Holders({ inventory, book: () => this.#book, clock }, this.#self))
    const book = (this.#book = new PeerBook(
      { rpc, connections, clock, random, log },
      {
        onInventory: (peer) => this.#changed(holders.inventoryOf(peer)),
        onDelta: (peer, delta) => this.#changed(holders.delta(peer, delta)),
        onVitals: (peer) => this.#heard(peer),
        onOffence: (peer, what) => log.warn('a peer sent what is no inventory', { peer, what }),
      },
    ))
    this.#wants = new Wants({ catalog: components.catalog, meta: meta.slice('parts/') }, this.#self)
    this.#space = new Space(components, { quota: () => this.#settings.quota, shares: () => this.#shares })
    this.#news = new MeshNews(
      { membership, book, trust: this.#trust, clock },
      { self: this.#self, own: () => ({ quota: this.#space.last(), accepting: this.#closed() === undefined, repairing: this.#mayRepair() }) },
    )
    this.#target = new Target(
      { blobs, clock, log, inventory, space: this.#space },
      {
        self: this.#self,
        storesMax: settings.storesMax,
        closed: () => this.#closed(),
        wantOf: (cid) => this.#wants.of(cid),
        partOf: (root, cid) => this.#wants.addParts(root, [cid]),
        takesMove: (bytes) => takesMove(this.#self, bytes, this.#news.mesh()),
        makeRoom: (bytes, want, signal) => this.#makeRoom(bytes, want, signal),
        stored: (entry) => this.#held(entry),
        catalogChange: (waitMs, signal) => this.#catalogChanges.wait(waitMs, signal),
      },
    )
    this.#dropper = new Dropper(
      { blobs, rpc, meta: meta.slice('promise/'), clock, random, log, inventory },
      {
        self: this.#self,
        mayDrop: (cid) => this.#mayDrop(cid),
        dropped: (cid) => this.#gone(cid),
        learned: (cid, peer, has, lied) => {
          holders.show(cid, peer, has)
          if (lied) this.#lied(peer)
          this.#changed([cid])
        },
      },
    )
    this.#carrier = new Carrier(
      { blobs, rpc, clock, random, log, inventory, holders, news: this.#news },
      {
        self: this.#self,
        copiesMax: settings.copiesMax,
        rootOf: (cid) => this.#wants.rootsOf(cid)[0],
        drop: (action, signal) => this.#drop(action, signal),
        lied: (peer) => this.#lied(peer),
        done: (action) => {
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
    this.#spotCheck = new SpotCheck(
      { blobs, rpc, connections, clock, random, inventory, holders, book },
      { lied: (cid, peer) => { this.#lied(peer); this.#changed([cid]) } },
    )
    this.#herald = new Herald(
      { gossip: components.gossip, rpc, clock, log, connections, meta: meta.slice('herald/'), inventory, book },
      {
        settings: () => this.#settings,
        members: () => membership.members().length,
        quota: () => this.#space.last(),
        flags: () => this.#flags(),
      },
    )
  }

  // --- lifecycle -------------------------------------------------------------------------------------------------

  async run(outer: AbortSignal): Promise<void> {
    const { clock, catalog, connections, gossip, membership, meta } = this.#components
    // What is under way listens to a signal of our own, a listener each: dozens are no leak, and Node is told so.
    setMaxListeners(0, this.#stop.signal)
    const onAbort = (): void => this.#stop.abort(abortReason(outer))
    if (outer.aborted) return
    outer.addEventListener('abort', onAbort, { once: true })
    const { signal } = this.#stop
    await this.#trust.load(clock.wallMs())
    await this.#wants.load()
    await this.#dropper.load()
    for await (const [key] of meta.slice('forgotten/').entries()) this.#news.forgotten.add(new TextDecoder().decode(key) as NodeId)
    await this.#scan()
    await this.#space.report()
    await this.#herald.load()
    this.#startedAtMs = clock.monotonicMs()
    this.#budgetAtMs = this.#startedAtMs
    this.#state = 'running'
    registerMethods(this.#components.rpc, {
      target: this.#target,
      dropper: this.#dropper,
      inventory: this.#inventory,
      blobs: this.#components.blobs,
      self: this.#self,
      swapVitals: (theirs, { from }) => {
        this.#book.hear(from, theirs)
        this.#poke()
        return this.#herald.vitals()
      },
    })
    const topic = gossip.topic('quota', { messageBytesMax: vitalsBytesMax })
    const stops = [
      topic.subscribe((message, from) => {
        let vitals: Vitals
        try {
          vitals = decode(Vitals, message)
        } catch {
          return 'reject'
        }
        return this.#book.hear(from, vitals)
      }),
      catalog.on('change', (change) => {
        this.#catalogChanged(change.previous?.content?.cid, change.current.content?.cid)
      }),
      membership.on('changed', () => this.#poke()),
      membership.on('revoked', (peer) => {
        this.#book.forget(peer)
        this.#holders.gone(peer)
        this.#rescan = true
        this.#poke()
      }),
      connections.on('connected', (peer) => {
        void this.#herald.swap(peer, this.#stop.signal).then(() => this.#poke())
      }),
    ]
    try {
      for (const peer of connections.connected()) void this.#herald.swap(peer, this.#stop.signal).then(() => this.#poke())
      await Promise.all([this.#tend(signal), this.#herald.run(topic, signal), this.#spotChecks(signal), this.#catchUp(signal)])
    } finally {
      for (const stop of stops) stop()
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
    this.#poke()
  }

  configure(settings: Partial<ReplicationSettings>): void {
    const merged = { ...this.#settings, ...settings }
    checkSettings(merged)
    this.#settings = merged
    this.#herald.soon()
    this.#rescan = true
    this.#poke()
  }

  heldChanged(): void {
    this.#rescan = true
    this.#poke()
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
      ...this.#counts,
      copying: this.#carrier.copying,
      queued: this.#carrier.queued,
      storing: this.#target.storing,
      copied: this.#carrier.copied,
      copiedBytes: this.#carrier.copiedBytes,
      dropped: this.#dropped,
      droppedBytes: this.#droppedBytes,
      failed: this.#carrier.failures,
      problems: [...this.#problems.values()],
      untrusted: this.#trust.untrusted(this.#components.clock.wallMs()),
      lastSweepMs: this.#lastSweepMs,
    }
  }

  // --- questions -------------------------------------------------------------------------------------------------

  async replicasOf(target: string): Promise<ReplicaCount> {
    const { root, wanted } = await this.#resolve(target)
    const blobs = await this.#blobsOf(root)
    const mesh = this.#news.mesh()
    let have = Number.POSITIVE_INFINITY
    let holders: Set<NodeId> | undefined
    for (const cid of blobs) {
      const counted = this.#countedHolders(cid, mesh)
      have = Math.min(have, counted.length)
      const before: ReadonlySet<NodeId> | undefined = holders
      holders = new Set(before === undefined ? counted : counted.filter((holder) => before.has(holder)))
    }
    return { wanted, have: Number.isFinite(have) ? have : 0, holders: [...(holders ?? [])].sort(), blobs: blobs.length }
  }

  async wait(target: string, signal: AbortSignal, onProgress?: (count: ReplicaCount) => void): Promise<ReplicaCount> {
    let last = -1
    for (;;) {
      signal.throwIfAborted()
      const count = await this.replicasOf(target)
      if (count.have !== last) onProgress?.(count)
      last = count.have
      if (count.have >= count.wanted) return count
      if (this.#stop.signal.aborted) throw new CommonError('UNAVAILABLE', 'the node is stopping')
      await this.#copyChanges.wait(pollMs, signal)
    }
  }

  async explain(target: string): Promise<PlacementExplanation> {
    const { root, wanted, priority, owner } = await this.#resolve(target)
    const [cid] = await this.#blobsOf(root)
    if (cid === undefined) throw new ReplicationError('NOT_FOUND', 'there is nothing in it')
    const bytes = this.#inventory.get(cid)?.bytes ?? (await this.#sizeOf(root))
    return explainPlacement(
      { cid, bytes, wanted, owner, ownerMustHold: priorities[priority].ownerMustHold, holders: this.#holders.of(cid) },
      this.#news.mesh(),
      this.#settings.placement,
    )
  }

  async plan(): Promise<Plan> {
    const views = await this.#views([...this.#inventory.entries()].map((entry) => entry.cid))
    const drops = [...this.#orphans].flatMap(([cid, orphan]): Action[] => {
      const entry = this.#inventory.get(cid)
      const reason = orphan.removed ? 'its file was removed' : 'no file is known to refer to it'
      return entry === undefined || !this.#orphanIsDue(cid) ? [] : [{ kind: 'drop', cid, from: this.#self, to: null, bytes: entry.bytes, reason }]
    })
    const plan = planRebalance(this.#self, views, this.#news.mesh(), this.#policy(this.#settings.rebalance.backgroundBytesMax), this.#components.clock.wallMs())
    return planOf([...drops, ...plan.actions])
  }

  async quota(): Promise<QuotaReport> {
    return this.#space.report()
  }

  storageOf(peer: NodeId): { maxBytes: number; usedBytes: number; shareExcess: boolean } | undefined {
    if (peer === this.#self) {
      const quota = this.#space.last()
      return quota === undefined ? undefined : { maxBytes: quota.maxBytes, usedBytes: quota.usedBytes, shareExcess: this.#settings.quota.shareExcess }
    }
    const vitals = this.#book.vitalsOf(peer)
    if (vitals === undefined) return undefined
    return { maxBytes: vitals.maxBytes, usedBytes: vitals.usedBytes, shareExcess: (vitals.flags & vitalsFlags.sharing) !== 0 }
  }

  defaultReplicas(priority: Priority): number {
    return wantedReplicas(priority, undefined, this.#settings.factors, this.#news.mesh().freeShare())
  }

  // --- commands --------------------------------------------------------------------------------------------------

  async evict(options: { bytes: number; dryRun: boolean; signal?: AbortSignal }): Promise<EvictionOutcome> {
    const plan = this.#planEviction(await this.#candidates(), options.bytes)
    if (options.dryRun) return { ...plan, freedBytes: 0, refused: 0 }
    const signal = options.signal === undefined ? this.#stop.signal : AbortSignal.any([options.signal, this.#stop.signal])
    const freedBytes = await this.#evictAll(plan, signal)
    await this.#components.reclaim?.(signal)
    const freed = plan.actions.filter((action) => this.#inventory.get(action.cid) === undefined).length
    return { ...plan, freedBytes, refused: plan.actions.length - freed }
  }

  async reserve(bytes: number, signal?: AbortSignal): Promise<{ release: () => Promise<void> }> {
    const all = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal])
    let admission = await this.#space.reserve(bytes, true, all)
    if (!admission.admitted && admission.shortBytes > 0 && this.#settings.autoEvict) {
      await this.#evictAll(this.#planEviction(await this.#candidates(), admission.shortBytes), all)
      await this.#components.reclaim?.(all)
      admission = await this.#space.reserve(bytes, true, all)
    }
    if (!admission.admitted) {
      throw new ReplicationError('NO_SPACE', admission.message, { reason: admission.reason, shortBytes: admission.shortBytes })
    }
    const { id } = admission.reservation
    return { release: () => this.#space.settle(id) }
  }

  async drain(signal: AbortSignal): Promise<DrainOutcome> {
    this.#draining = true
    this.#herald.soon()
    let moved = 0
    let idle = 0
    const all = AbortSignal.any([signal, this.#stop.signal])
    try {
      for (;;) {
        all.throwIfAborted()
        const views = await this.#views([...this.#inventory.entries()].map((entry) => entry.cid))
        if (views.length === 0) return { moved, remaining: 0, problems: [] }
        const { actions } = planDrain(this.#self, views, this.#news.mesh(), this.#policy(Number.POSITIVE_INFINITY))
        // Copies first, since a move lets go of the blob only when all who are to have it do.
        const before = this.#inventory.size
        await Promise.all(actions.filter((action) => action.kind === 'copy').map((action) => this.#carrier.carry(action, all)))
        await Promise.all(actions.filter((action) => action.kind !== 'copy' && (action.kind === 'evict' || action.to !== null)).map((action) => this.#carrier.carry(action, all)))
        moved += before - this.#inventory.size
        idle = this.#inventory.size < before ? 0 : idle + 1
        if (idle >= drainRoundsIdleMax) {
          const left = await this.#views([...this.#inventory.entries()].map((entry) => entry.cid))
          return { moved, remaining: left.length, problems: left.length === 0 ? [] : [`${String(left.length)} blobs have no other node to go to`] }
        }
        if (idle > 0) await this.#components.clock.sleep(drainPauseMs, all)
      }
    } finally {
      // Left on: a node that has drained takes nothing until it is started again, or `resume` after an abort.
      if (signal.aborted) {
        this.#draining = false
        this.#herald.soon()
      }
    }
  }

  async forget(peer: NodeId): Promise<void> {
    this.#news.forgotten.add(peer)
    const slice = this.#components.meta.slice('forgotten/')
    await slice.write([slice.put(new TextEncoder().encode(peer), new Uint8Array(0))], { durable: true })
    this.#rescan = true
    this.#poke()
  }

  // --- what goes on ----------------------------------------------------------------------------------------------

  /** Plans and starts; what it starts runs on by itself, bounded by the carrier. */
  async #tend(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#components
    while (!signal.aborted) {
      try {
        await this.#round(signal)
        this.#problems.delete('round')
      } catch (error) {
        if (isOver(signal)) return
        log.error('planning failed', { error: messageOf(error) })
        this.#problem('round', `planning failed: ${messageOf(error)}`)
      }
      if (this.#dirty.size === 0 && !this.#rescan) await this.#tending.wait(this.#settings.sweepIntervalMs, signal)
      try {
        await clock.sleep(gatherMs, signal)
      } catch {
        return
      }
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { clock } = this.#components
    const nowMs = clock.monotonicMs()
    const sweep = this.#rescan || this.#lastSweepMs === undefined || nowMs - this.#lastSweepMs >= this.#settings.sweepIntervalMs
    if (sweep) {
      this.#rescan = false
      await this.#scan()
      await this.#space.report()
      await this.#dropper.tick(signal)
      for (const peer of this.#news.forgotten) {
        if (this.#components.membership.members().some((member) => member.peerId === peer && member.state === 'up')) await this.#remember(peer)
      }
    }
    const looked = sweep ? [...this.#inventory.entries()].map((entry) => entry.cid) : [...this.#dirty]
    this.#dirty = new Set()
    const views = await this.#views(looked)
    const mesh = this.#news.mesh()
    this.#watchSurplus(views, mesh, sweep)
    if (sweep) {
      this.#lastSweepMs = nowMs
      await this.#dropOrphans(signal)
    }
    if (this.#paused || this.#draining) return
    const settling = nowMs - this.#startedAtMs < Math.min(settleMs, this.#settings.rebalance.graceMs)
    const budget = this.#refillBudget(nowMs)
    const { actions } = planRebalance(this.#self, views, mesh, this.#policy(budget), clock.wallMs())
    for (const action of actions) {
      if (action.kind === 'move' && !sweep) continue
      // Right after the start all others seem to be away; only what the owner has just put does not wait.
      if (settling && !this.#isFresh(action.cid)) continue
      if (action.urgent !== true && action.to !== null) this.#budgetBytes -= action.bytes
      void this.#carrier.carry(action, signal, { balance: action.kind === 'move' })
    }
    if (sweep && !settling && !this.#relieving) void this.#relieve(views, signal)
  }

  /** Gets below a limit that was lowered, or that another program on the same disk has made tighter. */
  async #relieve(views: readonly BlobView[], signal: AbortSignal): Promise<void> {
    this.#relieving = true
    try {
      const over = await this.#space.overBytes()
      if (over <= 0) {
        this.#problems.delete('over')
        return
      }
      this.#problem('over', `this node is ${String(over)} bytes over its limit and is shedding`)
      const freed = await this.#evictAll(this.#planEviction(await this.#candidates(), over), signal)
      if (freed < over) {
        const held = views.filter((view) => this.#inventory.get(view.cid) !== undefined && this.#wants.last(view.cid)?.pinned !== true)
        const relief = planRelief(this.#self, held, over - freed, this.#news.mesh(), this.#policy(Number.POSITIVE_INFINITY))
        await Promise.all(relief.actions.map((action) => this.#carrier.carry(action, signal)))
      }
      await this.#components.reclaim?.(signal)
    } catch (error) {
      if (!signal.aborted) this.#components.log.warn('shedding failed', { error: messageOf(error) })
    } finally {
      this.#relieving = false
    }
  }

  async #spotChecks(signal: AbortSignal): Promise<void> {
    const { clock, random, log } = this.#components
    while (!signal.aborted) {
      try {
        await clock.sleep(this.#settings.spotCheckIntervalMs * (0.5 + random.float()), signal)
        if (!this.#paused && this.#mayRepair()) await this.#spotCheck.once(signal)
      } catch (error) {
        if (isOver(signal)) return
        log.debug('a spot check went wrong', { error: messageOf(error) })
      }
    }
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#book.catchUp(signal)
        await this.#components.clock.sleep(2 * pollMs, signal)
      } catch {
        if (isOver(signal)) return
      }
    }
  }

  // --- what is held ----------------------------------------------------------------------------------------------

  /** Brings the inventory in line with the disk. */
  async #scan(): Promise<void> {
    const seen = new Set<string>()
    for await (const held of this.#components.blobs.list()) {
      const cid = held.cid.toString()
      seen.add(cid)
      await this.#held({ cid, kind: held.kind, bytes: held.bytes, blocks: held.blocks, heldSinceMs: held.heldSinceMs })
    }
    for (const entry of [...this.#inventory.entries()]) {
      // What was stored or dropped while the list was read is told apart by asking once more.
      if (!seen.has(entry.cid) && !(await this.#isOnDisk(entry.cid))) await this.#gone(entry.cid, true)
    }
    let own = 0
    let others = 0
    let pinned = 0
    for (const entry of this.#inventory.entries()) {
      const want = await this.#wants.of(entry.cid)
      if (want?.own === true) own += entry.bytes
      else others += entry.bytes
      if (want?.pinned === true) pinned += entry.bytes
    }
    this.#shares = { ownBytes: own, othersBytes: others, pinnedBytes: pinned }
  }

  async #isOnDisk(cid: string): Promise<boolean> {
    const parsed = parseCid(cid)
    return parsed !== undefined && (await this.#components.blobs.held(parsed)) !== undefined
  }

  async #held(entry: Omit<HeldEntry, 'hash' | 'lastUsedMs'>): Promise<void> {
    if (!this.#inventory.add(entry)) return
    this.#holders.held(entry.cid)
    this.#herald.soon()
    if (entry.kind === 'spine') await this.#learnParts(entry.cid)
    this.#changed([entry.cid])
  }

  async #learnParts(root: string): Promise<void> {
    const cid = parseCid(root)
    if (cid === undefined) return
    try {
      const parts = (await this.#components.blobs.blobsOf(cid, { signal: this.#stop.signal })).map((part) => part.cid.toString())
      await this.#wants.addParts(root, parts)
      this.#changed(parts)
    } catch (error) {
      this.#components.log.debug('the parts of a file could not be read', { cid: root, error: messageOf(error) })
    }
  }

  async #gone(cid: string, silently = false): Promise<void> {
    const entry = this.#inventory.get(cid)
    if (!this.#inventory.remove(cid)) return
    if (!silently && entry !== undefined) {
      this.#dropped++
      this.#droppedBytes += entry.bytes
    }
    this.#holders.dropped(cid)
    this.#surplusSince.delete(cid)
    this.#orphans.delete(cid)
    this.#herald.soon()
    await this.#wants.forget(cid)
    this.#changed([cid])
  }

  // --- what is wanted --------------------------------------------------------------------------------------------

  async #views(cids: readonly string[]): Promise<BlobView[]> {
    const views: BlobView[] = []
    for (const cid of cids) {
      const entry = this.#inventory.get(cid)
      if (entry === undefined) continue
      const want = await this.#wants.of(cid)
      if (want === undefined) {
        if (!this.#orphans.has(cid)) this.#orphans.set(cid, { sinceMs: this.#components.clock.monotonicMs(), removed: false })
        continue
      }
      this.#orphans.delete(cid)
      const holders = new Set([...this.#holders.of(cid), ...this.#carrier.targetsOf(cid)])
      views.push({
        cid,
        bytes: entry.bytes,
        priority: want.priority,
        owner: want.owner,
        wanted: want.wanted,
        holders: [...holders],
        surplusSinceMs: want.pinned ? undefined : this.#surplusSince.get(cid),
        fresh: this.#isFresh(cid),
      })
    }
    return views
  }

  #isFresh(cid: string): boolean {
    const entry = this.#inventory.get(cid)
    return entry !== undefined && this.#wants.last(cid)?.own === true && this.#components.clock.wallMs() - entry.heldSinceMs < freshMs
  }

  #watchSurplus(views: readonly BlobView[], mesh: MeshView, all: boolean): void {
    const nowMs = this.#components.clock.wallMs()
    const policy = this.#policy(0)
    let under = 0
    let below = 0
    for (const view of views) {
      const standing = standingOf(view, mesh, policy)
      if (standing.surplus === 0) this.#surplusSince.delete(view.cid)
      else if (!this.#surplusSince.has(view.cid)) this.#surplusSince.set(view.cid, nowMs)
      if (standing.counted < view.wanted) under++
      if (standing.live < standing.minimum) below++
      this.#events.emit('replicas', { cid: view.cid, wanted: view.wanted, have: standing.counted })
    }
    if (all) {
      this.#counts = { underReplicated: under, belowMinimum: below }
      if (under > 0) this.#problem('under', `${String(under)} blobs here have fewer copies than wanted`)
      else this.#problems.delete('under')
    }
    this.#copyChanges.wake()
  }

  #orphanIsDue(cid: string): boolean {
    const orphan = this.#orphans.get(cid)
    if (orphan === undefined) return false
    const waitMs = orphan.removed ? this.#settings.removedAfterMs : this.#settings.orphanAfterMs
    return this.#components.clock.monotonicMs() - orphan.sinceMs >= waitMs
  }

  async #dropOrphans(signal: AbortSignal): Promise<void> {
    for (const cid of [...this.#orphans.keys()]) {
      signal.throwIfAborted()
      if (!this.#orphanIsDue(cid) || this.#carrier.isBusy(cid) || this.#target.isStoring(cid)) continue
      // Asked anew, past what is remembered: somebody may have put it again.
      this.#wants.changed(cid)
      const parsed = parseCid(cid)
      if (parsed === undefined || (await this.#wants.of(cid)) !== undefined) continue
      const bytes = this.#inventory.get(cid)?.bytes ?? 0
      await this.#components.blobs.drop(parsed)
      await this.#gone(cid)
      this.#events.emit('done', { kind: 'drop', cid, to: null, bytes })
    }
  }

  #catalogChanged(before: string | undefined, after: string | undefined): void {
    const nowMs = this.#components.clock.monotonicMs()
    for (const root of new Set([before, after])) {
      if (root === undefined) continue
      const touched = this.#wants.changed(root).filter((cid) => this.#inventory.get(cid) !== undefined)
      if (root === before && root !== after) for (const cid of touched) this.#orphans.set(cid, { sinceMs: nowMs, removed: true })
      this.#changed(touched)
    }
    // A file that was just put here: the blobs are on the disk, and not yet in the inventory.
    if (after !== undefined && this.#inventory.get(after) === undefined) void this.#lookFor(after)
    this.#catalogChanges.wake()
  }

  async #lookFor(root: string): Promise<void> {
    try {
      const cid = parseCid(root)
      const held = cid === undefined ? undefined : await this.#components.blobs.held(cid)
      if (held === undefined) return
      await this.#held({ cid: root, kind: held.kind, bytes: held.bytes, blocks: held.blocks, heldSinceMs: held.heldSinceMs })
      // The blobs below a spine came with it.
      if (held.kind === 'spine') this.heldChanged()
    } catch (error) {
      this.#components.log.debug('a new file could not be looked at', { cid: root, error: messageOf(error) })
    }
  }

  // --- letting go ------------------------------------------------------------------------------------------------

  async #candidates(): Promise<EvictionCandidate[]> {
    const mesh = this.#news.mesh()
    const candidates: EvictionCandidate[] = []
    for (const entry of this.#inventory.entries()) {
      const want = await this.#wants.of(entry.cid)
      if (want === undefined) continue
      candidates.push({
        cid: entry.cid,
        bytes: entry.bytes,
        priority: want.priority,
        copies: this.#liveHolders(entry.cid, mesh).length,
        wanted: want.wanted,
        minimum: minimumReplicas(want.wanted, this.#settings.factors),
        pinned: want.pinned,
        inUse: this.#carrier.isBusy(entry.cid) || this.#target.isStoring(entry.cid),
        ownerMustHold: priorities[want.priority].ownerMustHold && want.owner === this.#self,
        promised: this.#dropper.isBound(entry.cid),
        heldSinceMs: entry.heldSinceMs,
        lastUsedMs: entry.lastUsedMs,
      })
    }
    return candidates
  }

  #planEviction(candidates: readonly EvictionCandidate[], bytes: number): EvictionPlan {
    const nowMs = this.#components.clock.wallMs()
    return planEviction(candidates, { self: this.#self, strategy: this.#settings.evictionStrategy, bytes, nowMs, seed: this.#components.random.below(2 ** 31) })
  }

  /**
   * For somebody else's blob: only what there is too much of, or what matters less than what is to come. Without that,
   * full nodes would push each other's copies around in a circle for ever; so every such step is a step up.
   */
  async #makeRoom(bytes: number, want: Want, signal: AbortSignal): Promise<boolean> {
    if (!this.#settings.autoEvict) return false
    const value = priorities[want.priority].value
    const candidates = (await this.#candidates()).filter((one) => one.copies > one.wanted || priorities[one.priority].value < value)
    const plan = this.#planEviction(candidates, bytes)
    const freed = plan.shortBytes > 0 ? 0 : await this.#evictAll(plan, signal)
    // Garbage may be all that stands in the way.
    if (freed > 0 || (this.#space.last()?.reclaimableBytes ?? 0) >= bytes) await this.#components.reclaim?.(signal)
    return freed > 0 || (this.#space.last()?.reclaimableBytes ?? 0) >= bytes
  }

  async #evictAll(plan: Plan, signal: AbortSignal): Promise<number> {
    let freed = 0
    const queue = [...plan.actions]
    const work = async (): Promise<void> => {
      for (let action = queue.shift(); action !== undefined; action = queue.shift()) {
        if (signal.aborted) return
        if (await this.#carrier.carry(action, signal)) freed += action.bytes
      }
    }
    await Promise.all(Array.from({ length: dropsMax }, work))
    return freed
  }

  /** By the exchange. The floor: what the action leaves others with on purpose, and never less than the minimum. */
  async #drop(action: Action, signal: AbortSignal): Promise<DropOutcome> {
    const want = await this.#wants.of(action.cid)
    const minimum = minimumReplicas(want?.wanted ?? 1, this.#settings.factors)
    const others = this.#liveHolders(action.cid, this.#news.mesh()).filter((holder) => holder !== this.#self)
    const floor = action.kind === 'evict' && !this.#draining ? minimum : Math.max(minimum, Math.min(want?.wanted ?? 1, others.length))
    return this.#dropper.drop(action.cid, others, action.kind === 'trim' ? Math.max(floor, want?.wanted ?? 1) : floor, signal)
  }

  async #mayDrop(cid: string): Promise<boolean> {
    if (this.#inventory.get(cid) === undefined || this.#target.isStoring(cid) || this.#carrier.targetsOf(cid).length > 0) return false
    if (this.#draining) return true
    const want = await this.#wants.of(cid)
    if (want === undefined) return true
    return !want.pinned && !(priorities[want.priority].ownerMustHold && want.owner === this.#self)
  }

  // --- small things ----------------------------------------------------------------------------------------------

  #policy(backgroundBytesMax: number): Parameters<typeof planRebalance>[3] {
    const { placement, rebalance, factors } = this.#settings
    return { placement, factors, rebalance: { ...rebalance, backgroundBytesMax } }
  }

  #refillBudget(nowMs: number): number {
    const { backgroundBytesPerSecond, rebalance } = this.#settings
    this.#budgetBytes = Math.min(rebalance.backgroundBytesMax, this.#budgetBytes + (backgroundBytesPerSecond * (nowMs - this.#budgetAtMs)) / 1000)
    this.#budgetAtMs = nowMs
    return this.#budgetBytes
  }

  #liveHolders(cid: string, mesh: MeshView): NodeId[] {
    return this.#holders.of(cid).filter((id) => {
      const node = mesh.get(id)
      return node?.view.state === 'up' && node.view.trusted
    })
  }

  #countedHolders(cid: string, mesh: MeshView): NodeId[] {
    return this.#holders.of(cid).filter((id) => {
      const node = mesh.get(id)
      return node?.view.trusted === true && node.view.state !== 'gone' && node.view.silentMs <= this.#settings.rebalance.graceMs
    })
  }

  async #resolve(target: string): Promise<{ root: string; wanted: number; priority: Priority; owner: NodeId | undefined }> {
    const { catalog } = this.#components
    if (target.startsWith('/')) {
      const record = await catalog.get(target)
      if (record?.content === undefined) throw new ReplicationError('NOT_FOUND', 'there is no such file', { path: target })
      return { root: record.content.cid, wanted: Math.max(1, record.content.replicas), priority: record.content.priority, owner: record.owner }
    }
    const cid = parseCid(target)?.toString()
    if (cid === undefined) throw new ReplicationError('NOT_FOUND', 'neither a path nor a CID', { target })
    this.#wants.changed(cid)
    const want = await this.#wants.of(cid)
    if (want !== undefined) return { root: cid, wanted: want.wanted, priority: want.priority, owner: want.owner }
    if (this.#holders.of(cid).length === 0) throw new ReplicationError('NOT_FOUND', 'no file is known to have it, and no node to hold it', { cid })
    return { root: cid, wanted: 1, priority: 'normal', owner: undefined }
  }

  async #sizeOf(root: string): Promise<number> {
    const [record] = await this.#components.catalog.byCid(root)
    return record?.content?.size ?? 0
  }

  /** The blobs under a root. Most files are one; only a larger one, or a folder, has a spine to be read. */
  async #blobsOf(root: string): Promise<string[]> {
    const entry = this.#inventory.get(root)
    if (entry?.kind === 'dag') return [root]
    if (entry === undefined && (await this.#sizeOf(root)) <= 2 ** 20) return [root]
    const cid = parseCid(root)
    if (cid === undefined) return []
    const blobs = await this.#components.blobs.blobsOf(cid, { signal: this.#stop.signal, holders: this.#holders.of(root) })
    return blobs.length === 0 ? [root] : blobs.map((blob) => blob.cid.toString())
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
    this.#rescan = true
    this.#poke()
  }

  #heard(peer: NodeId): void {
    if (this.#news.forgotten.has(peer)) void this.#remember(peer)
  }

  async #remember(peer: NodeId): Promise<void> {
    this.#news.forgotten.delete(peer)
    const slice = this.#components.meta.slice('forgotten/')
    await slice.write([slice.del(new TextEncoder().encode(peer))], { durable: false })
  }

  #problem(key: string, sentence: string): void {
    if (this.#problems.size < problemsMax) this.#problems.set(key, sentence)
  }

  #changed(cids: readonly string[]): void {
    if (cids.length === 0) return
    for (const cid of cids) this.#dirty.add(cid)
    this.#copyChanges.wake()
    this.#poke()
  }

  #poke(): void {
    this.#tending.wake()
  }
}
