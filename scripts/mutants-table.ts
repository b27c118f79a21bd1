import type { Weather } from '../test/simulation/consensus/simulation.js'

export interface Mutant {
  readonly name: string
  /** The seed that noticed it when the table was last run whole: tried first. The others follow if it does not any more. */
  readonly seed?: number
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
  /** Faults without which the mutant cannot show: rare ones are drawn more often. */
  readonly weather?: Partial<Weather>
}

const sturdy: Partial<Weather> = { clocksInBounds: true, reconfigures: false, memoryLoss: false, clones: false }
/** Many changes of voters, on bases. */
const changing: Partial<Weather> = { ...sturdy, reconfigures: true, scopes: 3, faultMs: 500, thinkMs: 100 }
const calmVoters: Partial<Weather> = { ...sturdy, voters: 3, hosts: 3, suspends: true, cuts: true }

export const mutants: readonly Mutant[] = [
  {
    name: 'promise not raised on accept',
    seed: 1,
    weather: sturdy,
    edits: [
      { file: 'voter/registers.ts', find: "this.#put(body.scope, { promised, accepted:", replace: "this.#put(body.scope, { promised: register?.promised ?? promised, accepted:" },
      { file: 'voter/registers.ts', find: "    invariant(register.accepted === undefined || !ballotAbove(register.accepted.ballot, register.promised), 'I1: accepted above promised')\n", replace: '' },
    ],
  },
  {
    name: 'unchanged value not committed',
    weather: sturdy,
    edits: [{
      file: 'round.ts', find: "    return { kind: 'ask', body: this.#propose(reading, floor) }",
      replace: "    const body = this.#propose(reading, floor)\n    if (!body.changed && this.#proposal !== undefined) return { kind: 'chosen', accepted: { ballot: highest?.ballot ?? this.#init.ballot, value: body.value }, answer: this.#proposal.answer, changed: false }\n    return { kind: 'ask', body }",
    }],
  },
  {
    name: 'first value chosen by a majority',
    weather: sturdy,
    edits: [{ file: 'round.ts', find: "if (this.#openedBy.size === config.members.length) {", replace: "if (this.#openedBy.size >= this.#majority) {\n      void config" }],
  },
  {
    name: 'first value read at a majority',
    weather: sturdy,
    edits: [{ file: 'rounds/read.ts', find: "if (same >= showsToProve(reply.accepted, members.length)) {", replace: "void showsToProve\n        if (same >= majority) {" }],
  },
  {
    name: 'first value taken over a promise',
    seed: 1096,
    weather: { ...sturdy, reconfigures: true },
    edits: [
      { file: 'voter/registers.ts', find: "const isFirst = register === undefined && isOpening", replace: "const isFirst = register?.accepted === undefined && isOpening" },
      { file: 'voter/registers.ts', find: "this.#put(body.scope, { promised: body.next, accepted", replace: "this.#put(body.scope, { promised: register === undefined || ballotAbove(body.next, register.promised) ? body.next : register.promised, accepted" },
    ],
  },
  {
    name: 'a second first value taken',
    seed: 1,
    weather: sturdy,
    edits: [
      { file: 'voter/registers.ts', find: "const isFirst = register === undefined && isOpening", replace: "const isFirst = (register?.accepted === undefined ? register === undefined : isOpening(register.accepted.ballot)) && isOpening" },
      { file: 'voter/registers.ts', find: "this.#put(body.scope, { promised: body.next, accepted", replace: "this.#put(body.scope, { promised: register === undefined || ballotAbove(body.next, register.promised) ? body.next : register.promised, accepted" },
    ],
  },
  {
    name: 'first value at or below the floor',
    seed: 194,
    weather: { ...sturdy, reconfigures: true },
    edits: [{ file: 'voter/registers.ts', find: " && body.value.token > this.floor\n", replace: "\n" }],
  },
  {
    name: 'nonce reused after a restart',
    weather: { ...sturdy, restarts: true },
    edits: [{ file: 'node.ts', find: "reply.nonce.start === this.#init.start ? this.#pending.get(reply.nonce.counter) : undefined", replace: "this.#pending.get(reply.nonce.counter)" }],
  },
  {
    name: 'ballot reused after a restart',
    weather: { ...sturdy, restarts: true },
    edits: [
      { file: 'rounds/start.ts', find: "this.#chosen(Math.max(this.#own, ...heard.values()) + 1)", replace: "this.#chosen(Math.max(1, this.#own, ...heard.values()))" },
      { file: 'voter/sessions.ts', find: "return record.start === start ? undefined : { code: 'cloned' }", replace: "return undefined" },
    ],
  },
  {
    name: 'restored or cloned disk reuses its epoch',
    weather: { clones: true, restarts: true, reconfigures: false, memoryLoss: false, hosts: 4, voters: 3, faultMs: 600 },
    edits: [
      { file: 'rounds/start.ts', find: "this.#chosen(Math.max(this.#own, ...heard.values()) + 1)", replace: "this.#chosen(this.#own + 1)" },
      { file: 'voter/sessions.ts', find: "return record.start === start ? undefined : { code: 'cloned' }", replace: "return undefined" },
    ],
  },
  {
    name: 'holder validity from the time of receipt',
    weather: calmVoters,
    edits: [{ file: 'node.ts', find: "this.#session.acknowledged(config, voter, sent)", replace: "this.#session.acknowledged(config, voter, this.#now)\n    void sent" }],
  },
  {
    name: 'hrtime only',
    weather: calmVoters,
    edits: [{ file: 'clocks.ts', find: "  if (kind === 'sleep-aware') return Math.max(hrtime, wall)\n  return Math.max(hrtime, wall, to.uptimeMs - from.uptimeMs)", replace: '  void wall\n  return hrtime' }],
  },
  {
    name: 'resume after an unknown outcome',
    seed: 29,
    weather: { ...sturdy, thinkMs: 100 },
    edits: [
      {
        file: 'operations.ts', find: "    this.#relinquish(scope, token)\n    const change = handOff(",
        replace: "    const change = handOff(",
      },
      {
        file: 'operations.ts', find: "{ triesMax: givingUpTriesMax, wantsNext: false }, (result) => {\n      if (result.kind === 'failed') end(result)",
        replace: "{ triesMax: 2, wantsNext: false }, (result) => {\n      if (result.kind === 'failed') {\n        node.holdings.thaw(scope, token)\n        end(result)\n        return\n      }\n      this.#relinquish(scope, token)\n      if (false) end({ kind: 'gone', value: undefined })",
      },
    ],
  },
  {
    name: 'resume by a read',
    weather: { ...sturdy, thinkMs: 100 },
    edits: [
      { file: 'holdings.ts', find: "    if (value.token <= this.relinquished(scope)) return false", replace: "    if (value.token < this.relinquished(scope)) return false" },
      { file: 'operations.ts', find: "    if (asking !== undefined && value.token > node.holdings.relinquished(scope)) asking.heardGrant(value)", replace: "    if (asking !== undefined) asking.heardGrant(value)\n    else if (value.token >= node.holdings.relinquished(scope)) this.#grant(scope, value)" },
      { file: 'operations.ts', find: "{ triesMax: givingUpTriesMax, wantsNext: false }", replace: "{ triesMax: 2, wantsNext: false }" },
    ],
  },
  {
    name: 'same token given again after it was relinquished',
    weather: { ...sturdy, thinkMs: 100 },
    edits: [
      { file: 'rounds/acquire.ts', find: "      if (isRetry && value.token > init.relinquished()) return", replace: "      if (isRetry || sameSession(holder, session)) return" },
      { file: 'holdings.ts', find: "    if (value.token <= this.relinquished(scope)) return false\n", replace: '' },
    ],
  },
  {
    name: 'late grant honoured',
    weather: { ...sturdy, thinkMs: 100 },
    edits: [
      { file: 'holdings.ts', find: "    if (value.token <= this.relinquished(scope)) return false\n", replace: '' },
      { file: 'operations.ts', find: "    if (asking !== undefined && value.token > node.holdings.relinquished(scope)) asking.heardGrant(value)", replace: "    if (asking !== undefined) asking.heardGrant(value)" },
    ],
  },
  {
    name: 'word of a move taken for a grant',
    seed: 1,
    weather: { ...sturdy, thinkMs: 100 },
    edits: [{ file: 'asking.ts', find: "if (value.token > this.#target.token) this.#followed(value)", replace: "if (value.token > this.#target.token) this.heardGrant({ ...value, holder: this.#node.session })" }],
  },
  {
    name: 'acknowledged revocation not marked',
    seed: 187,
    weather: { ...sturdy, thinkMs: 120 },
    edits: [{ file: 'node.ts', find: "          const ended = this.holdings.relinquish(scope, token)", replace: "          const ended = this.holdings.get(scope)?.value.token === token ? this.holdings.relinquish(scope, token) : undefined" }],
  },
  {
    name: 'revocation cleared by expiry',
    weather: calmVoters,
    edits: [{ file: 'voter/revocations.ts', find: "    return record.acknowledged || this.#sessions.isOver(revocation.target, now)", replace: "    if (this.#sessions.isOver(revocation.target, now)) this.records.set(revocationKey(revocation), { revocation, acknowledged: true })\n    return this.records.get(revocationKey(revocation))?.acknowledged === true" }],
  },
  {
    name: 'revocation dropped once a higher token is accepted',
    weather: calmVoters,
    edits: [{ file: 'voter/registers.ts', find: "    // One batch: were", replace: "    for (const [key, { revocation }] of this.#revocations.records) if (revocation.scope === body.scope && revocation.token < body.value.token) this.#revocations.records.delete(key)\n    // One batch: were" }],
  },
  {
    name: 'renewal without acknowledging a revocation',
    weather: calmVoters,
    edits: [{ file: 'voter/voter.ts', find: "        if (revocations.length > 0) return", replace: "        if (revocations.length > 99) return" }],
  },
  {
    name: 'serve before fence',
    seed: 1,
    edits: [{ file: 'holdings.ts', find: "fenced: !needsFence, frozen: false })", replace: "fenced: true || needsFence, frozen: false })" }],
  },
  {
    name: 'token reset by compaction',
    weather: { ...sturdy, reconfigures: true },
    edits: [
      { file: 'snapshot.ts', find: "    floor = Math.max(floor, value.token)", replace: "    void value" },
      { file: 'base.ts', find: "      this.#floor = Math.max(this.#floor, accepted.value.token)\n", replace: "" },
    ],
  },
  {
    name: 'no grace after a voter\'s restart',
    weather: { ...calmVoters, restarts: true },
    edits: [{ file: 'voter/sessions.ts', find: "  #graceOver = false\n", replace: "  #graceOver = true\n" }],
  },
  {
    name: 'no grace after activation',
    weather: { ...sturdy, reconfigures: true },
    edits: [{ file: 'voter/sessions.ts', find: "    this.#graceSince = now\n    this.#graceOver = false", replace: "    this.#graceSince = now\n    this.#graceOver = true" }],
  },
  {
    name: 'a voter answers before it has its snapshot',
    seed: 2,
    weather: { ...sturdy, reconfigures: true },
    edits: [{ file: 'voter/voter.ts', find: "offered : this.#staged.get(head.hash)", replace: "offered : this.#staged.get(head.hash) ?? emptySnapshot" }],
  },
  {
    name: 'activation without the decree',
    seed: 89,
    weather: { ...sturdy, reconfigures: true, faultMs: 300 },
    edits: [{ file: 'rounds/reconfigure.ts', find: "    const decree = highest?.decree ?? own", replace: "    const decree = highest === undefined || highest.decree.hash !== '' ? own : highest.decree" }],
  },
  {
    name: 'told with the seal, but not what was accepted',
    seed: 89,
    weather: { ...sturdy, reconfigures: true, faultMs: 300 },
    edits: [{ file: 'voter/voter.ts', find: "promise : { ...promise, kind: 'sealed', snapshot: shown.snapshot }", replace: "promise : { kind: 'sealed', snapshot: shown.snapshot }" }],
  },
  {
    name: 'asked for all at once, it tells and does not seal',
    seed: 140,
    weather: changing,
    edits: [{ file: 'voter/voter.ts', find: "        if (record.sealed === undefined) this.#putRecord(", replace: "        if (record.sealed === undefined && ballot === undefined) this.#putRecord(" }],
  },
  {
    name: 'a try that the seal refused waits out its time',
    weather: changing,
    edits: [{ file: 'tries.ts', find: "    if (why === 'sealed' || why === 'config') this.#mover", replace: "    if (this.#over) this.#mover" }],
  },
  {
    name: 'the wait for a dead voter counts as copying',
    weather: changing,
    edits: [{ file: 'rounds/copy-base.ts', find: " - this.#beganMs - this.#silentMs\n", replace: " - this.#beganMs\n" }],
  },
  {
    name: 'a wish that comes late is not answered',
    weather: sturdy,
    edits: [{ file: 'operations.ts', find: "      if (wish.asker.node !== this.#node.session.node) this.tellMoved(scope, holding.value, [wish.asker.node])\n", replace: '' }],
  },
  {
    name: 'the lowest minimum epoch is inherited',
    weather: { ...changing, suspends: true, cuts: true, restarts: true },
    edits: [{ file: 'snapshot.ts', find: "const minimum = Math.max(a.minimum, b.minimum)", replace: "const minimum = Math.min(a.minimum, b.minimum)" }],
  },
  {
    name: 'revocations end with their configuration',
    weather: { ...changing, suspends: true, cuts: true },
    edits: [{ file: 'snapshot.ts', find: "for (const record of part.revocations) {", replace: "for (const record of part.revocations.slice(0, 0)) {" }],
  },
  {
    name: 'changes of a session that is not supported are accepted',
    weather: calmVoters,
    edits: [
      { file: 'voter/registers.ts', find: "if (body.changed && !this.#sessions.supports(body.ballot, now)) {", replace: "if (body.changed && now.hrtimeMs < -1) {" },
      { file: 'voter/registers.ts', find: "if (!isFirst || !this.#sessions.supports(body.ballot, now)) return", replace: "if (!isFirst) return" },
    ],
  },
  {
    name: 'a renewal counts however old it is',
    weather: { ...calmVoters, replay: 0.5 },
    edits: [{ file: 'voter/sessions.ts', find: "last.epoch === sender.epoch && sequence <= last.sequence", replace: "last.epoch === sender.epoch && sequence < 0" }],
  },
  {
    name: 'a store that lost its tail goes on voting',
    seed: 57,
    weather: { ...sturdy, voters: 3, hosts: 4, memoryLoss: true, restarts: true, faultMs: 400 },
    edits: [{ file: 'rounds/memory.ts', find: "return numbers.slot !== undefined && numbers.stored < numbers.slot", replace: "return numbers.slot === -1" }],
  },
  {
    name: 'handed over before it is given up',
    seed: 19,
    weather: sturdy,
    edits: [{ file: 'operations.ts', find: "    this.#relinquish(scope, token)\n    const change = handOff(", replace: "    const change = handOff(" }],
  },
  {
    name: 'dead because one voter evicted it',
    weather: calmVoters,
    edits: [{ file: 'round.ts', find: "evicted: evicted >= this.#majority", replace: "evicted: evicted > 0" }],
  },
  {
    name: 'revoked because one voter calls it clear',
    seed: 22,
    weather: calmVoters,
    edits: [
      { file: 'round.ts', find: "clear: clear >= this.#majority }", replace: "clear: clear > 0 }" },
      // It is asked for before, too, to spare a round.
      { file: 'operations.ts', find: "ended: (clear) => { if (clear) takeIt(); else look() },", replace: "ended: (clear) => { if (clear || !clear) takeIt(); else look() }," },
    ],
  },
  {
    name: 'valid by the word of one voter',
    seed: 176,
    weather: calmVoters,
    edits: [{ file: 'rounds/renew.ts', find: "left[majority - 1] ?? 0", replace: "left[Math.min(0, majority)] ?? 0" }],
  },
  {
    name: 'released before it is given up',
    seed: 19,
    weather: sturdy,
    edits: [{ file: 'operations.ts', find: "    this.#relinquish(scope, token)\n    return this.#releaseRelinquished(scope, token, ended)", replace: "    return this.#releaseRelinquished(scope, token, ended)" }],
  },
  {
    name: 'a voter in its first D_v calls a session over',
    weather: { ...changing, suspends: true, cuts: true },
    edits: [{ file: 'voter/sessions.ts', find: "return !this.inGrace(now) && (this.superseded(session) || !this.#isLive(session, now))", replace: "return this.superseded(session) || (!this.inGrace(now) && !this.#isLive(session, now))" }],
  },
  {
    name: 'a list tells the highest of what it hears',
    weather: sturdy,
    edits: [{ file: 'rounds/list.ts', find: "if (seen.same < showsToProve(seen.highest, this.#config.members.length)) doubtful.push(scope)", replace: "if (seen.same < 0 * showsToProve(seen.highest, this.#config.members.length)) doubtful.push(scope)" }],
  },
  {
    name: 'a sealed voter goes on accepting',
    seed: 2,
    weather: { ...sturdy, reconfigures: true },
    edits: [{ file: 'voter/voter.ts', find: "    if (sealed !== undefined) return forSealed ? undefined : { code: 'sealed', ...sealed }", replace: "    if (sealed !== undefined) return undefined" }],
  },
  {
    name: 'a round goes on in the next configuration',
    seed: 216,
    weather: changing,
    edits: [
      { file: 'tries.ts', find: "this.#context.ask(this.#config.members, body,", replace: "this.#context.ask(this.#context.config.members, body," },
      { file: 'tries.ts', find: "    }, this.#config.number)", replace: "    })" },
      { file: 'voter/voter.ts', find: "    if ('ballot' in body && body.ballot.config !== config) return { code: 'config', chain: [] }\n", replace: '' },
    ],
  },
  {
    name: 'stale whole value proposed',
    seed: 1,
    weather: sturdy,
    edits: [{ file: 'tries.ts', find: "config: this.#config, scope, ballot, change,", replace: "config: this.#config, scope, ballot, change: (reading) => (this.#stale ??= change(reading)) as ReturnType<typeof change>," }, { file: 'tries.ts', find: "  #over = false\n", replace: "  #over = false\n  #stale: unknown\n" }],
  },
  {
    name: 'eviction not remembered',
    seed: 69,
    weather: { ...calmVoters, restarts: true },
    edits: [{ file: 'voter/sessions.ts', find: "    if (record.minimum > session.epoch) return\n", replace: "    if (record.minimum >= 0) return\n" }],
  },
  {
    name: 'stolen without a majority that evicted',
    seed: 2448,
    weather: calmVoters,
    edits: [{ file: 'rounds/take.ts', find: "(init.why === 'dead' ? evicted : clear)", replace: "(init.why === 'dead' || evicted || clear)" }],
  },
  {
    name: 'expiry judged by the asker, not with the promise',
    seed: 69,
    weather: calmVoters,
    edits: [{ file: 'voter/registers.ts', find: "    if (body.evict !== undefined && this.#sessions.isOver(body.evict, now)) {\n      this.#sessions.evict(body.evict, changes)", replace: "    if (body.evict !== undefined) {" }],
  },
  {
    name: 'D_h as long as D_v, and the clocks\' rates forgotten',
    seed: 1468,
    weather: calmVoters,
    edits: [{ file: 'clocks.ts', find: "  return Math.min(timing.holderMs, holderMsMax(timing))", replace: "  return timing.voterMs" }],
  },
  {
    name: 'a reply leaves before its batch is on disk',
    seed: 68,
    weather: { ...sturdy, restarts: true, voters: 3, faultMs: 400 },
    edits: [{ file: 'voter/voter.ts', find: "    const through = this.#sequence + (this.#changes.length > 0 ? 1 : 0)", replace: "    const through = 0" }],
  },
  {
    name: 'a next promise is used twice',
    seed: 10,
    weather: sturdy,
    edits: [{ file: 'node.ts', find: "    this.#nextPromises.delete(scope)\n    return promise", replace: "    return promise" }],
  },
  {
    name: 'conditional on the holder but not on the token',
    seed: 20,
    weather: { ...sturdy, thinkMs: 80 },
    edits: [{ file: 'value.ts', find: "value !== undefined && value.token === token && sameHolder", replace: "value !== undefined && token > 0 && sameHolder" }],
  },
  {
    name: 'what a base drops leaves no trace',
    weather: changing,
    edits: [{ file: 'base.ts', find: "const own = this.kept.get(scope) ?? this.dropped.get(scope)", replace: "const own = this.kept.get(scope)" }],
  },
  {
    name: 'what is above a base is told by its token',
    weather: changing,
    edits: [{ file: 'base.ts', find: "compareBallots(accepted.ballot, own.accepted.ballot) > 0", replace: "accepted.value.token > own.accepted.value.token || (false && compareBallots(accepted.ballot, own.accepted.ballot) > 0)" }],
  },
  {
    name: 'what was accepted after the copy is not told',
    weather: changing,
    edits: [{ file: 'voter/registers.ts', find: "    if (register.accepted !== undefined) this.#accepted(scope)\n", replace: "    void this.#accepted\n" }],
  },
  {
    name: 'what was accepted before the copy came is not told',
    seed: 119,
    weather: changing,
    edits: [{ file: 'voter/bases.ts', find: "if (init.table !== undefined) this.#compare(base, init.table, from, chunk.through)", replace: "if (init.table === null) this.#compare(base, init.table, from, chunk.through)" }],
  },
  {
    name: 'a start forgets what is above its base',
    weather: { ...changing, restarts: true, faultMs: 250 },
    edits: [{ file: 'voter/voter.ts', find: "    bases.compareAll(this.#record.config, this.#registers.table)\n", replace: '' }],
  },
  {
    name: 'what is free is dropped from what is above a base',
    weather: changing,
    edits: [{ file: 'snapshot.ts', find: "if (base !== undefined || value.holder !== null", replace: "if (value.holder !== null" }],
  },
  {
    name: 'tokens begin anew where a base dropped',
    seed: 45,
    weather: changing,
    edits: [{ file: 'base.ts', find: "    return this.#floor", replace: "    return 0 * this.#floor" }],
  },
  {
    name: 'any base is as good as another',
    seed: 25,
    weather: changing,
    edits: [{ file: 'voter/bases.ts', find: "base.hash === hash && base.config === config && base.isWhole", replace: "hash !== '' && base.config === config && base.isWhole" }],
  },
  {
    name: 'a chunk that was lost is not missed',
    seed: 852,
    weather: { ...changing, loss: 0.2 },
    edits: [
      { file: 'voter/bases.ts', find: "if (index > base.chunks || index >=", replace: "if (index >=" },
      { file: 'voter/bases.ts', find: "    if (index === base.chunks) {", replace: "    if (index >= base.chunks) {" },
      { file: 'voter/bases.ts', find: "      if (index !== 0) return { kind: 'refused', why: { code: 'unknown-base' } }\n", replace: '' },
      { file: 'voter/bases.ts', find: "base.hash === hash && base.config === config && base.isWhole", replace: "hash !== '' && base.config === config && base.isWhole" },
    ],
  },
  {
    name: 'the base of an earlier configuration',
    seed: 52,
    weather: changing,
    edits: [
      { file: 'voter/bases.ts', find: "base.hash === hash && base.config === config && base.isWhole", replace: "base.hash === hash && config >= 0 && base.isWhole" },
      { file: 'voter/bases.ts', find: "    this.#bases = this.#bases.filter((base) => base !== except)\n    this.#drop((base) => base.config < config, gone)", replace: "    void [config, except, gone]" },
      { file: 'rounds/reconfigure.ts', find: "        this.#base = copied?.hash\n", replace: "        this.#base = (this.#context as { lastBase?: string }).lastBase ??= copied?.hash\n" },
    ],
  },
  {
    name: 'decided on a base that hardly anybody has',
    seed: 46,
    weather: { ...changing, restarts: true, faultMs: 250 },
    edits: [{ file: 'voter/voter.ts', find: "    if (snapshot.base !== undefined && this.#bases.find(snapshot.base, this.#record.config) === undefined) return { kind: 'refused', why: { code: 'unknown-base' } }\n", replace: '' }, { file: 'rounds/reconfigure.ts', find: "(left) => isMajority(this.#from.members, left) && isMajority(members, left)", replace: "(left) => left.length > 0 && isMajority(members, members)" }, { file: 'voter/voter.ts', find: "    return base === undefined ? { kind: 'refused', why: { code: 'unknown-base' } } : { kind: 'snapshot', snapshot: this.#snapshot(base) }", replace: "    return { kind: 'snapshot', snapshot: { ...this.#snapshot(base), base: hash } }" }],
  },
  {
    name: 'the base of an accepted decree is given away',
    seed: 320,
    weather: { ...changing, restarts: true, faultMs: 200 },
    edits: [{ file: 'voter/voter.ts', find: "    return decree === undefined ? undefined : this.#staged.get(decree.hash)?.base", replace: "    return decree === undefined ? undefined : ''" }, { file: 'voter/bases.ts', find: "const freshMs = 5000", replace: "const freshMs = 0" }],
  },
]
