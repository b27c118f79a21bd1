import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const mebibyte = 2 ** 20

/**
 * Writes a file of so many bytes and deletes it. Memory that a virtual machine touches for the first time, or that its host
 * took back, comes at a tenth of the speed; what is measured next, ours or not, finds pages for its files that were in use.
 */
export async function warmPageCache(bytes: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'mesh-bench-warm-'))
  const file = await open(join(folder, 'file'), 'w')
  const chunk = Buffer.alloc(mebibyte, 1)
  for (let written = 0; written < bytes; written += chunk.length) await file.write(chunk)
  await file.close()
  await rm(folder, { recursive: true, force: true })
}
