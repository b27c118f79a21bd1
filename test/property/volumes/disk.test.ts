import assert from 'node:assert/strict'
import type { AppendLog, Random } from '../../../src/base/index.js'
import { codeOf, seededRandom, silentLog, systemClock } from '../../../src/base/index.js'
import type { BlockData, Content, LogEntry, SegmentId, Version } from '../../../src/volumes/index.js'
import { AppendFiles } from '../../../src/store/append-log.js'
import { blockBytes, createReplicaDisk, isWholeRow } from '../../../src/volumes/index.js'
import type { ClosableReplicaDisk } from '../../../src/volumes/index.js'
import { TornDisk } from '../../unit/store/torn-disk.js'
import { MemoryDatabase, MemorySlice, noSpace } from '../../unit/volumes/disk-store.js'

/**
 * Random calls against a model so simple that it can be seen to be right: per block the list of all versions that came
 * and were not cut; the content is the highest. Between the calls the process dies, power is lost, writes fail, the index
 * is written out and the log compacted; memory holds next to nothing, so that pages come and go.
 */
const volume = '00112233445566778899aabbccddeeff'
const segmentCount = 3
/** Blocks of both sides of the border between two pages. */
const firstBlock = 246
const blockCount = 20

interface ModelVersion extends Version {
  installed: boolean
}

interface ModelBlock {
  versions: ModelVersion[]
  /** A copy came once, or the segment was not whole: what a cut uncovers may be unknown. */
  tainted: boolean
  /** The content was lost by a cut. */
  lost: boolean
  fence: { token: number; configuration: number }
  cuts: { below: number; cuts: { token: number; sequence: number }[] }[]
}

interface ModelSegment {
  blocks: ModelBlock[]
  ends: Map<number, number>
  settled: Map<number, number>
  applied: Map<string, { sequence: number; version: Version; start: number; blocks: number }[]>
  whole: boolean
}

type Model = ModelSegment[]

function emptySegment(): ModelSegment {
  return {
    blocks: Array.from({ length: blockCount }, () => ({ versions: [], tainted: true, lost: false, fence: { token: 0, configuration: 0 }, cuts: [] })),
    ends: new Map(), settled: new Map(), applied: new Map(), whole: false,
  }
}

function contentOf({ token, sequence }: Version): Content {
  const kind = (token * 31 + sequence * 7) % 6
  return kind === 0 ? 'hole' : kind === 1 ? 'zeroes' : 'data'
}

function bytesOf(version: Version, start: number, blocks: number): Uint8Array {
  if (contentOf(version) !== 'data') return new Uint8Array(0)
  const bytes = new Uint8Array(blocks * blockBytes)
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < blocks; i++) {
    view.setUint32(i * blockBytes, version.token)
    view.setUint32(i * blockBytes + 4, version.sequence)
    view.setUint32(i * blockBytes + 8, start + i)
    view.setUint32(i * blockBytes + 4092, version.sequence)
  }
  return bytes
}

function isNewer(a: Version, b: Version): boolean {
  return a.token > b.token || (a.token === b.token && a.sequence > b.sequence)
}

function newestOf(block: ModelBlock): ModelVersion | undefined {
  return block.versions.reduce<ModelVersion | undefined>((best, version) => (best === undefined || isNewer(version, best) ? version : best), undefined)
}

function isCut(block: ModelBlock, version: Version): boolean {
  return block.cuts.some(({ below, cuts }) => {
    if (version.token >= below || cuts.length === 0) return false
    const own = cuts.find((cut) => cut.token === version.token)
    if (own !== undefined) return version.sequence > own.sequence
    return version.token > Math.max(...cuts.map((cut) => cut.token))
  })
}

