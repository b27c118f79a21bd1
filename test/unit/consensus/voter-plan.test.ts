import assert from 'node:assert/strict'
import type { NodeId } from '../../../src/base/index.js'
import { planVoters } from '../../../src/consensus/driver/voter-plan.js'
import type { VoterCandidate } from '../../../src/consensus/driver/voter-plan.js'

const node = (name: string, facts: Partial<VoterCandidate> = {}): VoterCandidate =>
  ({ node: name as NodeId, up: true, silentMs: 0, reliability: 1, region: name, segment: name, ...facts })
const ids = (...names: string[]): NodeId[] => names as NodeId[]
const init = { target: undefined, graceMs: 1000 }

describe('planVoters', () => {
  it('goes 1, 3, 5 as nodes come', () => {
    assert.equal(planVoters(ids('a'), [node('a'), node('b')], init), undefined)
    assert.deepEqual(planVoters(ids('a'), [node('a'), node('b'), node('c')], init), ids('a', 'b', 'c'))
    assert.equal(planVoters(ids('a', 'b', 'c'), [node('a'), node('b'), node('c'), node('d')], init), undefined)
    assert.equal(planVoters(ids('a', 'b', 'c'), ['a', 'b', 'c', 'd', 'e'].map((name) => node(name)), init)?.length, 5)
  })

  it('replaces the dead after the grace, not before, and never shrinks by itself', () => {
    const dead = (silentMs: number): VoterCandidate[] => [node('a'), node('b'), node('c', { up: false, silentMs }), node('d')]
    assert.equal(planVoters(ids('a', 'b', 'c'), dead(500), init), undefined)
    assert.deepEqual(planVoters(ids('a', 'b', 'c'), dead(5000), init), ids('a', 'b', 'd'))
    assert.equal(planVoters(ids('a', 'b', 'c'), dead(5000).slice(0, 3), init), undefined)
  })

  it('spreads over regions before it looks at the last percent of reliability', () => {
    const candidates = [node('a', { region: 'x', segment: 'x' }), node('b', { region: 'x', segment: 'x' }), node('c', { reliability: 0.9 }), node('d', { reliability: 0.8 })]
    assert.deepEqual(planVoters(ids('a'), candidates, init), ids('a', 'c', 'd'))
  })

  it('does as it was told', () => {
    const all = ['a', 'b', 'c', 'd', 'e'].map((name) => node(name))
    assert.deepEqual(planVoters(ids('a', 'b', 'c', 'd', 'e'), all, { ...init, target: 3 }), ids('a', 'b', 'c'))
    assert.equal(planVoters(ids('a'), all, { ...init, target: 1 }), undefined)
  })
})
