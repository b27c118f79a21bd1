import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const execute = promisify(execFile)

/** Programs of others that talk NBD, and what checks file systems; and the Debian package each is in. */
const packages = {
  nbdinfo: 'libnbd-bin', nbdcopy: 'libnbd-bin', nbdfuse: 'libnbd-bin', 'qemu-img': 'qemu-utils', 'qemu-io': 'qemu-utils', fio: 'fio',
  'mkfs.ext4': 'e2fsprogs', e2fsck: 'e2fsprogs', debugfs: 'e2fsprogs',
} as const
export type Program = keyof typeof packages

const found = new Map<Program, boolean>()
let triedInstalling = false

/** Runs one to its end; rejects with all that it said if it fails. */
export async function run(program: Program, args: readonly string[], options: { cwd?: string; timeoutMs?: number } = {}): Promise<string> {
  try {
    const { stdout, stderr } = await execute(pathOf(program), args, { cwd: options.cwd, timeout: options.timeoutMs ?? 60_000, maxBuffer: 64 * 2 ** 20 })
    return `${stdout}${stderr}`
  } catch (error) {
    const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string }
    throw new Error(`${program} ${args.join(' ')}: ${message}\n${stdout}${stderr}`, { cause: error })
  }
}

/** What administrators' tools are called by others than them. */
function pathOf(program: Program): string {
  return packages[program] === 'e2fsprogs' ? `/sbin/${program}` : program
}

async function isThere(program: Program): Promise<boolean> {
  try {
    await execute('sh', ['-c', `command -v ${pathOf(program)}`])
    return true
  } catch {
    return false
  }
}

/**
 * Whether all of these can be run here. What is missing is installed where that needs nobody's leave (root, with apt);
 * what is missing still is said, by name, and counted at the end of the file by `tellMissing`.
 */
export async function installed(...programs: Program[]): Promise<boolean> {
  for (const program of programs) {
    if (found.has(program)) continue
    if (!(await isThere(program)) && !triedInstalling && process.getuid?.() === 0) {
      triedInstalling = true
      const wanted = [...new Set(Object.values(packages))]
      await execute('apt-get', ['install', '-y', '--no-install-recommends', ...wanted], { timeout: 120_000, env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } }).catch(() => undefined)
    }
    found.set(program, await isThere(program))
  }
  const missing = programs.filter((program) => found.get(program) !== true)
  for (const program of missing) console.log(`      (${program} is not installed here, Debian has it in ${packages[program]}: not tried)`)
  return missing.length === 0
}

export function tellMissing(): void {
  const missing = [...found].filter(([, there]) => !there).map(([program]) => program)
  if (missing.length > 0) console.log(`      (${String(missing.length)} of ${String(found.size)} clients were not tried: ${missing.join(', ')})`)
}