/** What the disk says of every block, as text. */
async function seen(disk: ClosableReplicaDisk, segment: number): Promise<string[]> {
  const id = { volume, segment }
  const texts: string[] = []
  const read = await disk.read(id, { start: firstBlock, blocks: blockCount })
  for (const data of read) {
    assert.equal(data.start, firstBlock + texts.length, 'runs are in order and cover the range')
    for (let i = 0; i < data.blocks; i++) {
      texts.push(textOf(data.content, data.version))
      if (data.content !== 'data') continue
      assert.ok(data.version !== undefined)
      const expected = bytesOf(data.version, data.start + i, 1)
      assert.ok(Buffer.compare(data.bytes.subarray(i * blockBytes, (i + 1) * blockBytes), expected) === 0, `bytes of block ${String(data.start + i)}`)
    }
  }
  // Without a wait: the same, or nothing.
  for (const [i, text] of texts.entries()) {
    for (const data of disk.readNow(id, { start: firstBlock + i, blocks: 1 }) ?? []) {
      assert.equal(textOf(data.content, data.version), text)
      if (data.version !== undefined && data.content === 'data') assert.ok(Buffer.compare(data.bytes, bytesOf(data.version, firstBlock + i, 1)) === 0, `bytes of block ${String(firstBlock + i)}, without a wait`)
    }
  }
  const runs = await disk.versions(id, { start: firstBlock, blocks: blockCount })
  assert.deepEqual(runs.flatMap((run) => Array.from({ length: run.blocks }, () => textOf(run.content, run.version))), texts)
  return texts
}

function textOf(content: string, version: Version | undefined): string {
  return version === undefined ? content : `${content} ${String(version.token)}:${String(version.sequence)}`
}

function expected(segment: ModelSegment): string[] {
  return segment.blocks.map((block) => {
    const newest = newestOf(block)
    if (block.lost) return 'unknown'
    return newest === undefined ? (segment.whole ? 'hole' : 'unknown') : textOf(contentOf(newest), newest)
  })
}

class World {
  readonly random: Random
  readonly log = new MemoryDatabase()
  readonly meta = new MemoryDatabase()
  /** In place of `log`: the files as they are in a store, on a disk that loses power page by page. */
  readonly torn: TornDisk | undefined
  files: AppendFiles | undefined
  disk!: ClosableReplicaDisk
  model: Model = Array.from({ length: segmentCount }, emptySegment)
  /** The models since the last sync, oldest first; the first is what is durable at least. */
  past: Model[] = []
  readonly trace: string[] = []
  compacted = 0
  readonly #sizes: { pagesMax: number; headsMax: number; checkpointBytes: number; unitBytesMax: number }

