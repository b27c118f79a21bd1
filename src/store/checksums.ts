import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'

/** Made by the build (scripts/setup.cjs) where there is a C compiler and Linux; the same file for `src/` and `dist/`. */
const builtFile = join(import.meta.dirname, '../../dist/store/crc32c.node')

/**
 * Gives LevelDB the processor's own CRC-32C (crc32c.c says why and how). To be called before the first database of this
 * process is opened: LevelDB decides then, once, after it has tried the function on a known text.
 *
 * Returns how often LevelDB has asked for a checksum so far, undefined where it has to
 * sum up by itself. What is on the disk is the same either way.
 */
export function accelerateChecksums(file = builtFile): number | undefined {
  if (process.platform !== 'linux' || !existsSync(file)) return undefined
  const module: { exports: { calls?: number } } = { exports: {} }
  try {
    // For all to see: LevelDB's library finds the function by its name.
    process.dlopen(module, file, constants.dlopen.RTLD_LAZY | constants.dlopen.RTLD_GLOBAL)
  } catch {
    // Built for another machine.
    return undefined
  }
  return module.exports.calls
}
