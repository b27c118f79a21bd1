import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { build } from 'esbuild'
import type { Random } from '../../../src/base/index.js'
import { seededRandom, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import type { Store } from '../../../src/store/index.js'
import { openStore } from '../../../src/store/index.js'
import { blobKey, blobOfDraft, blobOfKey, blocksOf, crashLimits, draftId, flushedBlocksOf } from './crash-world.js'

/** How a blob may stand: with its record and all its blocks, as a draft with what was flushed, or not at all. */
type Standing = 'kept' | 'draft' | 'none'
interface Possible extends Map<number, readonly Standing[]> {
  /** Drafts of which a flush was acknowledged. Others may be on disk with any of their blocks. */
  flushed: Set<number>
}

/** What each line of the child leaves possible, if it dies right after it. */
const standingsAfter: Record<string, readonly Standing[]> = {
  commit: ['none', 'draft', 'kept'],
  committed: ['kept'],
  flush: ['none', 'draft'],
  flushed: ['draft'],
  resume: ['draft', 'kept'],
  abort: ['draft', 'none'],
  release: ['kept', 'none'],
  gone: ['none'],
}

const kills = Number(process.env['MESH_TEST_CRASHES'] ?? 100)
const seed = Number(process.env['MESH_TEST_SEED'] ?? systemRandom.below(2 ** 31))
/** Two homes side by side: while one child starts, the other works. */
const lanes = 2

describe('store: killed at any moment', function () {
  this.timeout(60_000 + kills * 2000)
  let folder = ''
  let child = ''

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'mesh-crash-'))
    child = join(folder, 'child.mjs')
    await build({ entryPoints: [resolve(import.meta.dirname, 'crash-child.ts')], outfile: child, bundle: true, platform: 'node', format: 'esm', external: ['level'], logLevel: 'error' })
    await symlink(resolve('node_modules'), join(folder, 'node_modules'))
  })
  after(async () => rm(folder, { recursive: true, force: true }))

  it(`loses nothing it acknowledged, and keeps nothing else (${String(kills)} kills, MESH_TEST_SEED=${String(seed)})`, async () => {
    // All lanes end before the folder is deleted under them.
    const ends = await Promise.allSettled(Array.from({ length: lanes }, async (_, lane) => runLane(lane)))
    const outcomes = ends.map((end) => {
      if (end.status === 'rejected') throw end.reason
      return end.value
    })
    const sum = (pick: (one: Outcome) => number): string => String(outcomes.reduce((all, one) => all + pick(one), 0))
    console.log(`      ${sum((one) => one.kills)} kills, ${sum((one) => one.acknowledged)} acknowledgements, ${sum((one) => one.orphans)} orphans found at start, seed ${String(seed)}`)
    assert.ok(Number(sum((one) => one.acknowledged)) > kills, 'the children hardly did anything: this run proves nothing')
    if (kills > 50) assert.ok(Number(sum((one) => one.orphans)) > 0, 'no kill left anything to repair: this run proves little')
  })

  interface Outcome {
    kills: number
    acknowledged: number
    orphans: number
  }

  async function runLane(lane: number): Promise<Outcome> {
    const home = join(folder, `home-${String(lane)}`)
    const random = seededRandom(seed + lane * 7919)
    const possible: Possible = Object.assign(new Map<number, readonly Standing[]>(), { flushed: new Set<number>() })
    const outcome: Outcome = { kills: 0, acknowledged: 0, orphans: 0 }
    let nextBlob = 1
    for (let kill = lane; kill < kills; kill += lanes) {
      const lines = await runChild(home, random, nextBlob, kill)
      for (const line of lines) {
        const [what = '', number = ''] = line.split(' ')
        const blob = Number(number)
        if (what === 'open') continue
        const standings = standingsAfter[what]
        assert.ok(standings, `the child said "${line}"`)
        possible.set(blob, standings)
        if (what === 'flushed') possible.flushed.add(blob)
        nextBlob = Math.max(nextBlob, blob + 1)
        if (standings.length === 1) outcome.acknowledged++
      }
      outcome.kills++
      const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home, ...crashLimits })
      try {
        outcome.orphans += store.recovery.orphans
        assert.equal(store.recovery.missing, 0, 'an index entry without bytes')
        await check(store, possible, kill % 10 === lane)
      } catch (error) {
        throw new Error(`kill ${String(kill)}, seed ${String(seed)}: ${String(error)}`, { cause: error })
      } finally {
        await store.close()
      }
    }
    return outcome
  }

  /** Lines the child printed in full before it was killed. */
  async function runChild(home: string, random: Random, firstBlob: number, kill: number): Promise<string[]> {
    const running = spawn(process.execPath, [child, home, String(seed + kill), String(firstBlob)], { stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    let errors = ''
    running.stdout.setEncoding('utf8').on('data', (some: string) => (text += some))
    running.stderr.setEncoding('utf8').on('data', (some: string) => (errors += some))
    const closed = once(running, 'close')
    // From the first line on it has the store open; a few are killed while they are opening it.
    if (random.below(10) > 0) await Promise.race([once(running.stdout, 'data'), closed])
    await systemClock.sleep(random.below(60))
    running.kill('SIGKILL')
    const [code, signal] = (await closed) as [number | null, string | null]
    assert.equal(signal, 'SIGKILL', `the child ended by itself with ${String(code)}: ${errors}`)
    return text.slice(0, text.lastIndexOf('\n') + 1).split('\n').slice(0, -1)
  }

  async function check(store: Store, possible: Possible, reclaim: boolean): Promise<void> {
    const kept = new Set<number>()
    for await (const [key] of store.meta('blobs').entries()) kept.add(blobOfKey(key))
    const drafts = new Set((await store.blocks.drafts()).map(blobOfDraft))
    const alive = new Map<string, number>()
    for (const blob of new Set([...possible.keys(), ...kept, ...drafts])) {
      const standing: Standing = kept.has(blob) ? 'kept' : drafts.has(blob) ? 'draft' : 'none'
      const allowed = possible.get(blob) ?? ['none']
      assert.ok(allowed.includes(standing), `blob ${String(blob)} is "${standing}", may be ${allowed.join(' or ')}`)
      assert.ok(!(kept.has(blob) && drafts.has(blob)), `blob ${String(blob)} is kept and a draft`)
      const sure = standing === 'kept' ? blocksOf(blob) : standing === 'draft' && possible.flushed.has(blob) ? flushedBlocksOf(blob) : []
      for (const { cid, bytes } of sure) {
        const read = await store.blocks.get(cid)
        assert.equal(createHash('sha256').update(read).digest('hex'), createHash('sha256').update(bytes).digest('hex'))
      }
      if (standing === 'kept') for (const { cid } of blocksOf(blob)) alive.set(cid.toString(), (alive.get(cid.toString()) ?? 0) + 1)
      possible.set(blob, standing === 'draft' && allowed.includes('none') ? ['draft', 'none'] : [standing])
      if (standing === 'none') possible.delete(blob)
    }
    for await (const { cid } of store.blocks.list()) {
      assert.ok(await store.blocks.verify(cid), `block ${cid.toString()} is not what its CID says`)
      assert.ok(alive.has(cid.toString()) || drafts.size > 0, `block ${cid.toString()} belongs to nothing`)
    }
    const { ledger, counted } = await store.recount()
    assert.deepEqual(ledger, counted)
    if (!reclaim) return
    // To the end: without the drafts and blobs nothing may be left at all.
    for (const blob of drafts) await (await store.blocks.draft(draftId(blob))).abort()
    for (const blob of kept) await store.blocks.release(blocksOf(blob).map(({ cid }) => cid), [store.meta('blobs').del(blobKey(blob))])
    possible.clear()
    await store.reclaim()
    const usage = await store.usage()
    assert.deepEqual([usage.liveBytes, usage.draftBytes, usage.reclaimableBytes, usage.blocks], [0, 0, 0, 0])
    assert.ok(usage.totalBytes < 3_000_000, `${String(usage.totalBytes)} bytes are left of nothing`)
  }
})
