import assert from 'node:assert/strict'
import fc from 'fast-check'
import { seededRandom } from '../../../src/base/index.js'
import { checkQuotaSettings, emptyLedger, expire, extend, headroomOf, overBytes, report, reserve, reservedInFlight, roomFor, settle, storageCost } from '../../../src/storage-policy/index.js'
import type { DiskUse, Ledger, QuotaSettings } from '../../../src/storage-policy/index.js'
import { gib, mib } from './world.js'

const settings: QuotaSettings = { maxBytes: 10 * gib, reservedBytes: 2 * gib, shareExcess: true, minFreeDiskBytes: gib }
const empty: DiskUse = { totalBytes: 0, ownBytes: 0, othersBytes: 0, pinnedBytes: 0, volumesBytes: 0, metadataBytes: 0, reclaimableBytes: 0, freeDiskBytes: 100 * gib }

describe('storage-policy: quota', () => {
  it('never lets more in than the limit, however arrivals, settlements, lapses, garbage and other programs interleave', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seededRandom(seed)
        const limits: QuotaSettings = {
          maxBytes: random.below(20) * gib + mib,
          reservedBytes: random.below(2) * 512 * 1024,
          shareExcess: random.below(6) !== 0,
          minFreeDiskBytes: random.below(3) * gib,
        }
        checkQuotaSettings(limits)
        let ledger: Ledger = emptyLedger
        let diskBytes = 25 * gib
        let own = 0
        let others = 0
        let garbage = 0
        let nowMs = 0
        const measured = (): DiskUse => ({ ...empty, totalBytes: own + others + garbage, ownBytes: own, othersBytes: others, reclaimableBytes: garbage, freeDiskBytes: diskBytes - own - others - garbage })
        for (let i = 0; i < 200; i++) {
          nowMs += random.below(1000)
          const dice = random.below(10)
          const one = ledger.reservations[random.below(Math.max(1, ledger.reservations.length))]
          if (dice < 5) {
            const isOwn = random.below(3) === 0
            const bytes = random.below(10) === 0 ? random.below(30 * gib) : random.below(gib)
            const before = roomFor(isOwn, expire(ledger, nowMs), measured(), limits).bytes
            const admission = reserve(ledger, measured(), limits, { id: String(i), bytes, own: isOwn, ttlMs: 5000 }, nowMs)
            assert.equal(admission.admitted, storageCost(bytes) <= before)
            if (admission.admitted) ledger = admission.ledger
            else assert.ok(admission.shortBytes > 0)
          } else if (dice < 8 && one !== undefined) {
            // The bytes arrive, all the cost that was reserved at most, and the reservation is settled. A lapsed one brings nothing.
            const live = one.expiresAtMs > nowMs
            const bytes = live ? Math.floor(one.bytes * random.float()) + (random.below(2) === 0 ? 0 : 0) : 0
            if (one.own) own += bytes
            else others += bytes
            ledger = settle(ledger, one.id)
          } else if (dice === 8) {
            const part = Math.floor(others * random.float())
            others -= part
            garbage += part
          } else {
            garbage = Math.floor(garbage * random.float())
            if (one !== undefined && one.expiresAtMs > nowMs) ledger = extend(ledger, one.id, nowMs + 5000)
          }
          const inFlight = reservedInFlight(expire(ledger, nowMs))
          assert.ok(own + others + garbage + inFlight <= limits.maxBytes - headroomOf(limits) || own + others + inFlight === 0)
          assert.ok(diskBytes - own - others - garbage - inFlight >= Math.min(limits.minFreeDiskBytes, diskBytes))
        }
        diskBytes = 0
      }),
      { numRuns: 300 },
    )
  })

  it('keeps the reserve for the owner, and lets the owner use all of it', () => {
    const full: DiskUse = { ...empty, totalBytes: 7 * gib, othersBytes: 7 * gib }
    const stranger = reserve(emptyLedger, full, settings, { id: 'a', bytes: gib, own: false, ttlMs: 1000 }, 0)
    assert.ok(!stranger.admitted && stranger.reason === 'RESERVED')
    const owner = reserve(emptyLedger, full, settings, { id: 'a', bytes: 2 * gib, own: true, ttlMs: 1000 }, 0)
    assert.ok(owner.admitted)
    // What the owner has used of the reserve is not kept free a second time.
    const used: DiskUse = { ...empty, totalBytes: 8 * gib, ownBytes: 3 * gib, othersBytes: 5 * gib }
    assert.ok(reserve(emptyLedger, used, settings, { id: 'b', bytes: gib, own: false, ttlMs: 1000 }, 0).admitted)
  })

  it('counts garbage that is not reclaimed yet, takes nothing for others when it does not share, and keeps the disk free', () => {
    const garbage: DiskUse = { ...empty, totalBytes: 9.5 * gib, reclaimableBytes: 9 * gib }
    const full = report(emptyLedger, garbage, settings)
    const clean = report(emptyLedger, { ...garbage, totalBytes: 0.5 * gib, reclaimableBytes: 0 }, settings)
    assert.ok(full.freeForOthersBytes < gib && full.roomForOthersBytes > 6 * gib)
    assert.deepEqual([full.roomForOthersBytes, full.roomForOwnBytes], [clean.freeForOthersBytes, clean.freeForOwnBytes])
    const refused = reserve(emptyLedger, garbage, settings, { id: 'a', bytes: gib, own: true, ttlMs: 1 }, 0)
    assert.ok(!refused.admitted && refused.reason === 'QUOTA')
    const alone = reserve(emptyLedger, empty, { ...settings, shareExcess: false }, { id: 'a', bytes: 1, own: false, ttlMs: 1 }, 0)
    assert.ok(!alone.admitted && alone.reason === 'NOT_SHARED')
    const tight = reserve(emptyLedger, { ...empty, freeDiskBytes: gib + mib }, settings, { id: 'a', bytes: 2 * mib, own: true, ttlMs: 1 }, 0)
    assert.ok(!tight.admitted && tight.reason === 'DISK')
  })

  it('a reservation lapses, the same id does not count twice, and a lowered limit shows by how much it is passed', () => {
    const one = reserve(emptyLedger, empty, settings, { id: 'a', bytes: 5 * gib, own: true, ttlMs: 1000 }, 0)
    assert.ok(one.admitted)
    const again = reserve(one.ledger, empty, settings, { id: 'a', bytes: 5 * gib, own: true, ttlMs: 1000 }, 10)
    assert.ok(again.admitted && again.ledger.reservations.length === 1)
    assert.ok(!reserve(one.ledger, empty, settings, { id: 'b', bytes: 6 * gib, own: true, ttlMs: 1000 }, 999).admitted)
    assert.ok(reserve(one.ledger, empty, settings, { id: 'b', bytes: 6 * gib, own: true, ttlMs: 1000 }, 1000).admitted)
    const use: DiskUse = { ...empty, totalBytes: 8 * gib, reclaimableBytes: gib }
    assert.equal(overBytes(use, { ...settings, maxBytes: 5 * gib }), 2 * gib)
    assert.equal(report(emptyLedger, use, { ...settings, maxBytes: 5 * gib }).freeForOwnBytes, 0)
    assert.equal(overBytes({ ...empty, freeDiskBytes: 0 }, settings), gib)
  })

  it('refuses settings that contradict each other', () => {
    for (const wrong of [{ maxBytes: -1 }, { maxBytes: 1.5 }, { reservedBytes: 11 * gib }, { minFreeDiskBytes: Number.NaN }, { headroomBytes: 11 * gib }]) {
      assert.throws(() => checkQuotaSettings({ ...settings, ...wrong }), { code: 'BAD_SETTING' })
    }
  })
})
