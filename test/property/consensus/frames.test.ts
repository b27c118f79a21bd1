import assert from 'node:assert/strict'
import fc from 'fast-check'
import { codeOf } from '../../../src/base/index.js'
import { decodeFrame, encodeFrame } from '../../../src/consensus/frames.js'
import type { Frame } from '../../../src/consensus/frames.js'
import { decodeBaseRow, encodeBaseRow } from '../../../src/consensus/driver/base-rows.js'
import { batchEntries } from '../../../src/consensus/driver/voter-disk.js'
import type { Slot } from '../../../src/consensus/rounds/memory.js'
import { decodeSlots, encodeSlot, missingBatches, slotAt, slotCount, slotFileBytes } from '../../../src/consensus/rounds/memory.js'
import { World } from '../../simulation/consensus/world.js'
import { Simulation } from '../../simulation/consensus/simulation.js'
import type { Reply, Request } from '../../../src/consensus/messages.js'

/** Real messages of all kinds: those of some simulated runs. Ids there are 16 hex digits; on the wire they have 32. */
function samples(): { requests: Request[]; replies: Reply[] } {
  const requests = new Map<string, Request>()
  const replies = new Map<string, Reply>()
  const wide = <T>(value: T): T => JSON.parse(JSON.stringify(value, (_key, part: unknown) => (part instanceof Uint8Array ? { bytes: [...part] } : part)), (_key, part: unknown) => {
    if (typeof part === 'string' && /^[0-9a-f]{16}$/.test(part)) return part + part
    // The simulation's hashes are whole snapshots as text.
    if (typeof part === 'string' && part.length > 128) return 'ab'.repeat(32)
    if (typeof part === 'string' && /^n\d\/[0-9a-f]{16}$/.test(part)) return `${part}${part.slice(3)}`
    // Simulated signatures are text of any length; real ones have 64 bytes.
    if (typeof part === 'object' && part !== null && 'type' in part && part.type === 'Buffer' && 'data' in part) return Uint8Array.from(part.data as number[]).subarray(0, 64)
    return typeof part === 'object' && part !== null && 'bytes' in part ? Uint8Array.from(part.bytes as number[]) : part
  }) as T
  for (let seed = 1; seed <= 60; seed++) {
    const simulation = new Simulation(seed, { reconfigures: true, scopes: 3 })
    const replied = simulation.replied.bind(simulation)
    simulation.replied = (host, request, reply) => {
      const code = reply.body.kind === 'refused' ? reply.body.why.code : ''
      // Some kinds come with more or with less.
      const asked = Object.keys(request.body).join() + request.body.kind
      if (!requests.has(asked)) requests.set(asked, wide(request))
      if (!replies.has(reply.body.kind + code)) replies.set(reply.body.kind + code, wide(reply))
      replied(host, request, reply)
    }
    simulation.run()
  }
  return { requests: [...requests.values()], replies: [...replies.values()] }
}

describe('lease frames', () => {
  const { requests, replies } = samples()
  const session = { node: 'n1' as Request['sender']['node'], incarnation: '00'.repeat(16), epoch: 3 }
  const value = { holder: session, token: 7, op: 'o', payload: Uint8Array.of(1, 2) }
  const wish = { scope: 's', token: 7, holder: session, asker: session, reason: Uint8Array.of(9) }
  const frame: Frame = {
    requests, replies,
    peers: [
      { kind: 'wish', wish }, { kind: 'refuse', scope: 's', token: 1, asker: session, reason: 'no' }, { kind: 'handed', scope: 's', value },
      { kind: 'chain-wish', known: 4 }, { kind: 'chain', records: [] },
    ],
  }

  it('carry every message there and back', () => {
    const kinds = new Set([...requests, ...replies].map(({ body }) => body.kind))
    for (const kind of ['rows', 'base', 'base-end', 'base-chunk', 'based', 'page', 'sealed']) assert.ok(kinds.has(kind as Request['body']['kind']), `no ${kind} was seen`)
    assert.ok(requests.some(({ body }) => body.kind === 'seal' && body.ballot !== undefined), 'no seal with all that follows was seen')
    assert.ok(requests.some(({ body }) => body.kind === 'decree-accept' && body.snapshot !== undefined), 'no decree with its snapshot was seen')
    assert.ok(requests.length >= 22, `only ${requests.length} kinds of requests were seen`)
    assert.ok(replies.length >= 24, `only ${replies.length} kinds of replies were seen`)
    const plain = (one: Frame): unknown => JSON.parse(JSON.stringify(one, (_key, part: unknown) => (part instanceof Uint8Array ? [...part] : typeof part === 'object' && part !== null && 'data' in part ? part.data : part)))
    assert.deepEqual(plain(decodeFrame(encodeFrame(frame))), plain(frame))
  })

  it('answer anything else with BAD_MESSAGE', () => {
    const bytes = encodeFrame({ requests: requests.slice(0, 12), replies: replies.slice(0, 12), peers: frame.peers })
    const only = (input: Uint8Array): void => {
      try {
        decodeFrame(input)
      } catch (error) {
        assert.equal(codeOf(error), 'BAD_MESSAGE', String(error))
      }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), only), { numRuns: 2000 })
    fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(bytes.length), (at, byte, end) => {
      const changed = Uint8Array.from(bytes)
      changed[at] = byte
      only(changed)
      only(changed.subarray(0, end))
    }), { numRuns: 1000 })
  })
})