  constructor(seed: number, { inFiles = false }: { inFiles?: boolean } = {}) {
    this.random = seededRandom(seed)
    const { random } = this
    if (inFiles) this.torn = new TornDisk(random)
    this.#sizes = {
      pagesMax: 1 + random.below(6), headsMax: 1 + random.below(3),
      checkpointBytes: [1, 20_000, 200_000, 10_000_000][random.below(4)] as number,
      unitBytesMax: [8192, 50_000, 300_000][random.below(3)] as number,
    }
    this.past = [structuredClone(this.model)]
  }

  async open(): Promise<void> {
    this.log.life++
    this.meta.life++
    this.disk = await createReplicaDisk({ log: await this.openLog(), meta: new MemorySlice(this.meta), clock: systemClock, journal: silentLog }, { ...this.#sizes, garbageShareMin: 0.2, bytesPerSecond: 1e12 })
  }

  async openLog(): Promise<AppendLog> {
    if (this.torn === undefined) return new MemorySlice(this.log)
    // Whoever has closed it has nothing to lose, and else the process is taken for dead.
    this.torn.crash()
    const admit = async (bytes: number): Promise<() => void> => {
      const failure = this.log.onWrite({ freesSpace: false, bytes })
      if (failure !== undefined) throw failure.error
      return () => undefined
    }
    this.files = await AppendFiles.open({ folder: this.torn.folder(), random: this.random, log: silentLog, admit }, { isWhole: isWholeRow })
    return this.files
  }

  async step(): Promise<void> {
    const kind = this.random.below(100)
    if (kind < 42) await this.append()
    else if (kind < 50) await this.install()
    else if (kind < 59) await this.fence()
    else if (kind < 67) await this.settle()
    else if (kind < 70) await this.discard()
    else if (kind < 72) await this.adopt()
    else if (kind < 75) await this.forget()
    else if (kind < 78) await this.setWhole()
    else if (kind < 79) await this.drop()
    else if (kind < 82) await this.sync()
    else if (kind < 85) await this.disk.checkpoint()
    else if (kind < 92) await this.compact()
    else if (kind < 94) await this.reopen()
    else if (kind < 96) await this.kill()
    else if (kind < 98) await this.losePower()
    else await this.failWrite()
    this.past.push(structuredClone(this.model))
  }

  note(text: string): void {
    this.trace.push(text)
  }

  pick(): { id: SegmentId; segment: ModelSegment; index: number } {
    const index = this.random.below(segmentCount)
    return { id: { volume, segment: index * 5000 }, segment: this.model[index] as ModelSegment, index }
  }

  range(): { start: number; blocks: number } {
    const start = this.random.below(blockCount)
    return { start: firstBlock + start, blocks: 1 + this.random.below(this.random.below(3) === 0 ? blockCount - start : Math.min(3, blockCount - start)) }
  }

  blocksOf(segment: ModelSegment, range: { start: number; blocks: number }): ModelBlock[] {
    return segment.blocks.slice(range.start - firstBlock, range.start - firstBlock + range.blocks)
  }

  topToken(segment: ModelSegment): number {
    return Math.max(1, ...segment.blocks.map((block) => block.fence.token), ...segment.ends.keys())
  }

  entry(token: number, sequence: number): LogEntry {
    const range = this.range()
    const version = { token, sequence }
    const origin = this.random.below(4) === 0 ? { client: ['a', 'b'][this.random.below(2)] as string, sequence: token * 1000 + sequence } : undefined
    return { ...range, ...version, configuration: this.random.below(10) === 0 ? 0 : 9, content: contentOf(version), bytes: bytesOf(version, range.start, range.blocks), ...(origin === undefined ? {} : { origin }) }
  }

  /** Several calls at once, that are not waited for in between. */
  async append(): Promise<void> {
    const { id, segment } = this.pick()
    const token = this.random.below(8) === 0 ? 1 + this.random.below(this.topToken(segment)) : this.topToken(segment)
    let next = (segment.ends.get(token) ?? 0) + 1
    const calls: Promise<unknown>[] = []
    for (let call = 1 + this.random.below(3); call > 0; call--) {
      const entries: LogEntry[] = []
      for (let left = 1 + this.random.below(3); left > 0; left--) {
        const at = this.random.below(15)
        const sequence = at === 0 && next > 1 ? next - 1 : at === 1 ? next + 1 : next
        // A duplicate that was said to be there may have any range: it must be passed over.
        entries.push(this.entry(token, sequence))
        if (sequence === next) next++
      }
      this.note(`append ${String(id.segment)} ${entries.map((entry) => `${String(entry.token)}:${String(entry.sequence)}@${String(entry.start)}+${String(entry.blocks)} c${String(entry.configuration)}`).join(' ')}`)
      const refusal = this.modelAppend(segment, entries)
      // Each call may be in a batch of its own.
      this.past.push(structuredClone(this.model))
      next = (segment.ends.get(token) ?? 0) + 1
      calls.push(this.disk.append(id, entries).then((answer) => {
        assert.deepEqual(answer, refusal)
      }))
    }
    await Promise.all(calls)
  }

  modelAppend(segment: ModelSegment, entries: readonly LogEntry[]): unknown {
    for (const entry of entries) {
      const fence = this.blocksOf(segment, entry).find((block) => entry.token < block.fence.token || entry.configuration < block.fence.configuration)?.fence
      if (fence !== undefined) return { type: 'fenced', ...fence }
      const end = segment.ends.get(entry.token) ?? 0
      if (entry.sequence <= end) continue
      if (entry.sequence > end + 1) return { type: 'gap', next: end + 1 }
      segment.ends.set(entry.token, entry.sequence)
      for (const block of this.blocksOf(segment, entry)) this.modelPut(segment, block, { token: entry.token, sequence: entry.sequence, installed: false })
      if (entry.origin !== undefined) {
        const list = segment.applied.get(entry.origin.client) ?? []
        list.push({ sequence: entry.origin.sequence, version: { token: entry.token, sequence: entry.sequence }, start: entry.start, blocks: entry.blocks })
        segment.applied.set(entry.origin.client, list)
      }
    }
    return undefined
  }

  modelPut(segment: ModelSegment, block: ModelBlock, version: ModelVersion): void {
    if (block.versions.some((other) => other.token === version.token && other.sequence === version.sequence)) return
    if (version.installed || !segment.whole) block.tainted = true
    block.lost = false
    block.versions.push(version)
  }

  async install(): Promise<void> {
    const { id, segment } = this.pick()
    const blocks: BlockData[] = []
    for (let left = 1 + this.random.below(2); left > 0; left--) {
      const version = { token: 1 + this.random.below(this.topToken(segment)), sequence: 1 + this.random.below(12) }
      const range = this.range()
      blocks.push({ ...range, version, content: contentOf(version), bytes: bytesOf(version, range.start, range.blocks) })
      this.note(`install ${String(id.segment)} ${String(version.token)}:${String(version.sequence)}@${String(range.start)}+${String(range.blocks)}`)
    }
    // A copy that is newer than both counts once: the model takes them one after the other, as the disk must.
    for (const data of blocks) {
      for (const block of this.blocksOf(segment, data)) {
        const newest = newestOf(block)
        const version = data.version as Version
        if (!isCut(block, version) && (block.lost || newest === undefined || isNewer(version, newest))) this.modelPut(segment, block, { ...version, installed: true })
      }
      await this.disk.install(id, [data])
      this.past.push(structuredClone(this.model))
    }
  }

  async fence(): Promise<void> {
    const { id, segment } = this.pick()
    const range = this.random.below(2) === 0 ? { start: firstBlock, blocks: blockCount } : this.range()
    const token = Math.max(0, this.topToken(segment) + this.random.below(3) - (this.random.below(5) === 0 ? 1 : 0))
    const configuration = this.random.below(8)
    // Nothing that is settled is ever cut.
    const tokens = new Set([...segment.ends.keys(), ...segment.blocks.flatMap((block) => block.versions.map((version) => version.token))])
    const cuts = this.random.below(3) === 0 ? [] : [...tokens].filter((other) => other < token).map((other) => {
      const settled = segment.settled.get(other) ?? 0
      return { token: other, sequence: settled + this.random.below(Math.max(1, (segment.ends.get(other) ?? 0) - settled + 2)) }
    })
    this.note(`fence ${String(id.segment)} ${String(range.start)}+${String(range.blocks)} t${String(token)} c${String(configuration)} cuts ${cuts.map((cut) => `${String(cut.token)}:${String(cut.sequence)}`).join(' ')}`)
    const answer = await this.disk.fence(id, { ...range, token, configuration, cuts })
    const blocks = this.blocksOf(segment, range)
    const against = blocks.find((block) => (token > 0 && token < block.fence.token) || configuration < block.fence.configuration)
    if (against !== undefined) {
      assert.deepEqual(answer, { type: 'fenced', ...against.fence })
      return
    }
    for (const block of blocks) {
      block.fence = { token: Math.max(token, block.fence.token), configuration }
      if (cuts.length > 0) block.cuts.push({ below: token, cuts })
    }
    await this.modelCut(id, segment, blocks, (block, version) => isCut(block, version))
    for (const [client, list] of segment.applied) {
      segment.applied.set(client, list.filter((applied) => !this.blocksOf(segment, applied).some((block) => isCut(block, applied.version))))
    }
    // Between streams that were taken up in the middle and cut, the furthest part counts.
    const ends = [...segment.ends].filter(([other, end]) => other < token && end > 0).sort(([a], [b]) => a - b).flatMap(([other, end]) => {
      const furthest = Math.max(...blocks.map((block) => {
        let last = end
        while (last > 0 && isCut(block, { token: other, sequence: last })) last--
        return last
      }))
      return furthest > 0 ? [{ token: other, sequence: furthest }] : []
    })
    assert.deepEqual(answer, ends)
    this.synced()
  }

  async modelCut(id: SegmentId, segment: ModelSegment, blocks: readonly ModelBlock[], isGone: (block: ModelBlock, version: Version) => boolean): Promise<void> {
    const may = new Set<ModelBlock>()
    for (const block of blocks) {
      const newest = newestOf(block)
      if (newest !== undefined && isGone(block, newest) && block.tainted) may.add(block)
      block.versions = block.versions.filter((version) => !isGone(block, version))
    }
    const texts = await seen(this.disk, id.segment)
    for (const [i, text] of texts.entries()) {
      const block = segment.blocks[i] as ModelBlock
      if (text !== 'unknown' || !may.has(block)) continue
      block.lost = true
      block.versions = []
    }
  }

  async settle(): Promise<void> {
    const { id, segment } = this.pick()
    const tokens = [...segment.ends.keys()]
    const token = tokens[this.random.below(tokens.length)]
    if (token === undefined) return
    const end = segment.ends.get(token) ?? 0
    const settled = Math.max(segment.settled.get(token) ?? 0, this.random.below(end + 1))
    this.note(`settle ${String(id.segment)} ${String(token)}:${String(settled)}`)
    segment.settled.set(token, settled)
    await this.disk.settled(id, token, settled)
  }

  async discard(): Promise<void> {
    const { id, segment } = this.pick()
    const token = this.topToken(segment)
    const end = segment.ends.get(token) ?? 0
    const settled = segment.settled.get(token) ?? 0
    const after = settled + this.random.below(Math.max(1, end - settled))
    if (after >= end) return
    this.note(`discard ${String(id.segment)} ${String(token)}:${String(after)}`)
    await this.disk.discard(id, token, after)
    segment.ends.set(token, after)
    await this.modelCut(id, segment, segment.blocks, (_, version) => version.token === token && version.sequence > after)
    for (const [client, list] of segment.applied) {
      segment.applied.set(client, list.filter(({ version }) => version.token !== token || version.sequence <= after))
    }
    this.synced()
  }

  async adopt(): Promise<void> {
    const { id, segment } = this.pick()
    const token = this.topToken(segment)
    const sequence = (segment.ends.get(token) ?? 0) + this.random.below(3)
    this.note(`adopt ${String(id.segment)} ${String(token)}:${String(sequence)}`)
    await this.disk.adopt(id, token, sequence)
    if (sequence === (segment.ends.get(token) ?? 0)) return
    segment.ends.set(token, sequence)
    segment.whole = false
    for (const block of segment.blocks) block.tainted = true
    this.synced()
  }

  async forget(): Promise<void> {
    const { id, segment } = this.pick()
    const range = this.range()
    this.note(`forget ${String(id.segment)} ${String(range.start)}+${String(range.blocks)}`)
    await this.disk.forget(id, range)
    for (const block of this.blocksOf(segment, range)) {
      block.versions = []
      block.lost = false
      block.tainted = true
    }
  }

  async setWhole(): Promise<void> {
    const { id, segment } = this.pick()
    const whole = this.random.below(3) !== 0
    this.note(`whole ${String(id.segment)} ${String(whole)}`)
    await this.disk.setWhole(id, whole)
    segment.whole = whole
    for (const block of segment.blocks) if (block.versions.length === 0 && whole) block.tainted = block.lost
    if (!whole) for (const block of segment.blocks) block.tainted = true
    this.synced()
  }

  async drop(): Promise<void> {
    const { id, index } = this.pick()
    this.note(`drop ${String(id.segment)}`)
    await this.disk.drop(id)
    this.model[index] = emptySegment()
    this.synced()
  }

  async sync(): Promise<void> {
    this.note('sync')
    await this.disk.sync()
    // Of what was told there nothing may ever be missed, whatever dies.
    if (this.random.below(2) === 0) await this.disk.witness()
    this.synced()
  }

  async compact(): Promise<void> {
    this.note('compact')
    const before = (await this.disk.usage()).diskBytes
    await this.disk.compact()
    if ((await this.disk.usage()).diskBytes < before) this.compacted++
  }

  async reopen(): Promise<void> {
    this.note('reopen')
    await this.disk.close()
    await this.files?.close()
    assert.deepEqual([this.torn?.openFiles ?? 0, this.torn?.violations ?? []], [0, []])
    this.synced()
    await this.open()
    await this.check()
  }

  async kill(): Promise<void> {
    this.note('kill')
    // The old one is left alone; whatever it had in memory is gone.
    await this.open()
    await this.check()
  }

  async losePower(): Promise<void> {
    this.note('power')
    // In the middle of writing the index out, as often as not.
    if (this.random.below(2) === 0) {
      void this.disk.checkpoint().catch(() => undefined)
      for (let turns = this.random.below(40); turns > 0; turns--) await Promise.resolve()
    }
    this.log.losePower(this.random)
    this.torn?.losePower()
    this.meta.losePower(this.random)
    await this.open()
    const states = await Promise.all(Array.from({ length: segmentCount }, async (_, index) => this.stateOf(index)))
    const found = [...this.past, this.model].findLast((model) => model.every((segment, index) => same(states[index], stateOfModel(segment))))
    if (found === undefined) {
      const score = (model: Model): number => model.filter((segment, index) => same(states[index], stateOfModel(segment))).length
      const nearest = [...this.past, this.model].reduce((best, model) => (score(model) > score(best) ? model : best))
      for (const [index, state] of states.entries()) assert.deepEqual(state, stateOfModel(nearest[index] as ModelSegment), 'after a loss of power the disk is as it was at no moment since the last sync')
      assert.fail('after a loss of power the segments are of different moments')
    }
    // What engines have promised to be settled stays so.
    this.model = structuredClone(found)
    this.past = [structuredClone(this.model)]
  }

  async failWrite(): Promise<void> {
    this.note('full')
    const { id, segment } = this.pick()
    const token = this.topToken(segment)
    const kept = this.random.below(2) === 0
    this.log.onWrite = ({ freesSpace }) => (freesSpace ? undefined : { error: noSpace(), kept })
    const next = (segment.ends.get(token) ?? 0) + 1
    const entries = [next, next + 1].map((sequence) => ({ ...this.entry(token, sequence), start: firstBlock, blocks: 1, configuration: 9 }))
      .map((entry) => ({ ...entry, content: 'data' as const, bytes: new Uint8Array(blockBytes).fill(0xee) }))
    const fence = segment.blocks[0]?.fence
    const calls = entries.map(async (entry) => this.disk.append(id, [entry]).then((refusal) => refusal?.type ?? 'ok', codeOf))
    const answers = await Promise.all(calls)
    this.log.onWrite = () => undefined
    if (fence !== undefined && fence.token <= token) assert.ok(answers[0] === 'NO_SPACE' && (answers[1] === 'NO_SPACE' || answers[1] === 'gap'), answers.join())
    // Something that is taken, so that no replay can end with what failed.
    await this.disk.forget(id, { start: 16_000, blocks: 1 })
  }

  synced(): void {
    this.past = [structuredClone(this.model)]
  }

  async stateOf(index: number): Promise<unknown> {
    const id = { volume, segment: index * 5000 }
    const ends: Record<string, number> = {}
    for (let token = 1; token < 60; token++) {
      const end = await this.disk.streamEnd(id, token)
      if (end > 0) ends[token] = end
    }
    return { whole: await this.disk.isWhole(id), blocks: await seen(this.disk, id.segment), ends, applied: [await this.disk.applied(id, 'a'), await this.disk.applied(id, 'b')] }
  }

  async check(): Promise<void> {
    for (const [index, segment] of this.model.entries()) assert.deepEqual(await this.stateOf(index), stateOfModel(segment))
    for (const segment of this.model) {
      for (const [token, end] of segment.ends) {
        const settled = segment.settled.get(token) ?? 0
        if (end <= settled) continue
        const entries = await this.disk.entries({ volume, segment: this.model.indexOf(segment) * 5000 }, token, settled, 20_000).catch((error: unknown) => {
          assert.equal(codeOf(error), 'COMPACTED')
          return []
        })
        entries.forEach((entry, i) => {
          assert.equal(entry.sequence, settled + 1 + i)
          assert.ok(Buffer.compare(entry.bytes, bytesOf(entry, entry.start, entry.blocks)) === 0)
        })
      }
    }
  }
}

function stateOfModel(segment: ModelSegment): unknown {
  const ends = Object.fromEntries([...segment.ends].filter(([, end]) => end > 0))
  const applied = ['a', 'b'].map((client) => Math.max(0, ...(segment.applied.get(client) ?? []).map(({ sequence }) => sequence)))
  return { whole: segment.whole, blocks: expected(segment), ends, applied }
}

function same(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}

export async function runSeed(seed: number, steps: number, options: { inFiles?: boolean } = {}): Promise<World> {
  const world = new World(seed, options)
  try {
    await world.open()
    for (let step = 0; step < steps; step++) {
      await world.step()
      if (step % 7 === 0) await world.check()
    }
    await world.check()
    await world.reopen()
  } catch (error) {
    const first = error instanceof Error ? error.message : String(error)
    throw new Error(`seed ${String(seed)}: ${first}\n${world.trace.slice(-Number(process.env["TRACE"] ?? 40)).join('\n')}`, { cause: error })
  }
  return world
}

describe('the disk of a replica against a naive model', () => {
  it('is the same after random calls, crashes, losses of power, full disks and compactions', async function () {
    this.timeout(120_000)
    const first = Number(process.env['SEED'] ?? 1)
    const count = Number(process.env['SEEDS'] ?? 8)
    let compacted = 0
    for (let seed = first; seed < first + count; seed++) compacted += (await runSeed(seed, 120)).compacted
    if (count >= 8) assert.ok(compacted > 3, `compaction gave something back ${String(compacted)} times`)
  })

  it('is the same in files, on a disk that loses power page by page', async function () {
    this.timeout(120_000)
    const first = Number(process.env['SEED'] ?? 1)
    const count = Number(process.env['SEEDS'] ?? 4)
    for (let seed = first; seed < first + count; seed++) await runSeed(seed, 120, { inFiles: true })
  })
})
