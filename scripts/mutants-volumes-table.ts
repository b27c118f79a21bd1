import type { Weather } from '../test/simulation/volumes/simulation.js'

export interface VolumeMutant {
  readonly name: string
  /** In src/volumes/engine. */
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
  readonly weather?: Partial<Weather>
}

const deadly: Partial<Weather> = { crashes: true, power: true, partitions: true, deafness: true, clockErrorMs: 0, delayMaxMs: 12, faultMs: 1_500 }
const moving: Partial<Weather> = { ...deadly, handOffs: true }

export const volumeMutants: readonly VolumeMutant[] = [
  {
    name: 'flush acknowledged without the replicas\' sync',
    weather: { ...deadly, replicas: 2 },
    edits: [{ file: 'holder.ts', find: 'return { all: missing.length === 0, silent: stop.signal.aborted ? missing : [] }', replace: 'return { all: true, silent: [] }' }],
  },
  {
    name: 'flush without a sync of the own disk',
    weather: { ...deadly, replicas: 1 },
    edits: [{ file: 'holder.ts', find: '    const ownSynced = hold.stream.sync()\n', replace: '    const ownSynced = Promise.resolve()\n' }],
  },
  {
    name: 'silent replica not left out before the acknowledgement',
    weather: { ...deadly, replicas: 2 },
    edits: [{ file: 'holder.ts', find: '      for (const node of silent) await this.#remove(hold, node)\n', replace: '      if (silent.length > 0) return \'done\'\n' }],
  },
  {
    name: 'replica counted in sync before it has copied',
    weather: { ...deadly, replicas: 2 },
    edits: [{ file: 'replica.ts', find: '    await this.#withLock(id, (lock) => this.#copyRange(id, from, { start: 0, blocks: segmentBlocks }, lock, { isVoid, stale: false, signal }))\n', replace: '    void isVoid\n' }],
  },
  {
    name: 'a returning replica keeps what is newer than what counts',
    weather: { ...deadly, replicas: 3, machines: 4 },
    edits: [{ file: 'replica.ts', find: 'return order > 0 || (order < 0 && here.version !== undefined && isVoid(here.version, block))', replace: 'return order > 0' }],
  },
  {
    name: 'recovery without bringing the shorter replicas up',
    weather: { ...deadly, replicas: 3, machines: 4 },
    edits: [{ file: 'takeover.ts', find: 'const others = segment.replicas.filter((node) => node !== source)', replace: 'const others: NodeId[] = []' }],
  },
  {
    name: 'silent replica kept in a recovery',
    weather: { ...deadly, replicas: 2 },
    // Not being left out alone is only slower: who must be brought to the stream's end is fenced by that, or left out then.
    edits: [{ file: 'takeover.ts', find: '    if (fenced.silent.length > 0) {', replace: '    if (fenced.silent.length > 99) {' }, { file: 'takeover.ts', find: 'const others = segment.replicas.filter((node) => node !== source)', replace: 'const others = segment.replicas.filter((node) => node !== source && ends.has(node))' }],
  },
  {
    name: 'leftovers of an earlier hold served',
    weather: { ...moving, replicas: 1, machines: 4 },
    edits: [{ file: 'takeover.ts', find: 'for (const entry of mine) await components.disk.forget(this.#id, entry)\n', replace: '' }, { file: 'hand-off.ts', find: '    await disk.forget(id, range)\n', replace: '' }],
  },
  {
    name: 'log of somebody else\'s stream counts in a recovery',
    weather: { ...deadly, replicas: 2, machines: 4 },
    edits: [{ file: 'takeover.ts', find: 'if (!isReplica && source !== self) {', replace: 'if (!isReplica && own.size === 0) {' }],
  },
  {
    name: 'hand-off without a flush before the proposal',
    weather: { ...moving, replicas: 2 },
    edits: [{ file: 'hand-off.ts', find: 'const flushed = withDeadline(components.clock, flushDeadlineMs, signal, (deadline) => holder.flush(hold.token, deadline))', replace: 'const flushed = Promise.resolve(\'done\')' }],
  },
  {
    name: 'hand-off without waiting for what is under way',
    weather: { ...moving, replicas: 1, delayMaxMs: 150 },
    edits: [{ file: 'hand-off.ts', find: 'holder.lock.lock(frozen)', replace: '(() => undefined)' }, { file: 'hand-off.ts', find: 'holder.relinquish(range, hold.token)', replace: 'await Promise.resolve()' }],
  },
  {
    name: 'proxied retry applied twice',
    weather: { ...moving, delayMaxMs: 150 },
    edits: [{ file: 'holder.ts', find: '          if (applied !== undefined) return this.#told(range, hold, applied)', replace: '          void applied' }],
  },
  {
    name: 'duplicate told by its number alone',
    weather: { ...moving, crashes: false },
    edits: [{ file: 'holder.ts', find: 'answer.sequence === origin.sequence && covers(answer.range, range)', replace: 'answer.sequence === origin.sequence' }],
  },
  {
    name: 'lost writes not sent again',
    weather: { ...deadly, replicas: 2, machines: 4 },
    edits: [{ file: 'access.ts', find: '      await this.#replay(lost, deadline)', replace: '      void lost' }],
  },
  {
    name: 'lost writes of an own hold kept quiet about',
    weather: { ...deadly, replicas: 1, machines: 4, faultMs: 900 },
    edits: [{ file: 'access.ts', find: 'if (fate === \'lost\') this.#fail()', replace: 'if (fate === \'lost\') this.#marks.delete(token)' }],
  },
  {
    name: 'validity not asked',
    weather: { ...deadly, replicas: 1, machines: 4, crashes: false, faultMs: 900 },
    edits: [{ file: 'context.ts', find: 'return consensus.sessionRemainingMs() > 0 ? consensus.session : undefined', replace: 'return consensus.session' }],
  },
  {
    name: 'an old copy declares a disk whole after it left',
    weather: { ...deadly, replicas: 2, machines: 4 },
    edits: [{ file: 'replica.ts', find: '    signal.throwIfAborted()\n    await disk.setWhole(id, true)', replace: '    await disk.setWhole(id, true)' }, { file: 'replica.ts', find: 'const turn = (this.#turns.get(key) ?? Promise.resolve()).then(work)', replace: 'const turn = work()' }, { file: 'replica.ts', find: '    this.#jobs.get(key)?.stop.abort()\n', replace: '' }],
  },
  {
    name: 'a replica brought up in a recovery is not whole any more',
    weather: { ...deadly, replicas: 3, machines: 4 },
    edits: [{ file: 'replica.ts', find: 'await disk.adopt(id, cut.token, cut.sequence, { complete: true })', replace: 'await disk.adopt(id, cut.token, cut.sequence)' }],
  },
  {
    name: 'leftovers past a cut stay with one replica',
    weather: { ...moving, replicas: 2, machines: 4 },
    edits: [{ file: 'replica.ts', find: 'cuts.some((cut) => cut.token === version.token && version.sequence > cut.sequence)', replace: 'cuts.length > 99 && version.token === 0' }],
  },
  {
    name: 'a flush does not wait for lost writes that are being sent again',
    weather: { ...deadly, replicas: 2, machines: 4 },
    edits: [{ file: 'access.ts', find: 'return this.#replaying === 0 && this.#isChecked()', replace: 'return this.#isChecked()' }],
  },
  {
    name: 'what comes while lost writes are sent again goes between them',
    edits: [{ file: 'access.ts', find: 'while (this.#queue[0]?.parent === parent) await this.#dispatch()', replace: 'while (this.#queue.length > 0) await this.#dispatch()' }],
  },
  {
    name: 'lost writes are sent again under the numbers of new ones',
    weather: { ...deadly, replicas: 1, machines: 4, handOffs: true },
    edits: [{ file: 'access.ts', find: "const numbering = { client: Buffer.from(this.#context.components.random.bytes(16)).toString('hex'), last: 0 }", replace: 'const numbering = this.#numbering' }],
  },
  {
    name: 'writes behind one that failed are applied',
    weather: { ...moving, replicas: 1, machines: 4 },
    edits: [{ file: 'service.ts', find: 'if (result.outcome !== Outcome.MOVED) return { results }', replace: 'if (result.outcome !== Outcome.MOVED) continue' }],
  },
  {
    name: 'a write told of in an offer counts as applied after it was cut',
    weather: { ...moving, replicas: 1, machines: 4 },
    edits: [{ file: 'holder.ts', find: 'one.origin.sequence >= origin.sequence && !isCut(one.version))', replace: 'one.origin.sequence >= origin.sequence && (!isCut(one.version) || true))' }],
  },
  {
    name: 'an opening has the name of the one before',
    edits: [{ file: 'engine.ts', find: "client: Buffer.from(components.random.bytes(16)).toString('hex'), devices", replace: "client: '00112233445566778899aabbccddee' + this.#context.self.slice(-2).replace(/[^0-9a-f]/g, '0'), devices" }],
  },
  {
    name: 'late word undoes a joining',
    weather: { ...deadly, leaves: true, replicas: 2, machines: 4, delayMaxMs: 150 },
    edits: [{ file: 'replica.ts', find: 'if (configuration < (this.#begun.get(key) ?? 0)) return false\n', replace: '' }, { file: 'replica.ts', find: 'if (!(await this.#components.isJoining(id, configuration, signal))) throw', replace: 'if (configuration < 0) throw' }, { file: 'engine.ts', find: 'const now = await registers.refresh(id, signal)\n    if (now === undefined', replace: 'const now = registers.view(id)\n    if (now === undefined' }],
  },
  {
    name: 'late word undoes a joining, if nobody remembers it',
    weather: { ...deadly, leaves: true, replicas: 2, machines: 4, delayMaxMs: 150 },
    edits: [{ file: 'engine.ts', find: 'const now = await registers.refresh(id, signal)\n    if (now === undefined', replace: 'const now = registers.view(id)\n    if (now === undefined' }],
  },
  {
    name: 'late word ends a joining that has begun',
    edits: [{ file: 'replica.ts', find: 'if (configuration < (this.#begun.get(key) ?? 0)) return false\n', replace: '' }],
  },
  {
    name: 'a late question begins an earlier joining',
    edits: [{ file: 'replica.ts', find: 'if (options.join && segment.configuration < (this.#begun.get(key) ?? 0)) return', replace: 'if (options.join && segment.configuration < 0) return' }],
  },
  {
    name: 'a joining begins without a look at the register',
    edits: [{ file: 'replica.ts', find: 'if (!(await this.#components.isJoining(id, configuration, signal))) throw', replace: 'if (configuration < 0) throw' }],
  },
  {
    name: 'a joining that an earlier process may have ended begins anew',
    edits: [{ file: 'replica.ts', find: 'if (configuration <= first) throw', replace: 'if (configuration < 0) throw' }],
  },
  {
    name: 'bytes of a message under way may be used again',
    weather: { ...deadly, replicas: 2 },
    edits: [{ file: 'stream.ts', find: '      spareMemory.share(entry.bytes)\n', replace: '' }],
  },
  {
    name: 'bytes of a message that failed may be used again',
    weather: { ...deadly, replicas: 2 },
    edits: [{ file: 'sender.ts', find: '    } catch (error) {\n      this.#failed(messageOf(error))', replace: '    } catch (error) {\n      released(message.entries)\n      this.#failed(messageOf(error))' }],
  },
  {
    name: 'a tail keeps bytes that are the caller\'s again',
    weather: { ...deadly, replicas: 2 },
    edits: [{ file: 'stream.ts', find: 'bytes: this.#tailMemory.copyOf(entry.bytes) }', replace: 'bytes: entry.bytes }' }],
  },
  {
    name: 'what another holder was told is kept as the caller\'s bytes',
    weather: { ...deadly, replicas: 2 },
    edits: [{ file: 'access.ts', find: '{ ...write, bytes: Uint8Array.from(write.bytes) }', replace: 'write' }],
  },
  {
    name: 'an answer that is late by two hand-offs is kept as what the blocks have',
    weather: { stragglers: 0.05, machines: 4, replicas: 1, handOffs: true },
    edits: [{ file: 'holder.ts', find: '    if (this.holdOf(range) !== hold) return undefined\n    await this.#context.components.disk.install', replace: '    await this.#context.components.disk.install' }],
  },
  {
    name: 'an offer that is late is taken up',
    weather: { stragglers: 0.05, machines: 4, replicas: 1, handOffs: true },
    edits: [{ file: 'hand-off.ts', find: 'const isLate = (): boolean => takeover.isOvertaken(range, from)', replace: 'const isLate = (): boolean => from.token < 0' }],
  },
]

/** Changes that take a check away and change nothing that anybody is promised, with the argument. */
export const equalMutants: readonly { readonly name: string; readonly why: string }[] = [
  {
    // holder.ts, read(): `this.holdOf(range) === hold ? runs : undefined` → `runs`
    name: 'reads without a second look at the hold',
    // Let the read r begin at t, when the hold is good, and find the value of a write w. If w was there at t, or comes by
    // whoever holds the range after t, r may stand where w was current after t: r is under way all the while. If w was
    // appended here under a hold that was over by then, w's own first look found that hold good, so w too was under way
    // before the cut that leaves it out, and so was r: w, r, then the cut. Two blocks of one read need not be of one moment.
    why: 'a read that began under the hold may stand anywhere while it was under way: before the move, or before the cut that left out what it saw',
  },
]
