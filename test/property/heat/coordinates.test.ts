import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { seededRandom } from '../../../src/base/index.js'
import { Distances, distanceMs, moved, originCoordinate } from '../../../src/heat/coordinates.js'
import type { Coordinate } from '../../../src/heat/coordinates.js'
import { nodeIdOf } from '../volumes/migration-world.js'

/** Every node measures a few others, round by round; returns the median relative error over all pairs. */
function converge(rtts: readonly (readonly number[])[], rounds: number, neighbours: number, seed: number): { medianError: number; coordinates: Coordinate[] } {
  const random = seededRandom(seed)
  const coordinates = rtts.map(() => originCoordinate)
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < rtts.length; i++) {
      for (let k = 0; k < neighbours; k++) {
        const j = random.below(rtts.length)
        const noise = 1 + 0.1 * (random.float() - 0.5)
        if (j !== i) coordinates[i] = moved(coordinates[i] as Coordinate, coordinates[j] as Coordinate, (rtts[i]?.[j] ?? 0) * noise, random)
      }
    }
  }
  const errors: number[] = []
  for (let i = 0; i < rtts.length; i++) {
    for (let j = 0; j < i; j++) {
      const truth = rtts[i]?.[j] ?? 0
      errors.push(Math.abs(distanceMs(coordinates[i] as Coordinate, coordinates[j] as Coordinate) - truth) / truth)
    }
  }
  errors.sort((a, b) => a - b)
  return { medianError: errors[errors.length >> 1] ?? 1, coordinates }
}

/** Points in the plane, and what each one's access link adds. */
function plane(count: number, seed: number): number[][] {
  const random = seededRandom(seed)
  const points = Array.from({ length: count }, () => ({ x: random.float() * 200, y: random.float() * 200, link: 1 + random.float() * 20 }))
  return points.map((a, i) => points.map((b, j) => (i === j ? 0 : Math.hypot(a.x - b.x, a.y - b.y) + a.link + b.link)))
}

describe('heat: network coordinates', () => {
  it('converge on places in a plane behind links of their own', () => {
    const figures: string[] = []
    for (const [count, seed] of [[3, 1], [10, 2], [50, 3]] as const) {
      const { medianError } = converge(plane(count, seed), 200, 2, seed)
      figures.push(`${String(count)} nodes ${(medianError * 100).toFixed(1)} %`)
      assert.ok(medianError < 0.12, `${String(count)} nodes: ${medianError.toFixed(3)}`)
    }
    console.log(`      median error of guesses: ${figures.join(', ')}`)
  })

  it('tell what lies in the middle, between cities as they are', () => {
    // New York, London, Singapore, Sydney, São Paulo, Frankfurt: round trips, ms, about.
    const cities = [[0, 75, 230, 205, 115, 85], [75, 0, 170, 270, 185, 15], [230, 170, 0, 95, 330, 160], [205, 270, 95, 0, 310, 280], [115, 185, 330, 310, 0, 200], [85, 15, 160, 280, 200, 0]]
    const { medianError, coordinates } = converge(cities, 300, 2, 7)
    const guess = (i: number, j: number): number => distanceMs(coordinates[i] as Coordinate, coordinates[j] as Coordinate)
    assert.ok(medianError < 0.15, medianError.toFixed(3))
    assert.ok(guess(1, 5) < guess(1, 0) && guess(1, 0) < guess(1, 2), 'London: Frankfurt before New York before Singapore')
    assert.ok(guess(2, 3) < guess(2, 0), 'Singapore: Sydney before New York')
  })

  it('never become anything but finite, whatever is measured', () => {
    const random = seededRandom(5)
    const values = [0, -1, Number.NaN, Number.POSITIVE_INFINITY, 1e-9, 30_000, 1e9, 5]
    let own = originCoordinate
    for (let i = 0; i < 2000; i++) {
      const other: Coordinate = { position: [random.float() * 60_000 - 30_000, 0], height: random.float() * 30_000, error: random.float() }
      own = moved(own, random.below(10) === 0 ? own : other, values[random.below(values.length)] ?? 0, random)
      assert.ok([...own.position, own.height, own.error].every(Number.isFinite))
      assert.ok(own.height >= 0 && own.error > 0 && own.error <= 1)
    }
  })

  it('give way to what was measured, by whichever of the two', () => {
    const sure: Coordinate = { position: [0, 0], height: 1, error: 0.1 }
    const told = new Map([
      [nodeIdOf(1), { coordinate: { ...sure, position: [50, 0] }, rttMs: (other: string) => (other === nodeIdOf(2) ? 70 : undefined) }],
      [nodeIdOf(2), { coordinate: { ...sure, position: [0, 30] }, rttMs: () => undefined }],
      [nodeIdOf(3), { coordinate: { ...sure, error: 0.9 }, rttMs: () => undefined }],
    ])
    const distances = new Distances({ measured: (peer) => (peer === nodeIdOf(1) ? 12 : undefined), told: (node) => told.get(node), random: seededRandom(1) }, { self: nodeIdOf(0) })
    assert.equal(distances.between(nodeIdOf(0), nodeIdOf(1)), 12)
    assert.equal(distances.between(nodeIdOf(1), nodeIdOf(0)), 12)
    assert.equal(distances.between(nodeIdOf(2), nodeIdOf(1)), 70)
    assert.equal(distances.between(nodeIdOf(2), nodeIdOf(2)), 0)
    assert.equal(distances.between(nodeIdOf(2), nodeIdOf(3)), undefined, 'one of them is not sure where it is')
    assert.equal(distances.between(nodeIdOf(0), nodeIdOf(2)), undefined, 'nor are we, yet')
    assert.equal(distances.between(nodeIdOf(1), nodeIdOf(9)), undefined)
  })
})