describe('a chunk of a base', () => {
  const { requests, replies } = samples()
  const chunks = [...requests, ...replies].flatMap(({ body }) => (body.kind === 'base' || body.kind === 'base-chunk') && 'chunk' in body ? [body.chunk] : [])

  it('in a frame: whatever is wrong with it is BAD_MESSAGE', () => {
    const bytes = encodeFrame({
      requests: requests.filter(({ body }) => ['rows', 'base', 'base-end', 'base-chunk', 'seal', 'snapshot', 'decree-accept'].includes(body.kind)),
      replies: replies.filter(({ body }) => ['based', 'base-chunk', 'page', 'refused', 'sealed'].includes(body.kind)), peers: [],
    })
    fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(bytes.length), (at, byte, end) => {
      const changed = Uint8Array.from(bytes)
      changed[at] = byte
      for (const input of [changed, changed.subarray(0, end)]) {
        try {
          decodeFrame(input)
        } catch (error) {
          assert.equal(codeOf(error), 'BAD_MESSAGE', String(error))
        }
      }
    }), { numRuns: 1000 })
  })

  it('comes back from the disk, and anything else is BAD_MESSAGE', () => {
    assert.ok(chunks.length >= 2)
    const ballot = { config: 3, round: 2 ** 32 + 7, node: 'n1' as Request['sender']['node'], incarnation: '0a'.repeat(16), epoch: 2 }
    for (const chunk of chunks) {
      const bytes = encodeBaseRow(ballot, chunk)
      const back = decodeBaseRow(bytes)
      assert.deepEqual(back.ballot, ballot)
      assert.deepEqual(encodeBaseRow(ballot, back.chunk), bytes)
      fc.assert(fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), fc.nat(bytes.length), (at, byte, end) => {
        const changed = Uint8Array.from(bytes)
        changed[at] = byte
        for (const input of [changed, changed.subarray(0, end)]) {
          try {
            decodeBaseRow(input)
          } catch (error) {
            assert.equal(codeOf(error), 'BAD_MESSAGE', String(error))
          }
        }
      }), { numRuns: 300 })
    }
  })
})

describe('the second file', () => {
  it('finds the newest whole slot and its batch, whatever a torn write left', () => {
    const world = new World(1)
    const file = new Uint8Array(slotFileBytes)
    assert.deepEqual(decodeSlots(file), [])
    let last: Slot | undefined
    for (let generation = 1; generation < 200; generation++) {
      const batch = Uint8Array.from({ length: world.random.below(300) }, () => world.random.below(256))
      const next: Slot = { sequence: generation * 10, generation, ...(batch.length === 0 ? {} : { batch }) }
      const bytes = encodeSlot(next)
      if (world.chance(0.3)) {
        // Torn: a part of it only, then a crash.
        const torn = Uint8Array.from(file)
        torn.set(bytes.subarray(0, world.random.below(bytes.length)), slotAt(generation))
        const found = decodeSlots(torn).at(-1)
        // All but the last zeros of the head may be all there is to it.
        assert.ok(found?.sequence === last?.sequence || (found?.sequence === next.sequence && batch.length === 0))
      }
      file.set(bytes, slotAt(generation))
      last = next
      assert.deepEqual(decodeSlots(file).at(-1), last)
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), fc.constantFrom(0, 32, slotAt(0), slotAt(1)), (bytes, at) => {
      const broken = Uint8Array.from(file)
      broken.set(bytes, at)
      assert.ok((decodeSlots(broken).at(-1)?.generation ?? 0) >= 198)
    }), { numRuns: 300 })
  })

  it('mends a store that is behind by as much as it has, and no more', () => {
    const slots = Array.from({ length: slotCount }, (_, i): Slot => ({ sequence: 100 + i, generation: 7 + i, batch: Uint8Array.of(i) }))
    const last = 100 + slotCount - 1
    for (let stored = 90; stored <= last + 2; stored++) {
      const missing = missingBatches(stored, slots)
      if (stored < 99) assert.equal(missing, undefined)
      else assert.deepEqual(missing, slots.slice(stored - 99).map(({ batch }) => batch))
    }
    // A number alone was in the database before it was written; a hole cannot be mended; what an older store left does not count.
    const alone: Slot = { sequence: last + 1, generation: 7 + slotCount }
    assert.equal(missingBatches(last, [...slots, alone]), undefined)
    assert.deepEqual(missingBatches(last + 1, [...slots, alone]), [])
    assert.equal(missingBatches(102, slots.filter(({ sequence }) => sequence !== 105)), undefined)
    assert.equal(missingBatches(0, [...slots, { sequence: 0, generation: 90 }, { sequence: 2, generation: 91, batch: Uint8Array.of(1) }]), undefined)
    assert.deepEqual(missingBatches(0, [...slots, { sequence: 0, generation: 90 }]), [])
  })

  it('takes anything for a batch, and believes what has the right store on it and is whole', () => {
    const incarnation = 'ab'.repeat(16)
    fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      assert.equal(batchEntries(bytes, '00'.repeat(16)), undefined)
      const entries = batchEntries(Buffer.concat([Buffer.from(incarnation, 'hex'), bytes]), incarnation)
      const size = entries?.reduce((sum, { name, value }) => sum + 5 + name.length + (value?.length ?? 0), 0)
      assert.ok(size === undefined || size <= bytes.length)
    }), { numRuns: 1000 })
  })
})
