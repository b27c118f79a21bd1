import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Made by the build (scripts/setup.cjs) where there is a C compiler and Linux; the same file for `src/` and `dist/`. */
const builtFile = join(import.meta.dirname, '../../dist/store/page-cache.node')

/** Bytes read of an open file into the target, as far as they are in memory; negative if none could be. Never waits. */
export type ReadNow = (file: number, target: Uint8Array, position: number) => number

/** Reads from the page cache (page-cache.c says how and why); undefined where there is no such thing. */
export function pageCacheReader(file = builtFile): ReadNow | undefined {
  if (process.platform !== 'linux' || !existsSync(file)) return undefined
  const module: { exports: { readNow?: ReadNow } } = { exports: {} }
  try {
    process.dlopen(module, file)
  } catch {
    // Built for another machine.
    return undefined
  }
  return module.exports.readNow
}
