import { existsSync } from 'node:fs'
import { join } from 'node:path'

/** Made by the build (scripts/setup.cjs) where there is a C compiler, and glibc. */
const file = join(import.meta.dirname, 'arenas.node')

/**
 * Has the C library keep two arenas instead of one for each thread (arenas.c says why): a node with 10,000 files rests with
 * some 13 MiB less, and nothing gets slower. To be called before anything else is loaded: the threads that read the
 * program's files have their arenas then, and keep them. That is why it is here, and not where a node lets go of memory.
 */
export function limitArenas(): void {
  if (process.platform !== 'linux' || !existsSync(file)) return
  try {
    process.dlopen({ exports: {} }, file)
  } catch {
    // Built for another machine: it works as well with more of them.
  }
}
