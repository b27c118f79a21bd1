import assert from 'node:assert/strict'
import { blockBytes, segmentBlocks } from '../../../src/volumes/index.js'
import { Stage } from './stage.js'

/**
 * Stories that a storm reaches too rarely to rely on: each is what one rule of the engine is there for, and fails, by
 * what somebody reads or what replicas keep, if that rule is taken away (`npm run mutants`).
 */
describe('simulation: volumes: stories', function () {
  // One of them makes a processor busy for seconds; virtual time has its own limits.
  this.timeout(60_000)

  it('a replica that was short of a dead holder\'s stream has all of it before the next holder serves', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B', 'C'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'C', 'append')
    await stage.write('A', 0, 2)
    await stage.clock.advance(100)
    assert.equal(await stage.kept('B', 0), 2)
    assert.equal(await stage.kept('C', 0), 1)
    stage.kill('A')
    assert.equal(await stage.read('D', 0), 2, 'the longest stream counts')
    assert.deepEqual(stage.inSync(), ['B', 'C'])
    await stage.checkReplicas()
    stage.kill('B')
    stage.kill('D')
    assert.equal(await stage.read('E', 0), 2, 'what was read after the recovery is there for ever')
  })

  it('a replica that comes back gives up what was cut while it was away', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['A', 'B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    await stage.write('A', 0, 2)
    assert.equal(await stage.read('C', 0), 2)
    await stage.cutOff('A')
    assert.equal(await stage.read('C', 0), 1, 'what A alone had is cut')
    assert.deepEqual(stage.inSync(), ['B'])
    stage.gate('A', 'B', 'append', 'pass')
    await stage.heal()
    await stage.until(() => stage.inSync().includes('A'), 'A joins again')
    await stage.checkReplicas()
    stage.kill('B')
    stage.kill('C')
    assert.equal(await stage.read('D', 0), 1, 'what was seen to be gone comes back')
  })

  it('a replica that was not fenced is left out, so that a dead holder\'s late words reach nobody who counts', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B', 'C'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    stage.gate('A', 'C', 'append')
    await stage.write('A', 0, 2)
    stage.places = []
    stage.gate('D', 'C', 'fence')
    // Cut off from the voters and from all but C.
    stage.network.partition([[stage.machine('A').id, stage.machine('C').id], ['B', 'D', 'E'].map((name) => stage.machine(name as 'B').id)])
    stage.registers.deaf.add(stage.machine('A').id)
    await stage.clock.advance(8_000)
    stage.network.partition([[stage.machine('A').id], ['B', 'C', 'D', 'E'].map((name) => stage.machine(name as 'B').id)])
    await stage.clock.advance(1_000)
    assert.equal(await stage.read('D', 0), 1)
    stage.network.partition([[stage.machine('A').id, stage.machine('C').id], ['B', 'D', 'E'].map((name) => stage.machine(name as 'B').id)])
    stage.gate('A', 'C', 'append', 'pass')
    // Longer than a message that was lost is waited for.
    await stage.clock.advance(20_000)
    await stage.checkReplicas()
  })

  it('a holder whose own writes were cut says so, and claims no flush', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    await stage.write('A', 0, 2)
    await stage.cutOff('A')
    assert.equal(await stage.read('C', 0), 1)
    stage.gate('A', 'B', 'append', 'pass')
    await stage.heal()
    const device = stage.machine('A').device
    assert.ok(device !== undefined)
    const bytes = new Uint8Array(blockBytes)
    await assert.rejects(stage.flush('A'), { code: 'IO' })
    // Whatever comes next, until it is opened again; also where nothing was lost, and what was not written by then.
    for (const attempt of [
      async () => stage.clock.outcome(device.flush()), async () => stage.read('A', 0), async () => stage.clock.outcome(device.write(3 * blockBytes, bytes)),
      async () => stage.clock.outcome(device.write(0, bytes, { fua: true })), async () => stage.clock.outcome(device.trim(0, blockBytes)),
      async () => stage.clock.outcome(device.writeZeroes(0, blockBytes)), async () => stage.clock.outcome(device.extents(0, blockBytes)),
    ]) await assert.rejects(attempt, { code: 'IO' })
    await assert.rejects(stage.flush('A'), { code: 'IO' }, 'a flush after the failure is no success either')
    await stage.reopen('A')
    assert.equal(await stage.read('A', 0), 1)
  })

  it('a flush and a read need not wait for a pause in the writes of others', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B', 'D'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    // More than fit a message: while some are answered others wait, and there is never a moment without any.
    const writing = { on: true }
    const device = stage.machine('D').device
    assert.ok(device !== undefined)
    const writers = Array.from({ length: 300 }, async (_, i) => {
      while (writing.on) await device.trim((1_000 + i) * blockBytes, blockBytes)
    })
    try {
      await stage.clock.advance(20)
      assert.equal(stage.holder(1_000), 'A')
      // D is told of that, since it keeps a copy, and has to look whether what it wrote stands. At one of these moments it
      // knows, and has not looked yet.
      const version = (): number => stage.segment().version
      const before = version()
      void stage.handingOver('A', 'C', 200, 8)
      await stage.until(() => version() > before, 'the hand-off')
      const others: Promise<unknown>[] = []
      for (let ms = 0; ms < 8; ms++) {
        await stage.clock.advance(1)
        others.push(device.read(0, blockBytes), device.flush())
      }
      await stage.clock.outcome(Promise.all(others), 100)
    } finally {
      writing.on = false
      await stage.clock.outcome(Promise.all(writers), 60_000)
    }
  })

  it('nothing is flushed while lost writes are being sent again', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    await stage.write('D', 0, 2)
    await stage.write('D', 1, 3)
    await stage.cutOff('A')
    assert.equal(await stage.read('C', 0), 1)
    // C holds it now. The first that D does sends 2 and 3 again, and C does not answer for a while.
    stage.gate('D', 'C', 'access')
    const first = stage.flushing('D').catch(() => undefined)
    await stage.clock.advance(500)
    const second = stage.flushing('D').catch(() => undefined)
    await stage.clock.advance(500)
    assert.equal(await stage.read('E', 0), 1, 'a flush was acknowledged without what it covers')
    stage.gate('D', 'C', 'access', 'pass')
    await stage.clock.outcome(Promise.all([first, second]))
    await stage.flush('D')
    assert.equal(await stage.read('E', 0), 2)
    assert.equal(await stage.read('E', 1), 3)
  })

  it('a write that comes while lost ones are being sent again is done behind all of them', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    await stage.write('D', 0, 2)
    await stage.write('D', 1, 3)
    await stage.cutOff('A')
    assert.equal(await stage.read('C', 0), 1)
    stage.gate('D', 'C', 'access')
    const flushed = stage.flushing('D').catch(() => undefined)
    await stage.clock.advance(500)
    // The first of the lost ones is on its way.
    const newer = stage.writing('D', 1, 4)
    await stage.clock.advance(500)
    stage.gate('D', 'C', 'access', 'pass')
    await stage.clock.outcome(Promise.all([flushed, newer]))
    assert.equal(await stage.read('E', 1), 4, 'what was sent again came behind it')
    assert.equal(await stage.read('E', 0), 2)
  })

  it('a write that was on its way when lost ones had to be sent again is not taken for one that was done', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('D', 3, 9)
    stage.kill('D')
    await stage.start('D')
    await stage.write('A', 0, 1)
    await stage.flush('A')
    const holder = stage.holder(0)
    assert.equal(holder, 'A')
    stage.gate('A', 'B', 'append')
    await stage.write('D', 0, 2)
    stage.gate('D', 'A', 'access')
    const pending = stage.writing('D', 1, 3)
    await stage.cutOff('A', 6_500)
    assert.equal(await stage.read('C', 0), 1)
    assert.equal(stage.holder(0), 'C')
    await stage.clock.outcome(pending)
    await stage.flush('D')
    assert.equal(await stage.read('E', 0), 2)
    assert.equal(await stage.read('E', 1), 3, 'it was acknowledged and flushed')
  })

  it('writes behind one that failed wait for its answer, and are not done before it', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    // A has no copy, and cannot reach the one there is: what it must read first fails. The answer is lost.
    stage.gate('A', 'B', 'fetch')
    stage.gate('D', 'A', 'access', 'mute')
    const partial = stage.writingHalf('D', 2, 5).catch(() => undefined)
    const other = stage.writing('D', 1, 3)
    await stage.clock.advance(12_000)
    stage.gate('A', 'B', 'fetch', 'pass')
    stage.gate('D', 'A', 'access', 'pass')
    await stage.clock.outcome(Promise.all([partial, other]))
    await stage.flush('D')
    assert.equal(await stage.read('E', 1), 3)
    assert.equal(await stage.readHalf('E', 2), 5, 'acknowledged, and was never done')
  })

  it('a holder that is cut off shows nothing any more once its time is over', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    assert.equal(stage.readNow('A', 0), 1)
    await stage.cutOff('A')
    await stage.write('C', 0, 2)
    await stage.flush('C')
    assert.equal(stage.readNow('A', 0), undefined)
    await assert.rejects(stage.read('A', 0), { code: 'IO' })
  })

  it('a retry of what was done is not done again', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    stage.gate('D', 'A', 'access', 'mute')
    const pending = stage.writing('D', 0, 2)
    await stage.clock.advance(100)
    stage.gate('D', 'A', 'access', 'pass')
    assert.equal(await stage.read('C', 0), 2)
    await stage.write('E', 0, 3)
    assert.equal(await stage.read('C', 0), 3)
    await stage.clock.outcome(pending)
    assert.equal(await stage.read('C', 0), 3, 'it was seen, overwritten, and is back')
  })

  it('one half of a write that was done says nothing of the other, under the same number', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.write('D', 3, 9)
    assert.equal(await stage.handOver('A', 'C', 1, 1), true)
    // D has not heard of it: it sends all to A, and then each half to its holder.
    stage.gate('D', 'C', 'access')
    const pending = stage.writingTwo('D', 0, [4, 5])
    await stage.clock.advance(200)
    assert.equal(await stage.handOver('C', 'A', 1, 1), true)
    stage.gate('D', 'C', 'access', 'pass')
    await stage.clock.outcome(pending)
    assert.equal(await stage.read('E', 0), 4)
    assert.equal(await stage.read('E', 1), 5)
  })

  it('a range is handed over with all that was written there, or not at all', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    await stage.write('A', 0, 2)
    await stage.handOver('A', 'C', 0, segmentBlocks)
    stage.gate('A', 'B', 'append', 'pass')
    await stage.flush('A')
    stage.kill('A')
    stage.kill('C')
    assert.equal(await stage.read('E', 0), 2)
  })

  it('a write that is under way goes along when its range is handed over', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.diskDelaysMs.set('A', 2_000)
    const pending = stage.writing('A', 0, 2)
    await stage.clock.advance(10)
    const moved = stage.handOver('A', 'C', 0, segmentBlocks)
    await stage.clock.advance(5_000)
    stage.diskDelaysMs.delete('A')
    await stage.clock.outcome(Promise.all([pending, moved]))
    assert.equal(await stage.read('E', 0), 2)
    assert.equal(await stage.read('C', 0), 2)
  })

  it('a volume that is closed and opened again is no retry of what was written before', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['A'] })
    await stage.write('A', 0, 1)
    for (let value = 2; value < 6; value++) await stage.write('B', 0, value)
    await stage.flush('B')
    await stage.reopen('B')
    await stage.write('B', 0, 9)
    await stage.flush('B')
    assert.equal(await stage.read('C', 0), 9)
  })

  it('what is discarded stays discarded, whoever dies and comes back', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B', 'C'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.kill('C', { power: true })
    stage.places = ['B']
    await stage.trim('A', 0)
    await stage.flush('A')
    assert.deepEqual(stage.inSync(), ['B'])
    stage.places = ['B', 'C']
    await stage.start('C')
    await stage.until(() => stage.inSync().includes('C'), 'C joins again')
    await stage.checkReplicas()
    stage.kill('A')
    stage.kill('B')
    assert.equal(await stage.read('D', 0), 0)
  })

  it('what a copy that was broken off left past the end of a dead stream is gone once that end is settled', async () => {
    const stage = await Stage.begin({ replicas: 3, places: ['B', 'C', 'D'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    stage.gate('A', 'D', 'append')
    await stage.write('A', 0, 2)
    await stage.clock.advance(100)
    assert.equal(await stage.kept('C', 0), 2)
    stage.kill('A')
    // E recovers: B takes the block from C, and dies before the stream counts as there; D gets nothing.
    stage.gate('D', 'C', 'fetch')
    const stall = stage.stall('B', 'adopt')
    const pending = stage.reading('E', 0).catch(() => undefined)
    await stage.until(() => stall.reached(), 'B has the block')
    assert.equal(await stage.kept('B', 0), 2)
    stage.places = []
    for (const name of ['B', 'C', 'E'] as const) stage.kill(name)
    stall.release()
    await stage.start('B')
    void pending
    assert.equal(await stage.read('D', 0), 1, 'what C alone had in its stream is cut')
    assert.deepEqual(stage.inSync(), ['B', 'D'])
    await stage.checkReplicas()
    stage.kill('D')
    await stage.start('E')
    assert.equal(await stage.read('E', 0), 1, 'what was seen to be gone comes back')
  })

  it('a write of which only an offer told was not applied if it was cut', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    // C's first question is lost, so that it is C who finds out first that A is dead.
    stage.gate('C', 'A', 'access')
    const read = stage.reading('C', 0)
    await stage.clock.advance(500)
    // A has it, and B not; D never hears so.
    stage.gate('D', 'A', 'access', 'mute')
    const pending = stage.writing('D', 0, 2)
    await stage.clock.advance(100)
    // C is told of it with an offer. The hand-off comes to nothing, since B does not have it.
    const moved = stage.handingOver('A', 'C', 0, segmentBlocks).catch(() => false)
    await stage.clock.advance(300)
    stage.kill('A')
    void moved
    assert.equal(await stage.clock.outcome(read), 1)
    assert.equal(stage.holder(0), 'C')
    await stage.clock.outcome(pending)
    await stage.flush('D')
    assert.equal(await stage.read('E', 0), 2, 'acknowledged, flushed, and was never done')
  })

  it('an answer that is late by two hand-offs is not taken for what the blocks have', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    // A hand-off brings along what was written last: not block 0.
    const trimOthers = async (name: 'A' | 'C'): Promise<void> => { await stage.clock.outcome(stage.machine(name).device!.trim(64 * blockBytes, 200 * blockBytes)) }
    await trimOthers('A')
    await stage.flush('A')
    assert.equal(await stage.handOver('A', 'D', 0, segmentBlocks), true)
    stage.gate('D', 'B', 'fetch', 'slow')
    const read = stage.reading('D', 0)
    await stage.clock.advance(100)
    assert.equal(await stage.handOver('D', 'C', 0, segmentBlocks), true)
    await stage.write('C', 0, 2)
    await trimOthers('C')
    await stage.flush('C')
    assert.equal(await stage.handOver('C', 'D', 0, segmentBlocks), true)
    await stage.clock.advance(100)
    stage.gate('D', 'B', 'fetch', 'pass')
    // It is no error either that the right to read went meanwhile.
    await stage.clock.outcome(read)
    assert.equal(await stage.read('D', 0), 2)
  })

  it('an offer that arrives when its range has long gone on changes nothing at whoever has it by then', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'D', 'offer', 'late')
    assert.equal(await stage.handOver('A', 'D', 0, segmentBlocks), false)
    assert.equal(await stage.handOver('A', 'C', 0, segmentBlocks), true)
    await stage.write('C', 0, 2)
    assert.equal(await stage.handOver('C', 'D', 0, segmentBlocks), true)
    await stage.write('D', 1, 3)
    assert.equal(stage.holder(0), 'D')
    stage.gate('A', 'D', 'offer', 'pass')
    await stage.clock.advance(100)
    assert.equal(await stage.read('D', 1), 3)
    assert.equal(await stage.read('D', 0), 2)
    await stage.flush('D')
    assert.equal(await stage.read('E', 0), 2)
  })

  it('who reads in order what a holder does not have waits for few ways there and back', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'], delayMs: 50 })
    const [a, d] = [stage.machine('A').device, stage.machine('D').device]
    assert.ok(a !== undefined && d !== undefined)
    const chunk = 32 * blockBytes
    const chunks = 48
    const content = (i: number): Buffer => Buffer.alloc(chunk, i + 1)
    for (let i = 0; i < chunks; i++) await stage.clock.outcome(a.write(i * chunk, content(i)))
    // In the middle nothing was ever written, and at the end the hand-off brings what was written last.
    await stage.clock.outcome(a.trim((chunks + 2) * chunk, 8 * chunk))
    await stage.clock.outcome(a.flush(), 60_000)
    assert.equal(await stage.handOver('A', 'D', 0, segmentBlocks), true)
    await stage.until(() => stage.holder(0) === 'D', 'D holds it')
    const startedMs = stage.clock.monotonicMs()
    for (let i = 0; i < chunks; i++) assert.ok(content(i).equals(await stage.clock.outcome(d.read(i * chunk, chunk))), String(i))
    const elapsedMs = stage.clock.monotonicMs() - startedMs
    // One by one they take 48 times 100 ms.
    assert.ok(elapsedMs < 1_500, `${String(elapsedMs)} ms`)
  })

  it('late word that a node is no replica says nothing of the joining that it began since', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    assert.deepEqual(stage.inSync(), ['B'])
    // C asks what the register says. The answer, that C has no part in it, is long on its way.
    stage.gate('A', 'C', 'news')
    const release = stage.lateReads('C')
    const read = stage.reading('C', 0)
    await stage.clock.advance(50)
    stage.promptReads('C')
    const stall = stage.stall('C', 'setWhole', true)
    stage.places = ['B', 'C']
    await stage.until(() => stall.reached(), 'C has a copy')
    const { configuration } = stage.segment()
    stall.release()
    // It arrives between the end of the copying and the round that makes C a replica.
    await stage.until(() => stage.isWhole('C'), 'C is whole')
    assert.deepEqual(stage.inSync(), ['B'])
    release()
    assert.equal(await stage.clock.outcome(read), 1)
    await stage.until(() => stage.inSync().includes('C'), 'C joins')
    assert.equal(stage.segment().configuration, configuration + 1, 'by the first joining: the late word was not in its way')
    await stage.clock.advance(1_000)
    await stage.checkReplicas()
  })

  it('word from before a restart that a node is no replica is not taken for the present', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B'] })
    await stage.write('A', 0, 1)
    assert.equal(await stage.handOver('A', 'B', 1, 1), true)
    assert.equal(await stage.read('B', 1), 0)
    // B hands its block on, and stops before it has said so to C: that C has the block now, and that B has the only copy.
    stage.gate('B', 'C', 'news', 'late')
    stage.gate('A', 'C', 'news')
    assert.equal(await stage.handOver('B', 'C', 1, 1), true)
    stage.places = ['B', 'C']
    await stage.until(() => stage.inSync().includes('C'), 'C joins')
    await stage.flush('A')
    // What C remembers of its joining goes with the process, and nothing has told the new one anything before B goes on.
    stage.kill('C')
    await stage.clock.advance(1_000)
    await stage.start('C')
    await stage.clock.advance(200)
    stage.gate('B', 'C', 'news', 'pass')
    await stage.clock.advance(200)
    assert.deepEqual(stage.inSync(), ['B', 'C'])
    await stage.checkReplicas()
  })

  it('a copy that was given up does not declare a disk whole that has only a part', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.write('A', 1, 3)
    await stage.flush('A')
    const stall = stage.stall('C', 'setWhole', true)
    stage.places = ['B', 'C']
    await stage.until(() => stall.reached(), 'C joins')
    // C takes over what A held, which ends its joining.
    stage.places = ['B']
    stage.kill('A')
    const first = stage.reading('C', 0)
    await stage.clock.advance(9_000)
    stall.release()
    assert.equal(await stage.clock.outcome(first), 1)
    await stage.write('D', 1, 4)
    await stage.flush('D')
    assert.equal(await stage.read('C', 1), 4)
    stage.kill('D')
    assert.equal(await stage.read('C', 0), 1)
    assert.equal(stage.isWhole('C'), false, 'it does not keep a copy')
  })

  it('of a volume that writes through, every write is at every replica when it is acknowledged', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B', 'C'], durability: 'writethrough' })
    await stage.write('A', 0, 1)
    // By way of another node, too; a discard is a write.
    await stage.write('D', 1, 2)
    await stage.write('D', 2, 3)
    await stage.trim('D', 2)
    for (const name of ['A', 'B', 'D'] as const) stage.kill(name, { power: true })
    assert.equal(await stage.read('E', 0), 1)
    assert.equal(await stage.read('E', 1), 2)
    assert.equal(await stage.read('E', 2), 0)
  })

  it('of a volume that writes through, a write waits for enough replicas, and fails without them', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B', 'C'], durability: 'writethrough', inSyncMin: 2 })
    await stage.write('A', 0, 1)
    stage.places = ['B']
    stage.kill('C')
    await assert.rejects(stage.write('A', 0, 2), { code: 'IO' })
    stage.places = ['B', 'C']
    await stage.start('C')
    await stage.until(() => stage.inSync().includes('C'), 'C joins again')
    await stage.write('A', 0, 3)
    stage.kill('A', { power: true })
    stage.kill('B', { power: true })
    assert.equal(await stage.read('E', 0), 3)
  })

  it('who does not mind old content reads it while nobody who holds the range can be asked', async () => {
    const stage = await Stage.begin({ replicas: 2, places: ['B', 'C'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    stage.gate('A', 'C', 'append')
    await stage.write('A', 0, 2)
    // From a replica's own disk, and from the nearest replica by who keeps nothing; neither asks the holder.
    stage.gate('B', 'A', 'access')
    stage.gate('D', 'A', 'access')
    const startedMs = stage.clock.monotonicMs()
    assert.equal(await stage.readStale('B', 0), 1)
    assert.equal(await stage.readStale('D', 0), 1)
    assert.equal(await stage.readStale('D', 1), 0, 'never written')
    assert.ok(stage.clock.monotonicMs() - startedMs < 500, 'nobody was waited for')
    stage.gate('D', 'A', 'access', 'pass')
    assert.equal(await stage.read('D', 0), 2, 'who does mind asks the holder')
  })

  it('whoever asks the wrong node is told who it is by now, and suspects nobody', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    assert.equal(await stage.read('D', 0), 1)
    assert.equal(await stage.handOver('A', 'C', 0, segmentBlocks), true)
    // D did not hear of it. One question too many, then it knows.
    for (const [attempt, limitMs] of [[0, 60], [1, 15]] as const) {
      const startedMs = stage.clock.monotonicMs()
      await stage.write('D', 1, 2 + attempt)
      assert.ok(stage.clock.monotonicMs() - startedMs < limitMs, `write ${attempt} took ${(stage.clock.monotonicMs() - startedMs).toFixed(0)} ms`)
    }
    assert.equal(stage.machine('D').engine?.figures().recoveries, 0)
    assert.equal(await stage.read('C', 1), 3)
  })

  it('what a client wrote through its node and did not flush is sent to the next holder, in its order', async () => {
    const stage = await Stage.begin({ replicas: 1, places: ['B'] })
    await stage.write('A', 0, 1)
    await stage.flush('A')
    stage.gate('A', 'B', 'append')
    for (let value = 2; value < 6; value++) await stage.write('D', 0, value)
    await stage.write('D', 1, 6)
    await stage.trim('D', 1)
    stage.kill('A', { power: true })
    await stage.flush('D')
    assert.equal(await stage.read('E', 0), 5)
    assert.equal(await stage.read('E', 1), 0)
    assert.ok((stage.machine('D').engine?.figures().writesReplayed ?? 0) >= 5)
    // For good: whoever dies next.
    stage.kill('D', { power: true })
    assert.equal(await stage.read('C', 0), 5)
  })
})
