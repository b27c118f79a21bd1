import type { Log, Random } from '../../base/index.js'
import type { ConfigRecord, ConfigSeals } from '../config.js'
import { extendChain } from '../config.js'
import { isMemoryLost, missingBatches } from '../rounds/memory.js'
import type { MemoryFile } from './memory-file.js'
import type { VoterDisk } from './voter-disk.js'

export interface OpeningParts {
  readonly disk: VoterDisk
  readonly memoryFile: MemoryFile
  readonly seals: ConfigSeals
  readonly random: Random
  readonly log: Log
}

/**
 * Round 11 at a start: brings the database up to the last batch that the second file has. A store that is behind all the
 * same has lost memory, and begins as a new one that nobody knows; its old one would deny what it has promised.
 */
export async function openStore({ disk, memoryFile, seals, random, log }: OpeningParts, given: readonly ConfigRecord[]): Promise<{ incarnation: string; chain: readonly ConfigRecord[] }> {
  let stored = await disk.sequence()
  const told = await memoryFile.read()
  const slot = told[told.length - 1]?.sequence
  let incarnation = await disk.incarnation()
  for (const batch of missingBatches(stored, told) ?? []) {
    if (incarnation === undefined || !(await disk.redo(batch, incarnation))) break
    stored++
  }
  const known = await disk.nodeChain()
  const chain = [...known, ...extendChain(known, given, seals)]
  if (incarnation === undefined || isMemoryLost({ stored, slot })) {
    if (slot !== undefined) log.warn('this node\'s lease store has lost memory: it starts as a new one and will be configured in again', { stored, told: slot })
    incarnation = Buffer.from(random.bytes(16)).toString('hex')
    await disk.reset(incarnation, chain)
    await memoryFile.put(0)
  } else if (slot === undefined || slot < stored) {
    // A batch that reached the disk just before a crash counts from now on.
    await memoryFile.put(stored)
  }
  return { incarnation, chain }
}
