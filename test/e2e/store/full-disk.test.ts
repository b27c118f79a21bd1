import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { open, rm, statfs, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Store } from '../../../src/store/index.js'
import { StoreError } from '../../../src/store/index.js'
import type { Block } from '../../unit/store/support.js'
import { block, blocks, openHome, putAll } from '../../unit/store/support.js'

const diskBytes = 48 * 1024 * 1024

/** A small disk of its own needs the right to mount; without it (no root, a container) there is nothing to fill. */
function mountSmallDisk(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'mesh-disk-'))
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${String(diskBytes)}`, 'tmpfs', folder], { stdio: 'ignore' })
    return folder
  } catch {
    rmSync(folder, { recursive: true })
    return undefined
  }
}

describe('store: full disk', function () {
  this.timeout(30_000)
  const disk = mountSmallDisk()
  let store: Store | undefined

  after(async () => {
    await store?.close().catch(() => undefined)
    if (disk === undefined) return
    execFileSync('umount', [disk])
    rmSync(disk, { recursive: true })
  })

  if (disk === undefined) {
    it('was not tested: a tmpfs could not be mounted here (that takes root)')
    return
  }

  async function fillUp(path: string): Promise<void> {
    const file = await open(path, 'w')
    try {
      const bytes = new Uint8Array(64 * 1024).fill(1)
      while (true) await file.write(bytes)
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ENOSPC')
    } finally {
      await file.close()
    }
  }

  // Small blocks and large ones are kept in different ways; and the index alone may have no room.
  for (const [full, size] of [['blocks', 100_000], ['large blocks', 300_000], ['meta', 100]] as const) {
    it(`says NO_SPACE, goes on reading, and writes again when there is space (${full})`, async () => {
      const home = join(disk, full)
      const ballast = join(disk, 'ballast')
      store = await openHome(home)
      const { blocks: blockStore } = store
      const kept: Block[] = blocks(20, 100_000)
      await putAll(store, kept)
      const names = store.meta('catalog')
      await fillUp(ballast)
      // A page or two for the log that is refused then in the middle of a record.
      if (full !== 'meta') await truncate(ballast, (await statfs(disk)).bsize * Math.floor(diskBytes / 4096 / 2))
      const acknowledged: Block[] = []
      let refused: unknown
      for (let n = 0; refused === undefined && n < 2000; n++) {
        const one = block(5000 + n, size)
        try {
          await putAll(store, [one], `draft ${String(n)}`, [names.put(one.cid.bytes, new Uint8Array(1000))])
          acknowledged.push(one)
        } catch (error) {
          refused = error
        }
      }
      assert.ok(refused instanceof StoreError && refused.code === 'NO_SPACE', String(refused))
      assert.match(refused.message, /full/)

      for (const { cid, bytes } of [...kept, ...acknowledged]) assert.deepEqual(await blockStore.get(cid), Buffer.from(bytes))
      await assert.rejects(putAll(store, [block(9000, full === 'large blocks' ? size : 1000)], 'again', [names.put(new Uint8Array(1), new Uint8Array(1))]), { code: 'NO_SPACE' })
      for (const { cid, bytes } of kept) assert.deepEqual(await blockStore.get(cid), Buffer.from(bytes))

      // What was put before can be committed as soon as there is space, without another block being put first.
      const early = full !== 'meta' ? await blockStore.draft('early') : undefined
      assert.equal(await early?.adopt(kept[0]!.cid), early === undefined ? undefined : true)
      await rm(ballast)
      await early?.commit([])
      for (const id of await blockStore.drafts()) {
        if (id === 'again') continue
        const left = await blockStore.draft(id).catch(() => undefined)
        await left?.abort()
      }
      await putAll(store, [block(9001, 300_000)], 'after', [names.put(new Uint8Array([2]), new Uint8Array(1))])
      for (const { cid, bytes } of [...kept, ...acknowledged, block(9001, 300_000)]) assert.deepEqual(await blockStore.get(cid), Buffer.from(bytes))
      assert.ok((await store.recount()).agrees)
      await store.close()

      store = await openHome(home)
      for (const { cid, bytes } of [...kept, ...acknowledged, block(9001, 300_000)]) assert.deepEqual(await store.blocks.get(cid), Buffer.from(bytes))
      assert.equal(store.recovery.missing, 0)
      assert.ok((await store.recount()).agrees)
      await store.close()
      await rm(home, { recursive: true })
    })
  }
})
