import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import type { Random } from '../../../src/base/index.js'
import { seededRandom, shuffled } from '../../../src/base/index.js'
import { covers, lineageOfNext, runsMax } from '../../../src/catalog/lineage.js'
import type { Version } from '../../../src/catalog/merge.js'
import { compareRank, join, viewOf } from '../../../src/catalog/merge.js'
import { decodeRecord, signRecord } from '../../../src/catalog/record.js'
import type { FileRecord } from '../../../src/catalog/types.js'
import { cidOf, signerOf } from '../../unit/catalog/world.js'

const signers = ['a', 'b', 'c', 'd'].map(signerOf)

/** A version and, unlike the real thing, the full set of what it supersedes. */
interface Known {
  version: Version
  ancestors: Set<string>
}

const nameOf = (record: { writer: string; modified: bigint }): string => `${record.writer} ${record.modified.toString()}`

/**
 * A history of one path at some nodes: edits (content, priority only, deletion, settling a conflict), some under a higher
 * token, and deliveries between nodes in any order, so that much is never seen by some.
 */
function history(random: Random, steps: number): Known[] {
  const all: Known[] = []
  const nodes = signers.map((signer) => ({ signer, leaves: [] as Version[] }))
  let time = 1n
  const ancestorsOf = (versions: readonly Version[]): Set<string> => {
    const set = new Set<string>()
    for (const { record } of versions) {
      set.add(nameOf(record))
      for (const name of all.find(({ version }) => nameOf(version.record) === nameOf(record))!.ancestors) set.add(name)
    }
    return set
  }
  for (let step = 0; step < steps; step++) {
    const node = nodes[random.below(nodes.length)]!
    if (random.below(3) === 0 && all.length > 0) {
      // Anything ever made may arrive, late or again, whether the node saw what came before or not.
      node.leaves = join(node.leaves, [all[random.below(all.length)]!.version])
      continue
    }
    time += BigInt(1 + random.below(3))
    const { winner, copies, hidden } = viewOf(node.leaves)
    const copy = random.below(3) === 0 ? copies[0] : undefined
    const superseded = [...(winner === undefined ? [] : [winner]), ...hidden, ...(copy === undefined ? [] : [copy])]
    const dot = { writer: node.signer.nodeId, modified: time }
    const current = winner?.record
    const kind = copy !== undefined ? 'settle' : current?.content === undefined ? 'put' : (['put', 'put', 'metadata', 'delete'] as const)[random.below(4)]!
    const content = { cid: cidOf(`content ${random.below(6)}`), size: 1, priority: 'normal', replicas: 1 + random.below(5), pinned: false } as const
    const record: FileRecord = {
      path: '/p',
      ...dot,
      owner: dot.writer,
      token: (current?.token ?? 0n) + (random.below(8) === 0 ? 1n : 0n),
      content: kind === 'delete' ? undefined : kind === 'put' ? content : current?.content === undefined ? undefined : { ...current.content, replicas: content.replicas },
      basis: kind === 'put' || current === undefined ? dot : current.basis,
      lineage: lineageOfNext(dot, superseded.map((one) => one.record.lineage), node.leaves.map((one) => one.record.lineage)),
    }
    const version = decodeRecord(signRecord(record, node.signer).bytes)
    all.push({ version, ancestors: ancestorsOf(superseded) })
    node.leaves = join(node.leaves, [version])
  }
  return all
}

/** The dumb way: of all versions ever made, those that are in nobody's set of ancestors. */
function naive(all: readonly Known[]): string[] {
  const superseded = new Set(all.flatMap(({ ancestors }) => [...ancestors]))
  return all
    .filter(({ version }) => !superseded.has(nameOf(version.record)))
    .sort((a, b) => compareRank(b.version, a.version))
    .map(({ version }) => nameOf(version.record))
}

const names = (leaves: readonly Version[]): string[] => leaves.map(({ record }) => nameOf(record))
const runs = { numRuns: 150 }
const histories = fc.record({ seed: fc.integer({ min: 0, max: 2 ** 31 }), steps: fc.integer({ min: 1, max: 40 }) })

describe('catalog: merging versions', () => {
  it('gives what a naive merge of everything gives, in any order, grouping and repetition', () => {
    fc.assert(
      fc.property(histories, ({ seed, steps }) => {
        const random = seededRandom(seed)
        const all = history(random, steps)
        const expected = naive(all)
        const versions = all.map(({ version }) => version)
        for (let round = 0; round < 4; round++) {
          const order = shuffled([...versions, ...versions.slice(0, random.below(versions.length + 1))], random)
          assert.deepEqual(names(order.reduce<Version[]>((leaves, version) => join(leaves, [version]), [])), expected)
          const cut = random.below(order.length + 1)
          const [left, right] = [join([], order.slice(0, cut)), join(order.slice(cut), [])]
          assert.deepEqual(names(join(left, right)), expected)
          assert.deepEqual(names(join(right, left)), expected)
          assert.deepEqual(names(join(join(left, right), left)), expected)
        }
      }),
      runs,
    )
  })

  it('ranks a version above all it supersedes, so that the highest leaf is the highest of all', () => {
    fc.assert(
      fc.property(histories, ({ seed, steps }) => {
        const all = history(seededRandom(seed), steps)
        const byName = new Map(all.map(({ version }) => [nameOf(version.record), version]))
        for (const { version, ancestors } of all) {
          for (const name of ancestors) assert.ok(compareRank(version, byName.get(name)!) > 0)
        }
      }),
      runs,
    )
  })

  it('loses no content: it is the winner, a copy, or somebody who knew it superseded it', () => {
    fc.assert(
      fc.property(histories, ({ seed, steps }) => {
        const all = history(seededRandom(seed), steps)
        const { winner, copies } = viewOf(join(all.map(({ version }) => version), []))
        const visible = new Set([winner, ...copies].map((version) => version?.record.content?.cid))
        for (const { version } of all) {
          const { record } = version
          if (record.content === undefined || visible.has(record.content.cid)) continue
          const origin = nameOf(record.basis)
          const knew = all.some(
            (other) => other.ancestors.has(origin) && (other.version.record.content === undefined || nameOf(other.version.record.basis) !== origin),
          )
          assert.ok(knew, `content of ${origin} is gone`)
        }
      }),
      runs,
    )
  })

  it('keeps lineages as small as the conflicts that there were', () => {
    // Two who take turns need two runs, however often.
    let leaves: Version[] = []
    for (let turn = 1; turn <= 200; turn++) {
      const signer = signers[turn % 2]!
      const dot = { writer: signer.nodeId, modified: BigInt(turn) }
      const content = { cid: cidOf(`turn ${turn}`), size: 1, priority: 'normal', replicas: 1, pinned: false } as const
      const lineages = leaves.map((one) => one.record.lineage)
      leaves = join(leaves, [signRecord({ path: '/p', ...dot, owner: dot.writer, token: 0n, content, basis: dot, lineage: lineageOfNext(dot, lineages, lineages) }, signer)])
    }
    assert.equal(leaves.length, 1)
    assert.equal(leaves[0]?.record.lineage.length, 2)
    const many = Array.from({ length: 500 }, (_, i) => [{ writer: signers[0]!.nodeId, from: BigInt(10 * i), to: BigInt(10 * i + 1) }])
    const bounded = lineageOfNext({ writer: signers[1]!.nodeId, modified: 10_000n }, many, many)
    assert.equal(bounded.length, runsMax)
    assert.ok(covers(bounded, { writer: signers[0]!.nodeId, modified: 4990n }))
    assert.ok(!covers(bounded, { writer: signers[0]!.nodeId, modified: 1n }))
  })
})
