import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Stage } from './stage.js'

/**
 * Stories of the consensus rounds, told as transcripts: commands, then what happened. `UPDATE_TRANSCRIPTS=1` writes what
 * happens now into the files; read the difference before you keep it. `TRANSCRIPT=name` tells only one.
 */
const folder = join(import.meta.dirname, 'transcripts')

export function tell(text: string): string {
  const stage = new Stage()
  const lines: string[] = []
  for (const line of text.split('\n')) {
    if (line.startsWith('  ')) continue
    lines.push(line)
    if (line.startsWith('#') || line.trim() === '') continue
    for (const happened of stage.command(line)) lines.push(`  ${happened}`)
  }
  return lines.join('\n')
}

describe('consensus transcripts', () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.txt')).sort()) {
    if (process.env.TRANSCRIPT !== undefined && process.env.TRANSCRIPT !== name) continue
    it(name, () => {
      const expected = readFileSync(join(folder, name), 'utf8')
      const told = tell(expected)
      if (process.env.UPDATE_TRANSCRIPTS === '1') writeFileSync(join(folder, name), told)
      else assert.equal(told, expected)
    })
  }
})
