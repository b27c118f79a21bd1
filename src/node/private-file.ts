import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'

/** Writes a file that only its owner may read (0600 from its first byte on), durably, and replaces the old one in one step. */
export function writePrivately(path: string, content: string): void {
  const temporary = `${path}.${String(process.pid)}.new`
  rmSync(temporary, { force: true })
  const file = openSync(temporary, 'wx', 0o600)
  try {
    writeSync(file, content)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  renameSync(temporary, path)
}
