import { writeSync } from 'node:fs'
import type { Random } from '../../../src/base/index.js'
import { seededRandom, silentLog, systemClock, systemRandom } from '../../../src/base/index.js'
import type { Store } from '../../../src/store/index.js'
import { openStore } from '../../../src/store/index.js'
import { blobKey, blobOfDraft, blobOfKey, blocksOf, crashLimits, draftId, flushedBlocksOf } from './crash-world.js'

/**
 * Uses a store as hard as it can until it is killed. Says what it begins and what it was told is done, each with one
 * write that has reached the pipe when it returns: what was not printed was not acknowledged.
 */
const [home = '', seed = '0', firstBlob = '0'] = process.argv.slice(2)
const callers = 6
const keptBlobs = 60

const store = await openStore({ clock: systemClock, random: systemRandom, log: silentLog }, { home, ...crashLimits })
const kept: number[] = []
for await (const [key] of store.meta('blobs').entries()) kept.push(blobOfKey(key))
const left = (await store.blocks.drafts()).map(blobOfDraft)
/** Drafts that this process flushed and has still open. */
const opened = new Map<number, Awaited<ReturnType<Store['blocks']['draft']>>>()
let nextBlob = Number(firstBlob)
say('open', 0)
await Promise.all(Array.from({ length: callers }, async (_, caller) => work(store, seededRandom(Number(seed) * callers + caller))))

async function work(store: Store, random: Random): Promise<never> {
  while (true) {
    const dice = random.below(20)
    if (dice < 8 && kept.length < keptBlobs) await commit(nextBlob++)
    else if (dice < 11) await flush(nextBlob++)
    else if (dice < 14) await resume(takeAny(left, random))
    else if (dice < 15) await abort(takeAny(left, random))
    else if (dice < 19) await release(takeAny(kept, random))
    else await store.reclaim()
    // Not a busy loop when there was nothing to take.
    await new Promise((resolve) => setImmediate(resolve))
  }
}

async function commit(blob: number): Promise<void> {
  say('commit', blob)
  const draft = await store.blocks.draft(draftId(blob))
  await Promise.all(blocksOf(blob).map(async ({ cid, bytes }) => draft.put(cid, bytes)))
  await draft.commit([store.meta('blobs').put(blobKey(blob), new Uint8Array(1))])
  say('committed', blob)
  kept.push(blob)
}

async function flush(blob: number): Promise<void> {
  say('flush', blob)
  const draft = await store.blocks.draft(draftId(blob))
  for (const { cid, bytes } of flushedBlocksOf(blob)) if (!(await draft.adopt(cid))) await draft.put(cid, bytes)
  await draft.flush()
  say('flushed', blob)
  opened.set(blob, draft)
  left.push(blob)
}

async function resume(blob: number | undefined): Promise<void> {
  if (blob === undefined) return
  const draft = opened.get(blob) ?? (await store.blocks.draft(draftId(blob)))
  say('resume', blob)
  await Promise.all(blocksOf(blob).map(async ({ cid, bytes }) => draft.put(cid, bytes)))
  await draft.commit([store.meta('blobs').put(blobKey(blob), new Uint8Array(1))])
  say('committed', blob)
  kept.push(blob)
}

async function abort(blob: number | undefined): Promise<void> {
  if (blob === undefined) return
  const draft = opened.get(blob) ?? (await store.blocks.draft(draftId(blob)))
  say('abort', blob)
  await draft.abort()
  say('gone', blob)
}

async function release(blob: number | undefined): Promise<void> {
  if (blob === undefined) return
  say('release', blob)
  await store.blocks.release(blocksOf(blob).map(({ cid }) => cid), [store.meta('blobs').del(blobKey(blob))])
  say('gone', blob)
}

function takeAny(from: number[], random: Random): number | undefined {
  return from.splice(random.below(from.length), 1)[0]
}

function say(what: string, blob: number): void {
  writeSync(1, `${what} ${String(blob)}\n`)
}
