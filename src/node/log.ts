import { appendFileSync } from 'node:fs'
import type { Facts, Log } from '../base/index.js'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error'
const weights: Record<LogLevel, number> = { debug: 0, info: 1, warn: 2, error: 3 }

export interface LogInit {
  level: LogLevel
  format: 'text' | 'json'
  /** Appended to as well, if given. */
  file?: string
  write?: (line: string) => void
}

/** One line each, to stderr: time, weight, room, sentence, facts. */
export function createLog(init: LogInit, room = 'node'): Log {
  const write = init.write ?? ((line: string) => process.stderr.write(line))
  const at = (level: LogLevel) => (message: string, facts: Facts = {}) => {
    if (weights[level] < weights[init.level]) return
    const line = `${init.format === 'json' ? jsonLine(level, room, message, facts) : textLine(level, room, message, facts)}\n`
    write(line)
    if (init.file === undefined) return
    try {
      appendFileSync(init.file, line, { mode: 0o600 })
    } catch {
      // A full disk must not stop a node for the sake of its log; stderr has the line.
    }
  }
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), child: (name) => createLog(init, name) }
}

function jsonLine(level: LogLevel, room: string, message: string, facts: Facts): string {
  return JSON.stringify({ time: new Date().toISOString(), level, room, message, ...facts })
}

function textLine(level: LogLevel, room: string, message: string, facts: Facts): string {
  const rest = Object.entries(facts).map(([key, value]) => `  ${key}=${plain(value)}`)
  return `${new Date().toISOString()} ${level.toUpperCase().padEnd(5)} ${room}: ${plain(message)}${rest.join('')}`
}

/** Facts may hold what strangers sent: nothing in them may begin a new line or move a terminal's cursor. */
function plain(value: unknown): string {
  return (typeof value === 'string' ? value : JSON.stringify(value)).replace(/\p{Cc}/gu, ' ')
}
