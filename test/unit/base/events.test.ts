import assert from 'node:assert/strict'
import { describe, it } from 'mocha'
import { Emitter } from '../../../src/base/index.js'

describe('base: events', () => {
  it('are heard by whoever listens at that moment, each once, in the order in which they came', () => {
    const emitter = new Emitter<{ said: string }>()
    const heard: string[] = []
    const first = (word: string): void => void heard.push(`first ${word}`)
    const stop = emitter.on('said', first)
    emitter.on('said', first)
    const stopSecond = emitter.on('said', (word) => {
      heard.push(`second ${word}`)
      stopSecond()
      emitter.on('said', (later) => heard.push(`third ${later}`))
    })
    emitter.on('said', (word) => heard.push(`fourth ${word}`))
    emitter.emit('said', 'one')
    assert.deepEqual(heard.splice(0), ['first one', 'second one', 'fourth one'])
    stop()
    stop()
    emitter.emit('said', 'two')
    assert.deepEqual(heard, ['fourth two', 'third two'])
  })
})
