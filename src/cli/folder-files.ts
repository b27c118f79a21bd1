import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../base/index.js'
import { CliError } from './errors.js'

/** A file of a folder that is put. */
export interface FolderFile {
  /** From the folder on, with slashes. */
  readonly path: string
  readonly full: string
  readonly size: number
  readonly modifiedMs: number
}

/** `skipped`: nothing that the mesh keeps. `why`: a file, or a folder of them, that can have no name there. */
export type Found = FolderFile | { readonly full: string; readonly skipped: string } | { readonly path: string; readonly why: string }

/**
 * Depth first, in name order. Links are not followed: they may lead anywhere, round in circles included. Of two files
 * that have one name in the mesh, the first is found and the other told: one would take the place of the other.
 */
export async function* filesBelow(folder: string): AsyncIterable<Found> {
  yield* walk(folder, '', new Set())
}

async function* walk(folder: string, prefix: string, taken: Set<string>): AsyncIterable<Found> {
  let entries
  try {
    entries = await readdir(folder, { withFileTypes: true })
  } catch (error) {
    throw new CliError('CANNOT_READ', `${folder} cannot be read: ${messageOf(error)}`, { folder }, { cause: error })
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const full = join(folder, entry.name)
    const path = `${prefix}${entry.name}`
    if (entry.isSymbolicLink()) yield { full, skipped: 'a symbolic link' }
    // By a name with this sign in place of what is no UTF-8 neither can be opened.
    else if (entry.name.includes('\ufffd')) yield { path, why: 'its name is no UTF-8' }
    else if (entry.isDirectory()) yield* walk(full, `${path}/`, taken)
    else if (!entry.isFile()) yield { full, skipped: 'neither a file nor a folder' }
    else {
      // The mesh writes all names in one Unicode form; a disk may have the same letters in two.
      const name = path.normalize('NFC')
      if (taken.has(name)) {
        yield { path, why: 'another file beside it has the same name, written in another form of Unicode' }
        continue
      }
      taken.add(name)
      let info
      try {
        info = await stat(full)
      } catch (error) {
        throw new CliError('CANNOT_READ', `${full} cannot be read: ${messageOf(error)}`, { file: full }, { cause: error })
      }
      yield { path, full, size: info.size, modifiedMs: Math.floor(info.mtimeMs) }
    }
  }
}
