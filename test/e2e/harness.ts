import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { MeshClient, readApiFile } from '../../src/client/index.js'
import type { NodeStatus } from '../../src/client/index.js'

/**
 * Real nodes: processes of the built program on 127.0.0.1, each with a home of its own and whatever ports are free.
 *
 * @example
 * const world = new World()
 * const a = await world.start('a')
 * const b = await world.join('b', a)
 * const { stdout } = await a.run('put', file)
 * await eventually(async () => (await b.client().list('/')).length === 1)
 * after(() => world.close())
 */
export const mainFile = resolve(import.meta.dirname, '../../dist/cli/main.js')

export interface RunResult {
  code: number
  stdout: string
  stderr: string
}

export interface StartOptions {
  args?: readonly string[]
  env?: NodeJS.ProcessEnv
}

/** A start on a busy machine: libp2p and LevelDB take their time. */
const readyMsMax = 60_000
const stopMsMax = 20_000
const commandMsMax = 60_000

/** Runs the command line to its end. */
export async function runCommand(args: readonly string[], options: { env?: NodeJS.ProcessEnv; input?: string | Uint8Array; cwd?: string } = {}): Promise<RunResult> {
  if (!existsSync(mainFile)) throw new Error(`${mainFile} is not built: npm test does that, or node -e "require('./scripts/setup.cjs')()"`)
  const child = spawn(process.execPath, [mainFile, ...args], { env: { ...process.env, ...options.env }, cwd: options.cwd, stdio: ['pipe', 'pipe', 'pipe'] })
  return finished(child, options.input)
}

async function finished(child: ChildProcess, input?: string | Uint8Array): Promise<RunResult> {
  const output: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] }
  for (const name of ['stdout', 'stderr'] as const) child[name]?.on('data', (chunk: Buffer) => output[name].push(chunk))
  child.stdin?.on('error', () => undefined)
  child.stdin?.end(input)
  const timer = setTimeout(() => child.kill('SIGKILL'), commandMsMax)
  const code = await new Promise<number>((done, fail) => {
    child.once('error', fail)
    child.once('close', (exit) => {
      done(exit ?? -1)
    })
  })
  clearTimeout(timer)
  return { code, stdout: Buffer.concat(output.stdout).toString('utf8'), stderr: Buffer.concat(output.stderr).toString('utf8') }
}

/** As `scripts/mesh-node` starts it; `MESH_TEST_NODE_FLAGS` adds to it, for measurements. */
const nodeFlags = ['--max-semi-space-size=4', ...(process.env.MESH_TEST_NODE_FLAGS ?? '').split(' ').filter((flag) => flag !== '')]

/** One node of the test's world. */
export class TestNode {
  readonly home: string
  readonly name: string
  #child: ChildProcess | undefined
  #client: MeshClient | undefined
  #options: StartOptions = {}
  /** All that it has printed on stderr, and on stdout, over all its lives. */
  log = ''
  output = ''

  constructor(home: string, name: string) {
    this.home = home
    this.name = name
  }

  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new Error(`${this.name} does not run`)
    return pid
  }

  get isRunning(): boolean {
    return this.#child !== undefined
  }

  /** Starts it, and waits until it is ready. With no options, as it was started before. */
  async start(options: StartOptions = this.#options): Promise<this> {
    this.#options = options
    const child = spawn(
      process.execPath,
      [...nodeFlags, mainFile, 'start', '--home', this.home, '--name', this.name, '--listen', '/ip4/127.0.0.1/tcp/0', '--api', '127.0.0.1:0', ...(options.args ?? [])],
      // No discovery on the local network: tests that run side by side must not meet.
      { env: { ...process.env, MESH_NODE_NETWORK_MDNS: 'false', ...options.env }, stdio: ['ignore', 'pipe', 'pipe'] },
    )
    this.#child = child
    const ended = { code: undefined as number | null | undefined }
    child.once('exit', (code) => {
      ended.code = code
      if (this.#child === child) this.#child = undefined
    })
    child.stderr.on('data', (chunk: Buffer) => (this.log += chunk.toString('utf8')))
    child.stdout.on('data', (chunk: Buffer) => (this.output += chunk.toString('utf8')))
    const { pid } = child
    await eventually(async () => {
      if (ended.code !== undefined) throw new Fatal(`${this.name} ended with ${String(ended.code)}:\n${this.log}`)
      return readApiFile(this.home)?.pid === pid
    }, `${this.name} to be ready`, readyMsMax)
    this.#client?.close()
    this.#client = MeshClient.ofHome(this.home)
    return this
  }

  client(): MeshClient {
    if (this.#client === undefined) throw new Error(`${this.name} was never started`)
    return this.#client
  }

  /** Runs a command with this node's home. */
  async run(...args: string[]): Promise<RunResult> {
    return runCommand([...args, '--home', this.home])
  }

  /** The same with `--json`, parsed; fails if the command does. */
  async json<T = Record<string, unknown>>(...args: string[]): Promise<T> {
    const { code, stdout, stderr } = await this.run(...args, '--json')
    if (code !== 0) throw new Error(`mesh-node ${args.join(' ')} ended with ${String(code)}: ${stdout}${stderr}`)
    return JSON.parse(stdout) as T
  }

  async status(): Promise<NodeStatus> {
    return this.client().status()
  }

  /** As a power cut does. Resolves when the process is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** As Ctrl-C does. Resolves to the exit code. */
  async stop(): Promise<number | null> {
    return this.#end('SIGTERM')
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name)
  }

  /** Nobody reads any more what it prints. */
  hangUp(): void {
    this.#child?.stdout?.destroy()
    this.#child?.stderr?.destroy()
  }

  async ended(): Promise<number | null> {
    const child = this.#child
    if (child === undefined) return null
    return new Promise((done) => child.once('exit', done))
  }

  async #end(signal: NodeJS.Signals): Promise<number | null> {
    const child = this.#child
    if (child === undefined) return null
    const exit = this.ended()
    const late = { gaveUp: false }
    const timer = setTimeout(() => {
      late.gaveUp = true
      child.kill('SIGKILL')
    }, stopMsMax)
    child.kill(signal)
    const code = await exit
    clearTimeout(timer)
    if (late.gaveUp) throw new Error(`${this.name} did not end within ${String(stopMsMax)} ms of ${signal}:\n${this.log.slice(-4000)}`)
    return code
  }

  release(): void {
    this.#client?.close()
  }
}

/** The nodes and the scratch folder of one test file; `close` ends and removes all of it. */
export class World {
  readonly folder = mkdtempSync(join(tmpdir(), 'mesh-e2e-'))
  readonly #nodes: TestNode[] = []

  node(name: string): TestNode {
    const node = new TestNode(join(this.folder, name), name)
    this.#nodes.push(node)
    return node
  }

  /** A node with a mesh of its own. */
  async start(name: string, options: StartOptions = {}): Promise<TestNode> {
    return this.node(name).start(options)
  }

  /** A node that joins `host`'s mesh; both know each other when it resolves. */
  async join(name: string, host: TestNode, options: StartOptions = {}): Promise<TestNode> {
    const { token } = await host.client().invite(3_600_000)
    const node = await this.node(name).start({ ...options, args: ['--join', token, ...(options.args ?? [])] })
    const { peerId } = await node.status()
    await eventually(async () => (await host.client().peers()).some((peer) => peer.peerId === peerId && peer.connected), `${host.name} to see ${name}`)
    return node
  }

  path(...parts: string[]): string {
    return join(this.folder, ...parts)
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map(async (node) => {
      await node.kill()
      node.release()
    }))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Ends a wait at once. */
export class Fatal extends Error {}

/** What takes long is asked for less often, so that the nodes get on with it; it is noticed a twentieth later at most. */
const askAgainMsMin = 50
const askAgainMsMax = 250

/** Waits until `condition` holds; what it throws meanwhile is "not yet", and is told if the time runs out. */
export async function eventually(condition: () => Promise<boolean> | boolean, what: string, limitMs = 20_000): Promise<void> {
  const began = performance.now()
  const deadline = began + limitMs
  let last: unknown
  for (;;) {
    try {
      if (await condition()) return
      last = undefined
    } catch (error) {
      if (error instanceof Fatal) throw error
      last = error
    }
    if (performance.now() > deadline) throw new Error(`waited ${String(limitMs)} ms for ${what}`, { cause: last })
    const pauseMs = Math.min(askAgainMsMax, Math.max(askAgainMsMin, (performance.now() - began) / 20))
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
  }
}

/** Bytes that look random and are the same for the same seed. */
export function someBytes(length: number, seed = 1): Buffer {
  // A word at a time: tests make hundreds of megabytes of them. What is over at the end is cut off.
  const words = new Uint32Array(Math.ceil(length / 4))
  let state = seed * 2_654_435_761 + 1
  for (let i = 0; i < words.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    words[i] = state ^ (state >>> 15)
  }
  return Buffer.from(words.buffer, 0, length)
}

/**
 * A port that stays the same over restarts: two nodes that are killed in turn must find each other again. Below those
 * that the system gives to outgoing connections, one of which could take it while the node is down.
 */
export async function listenArgs(): Promise<string[]> {
  for (;;) {
    const server = createServer()
    try {
      await once(server.listen(20_000 + randomInt(10_000), '127.0.0.1'), 'listening')
    } catch {
      continue
    }
    const { port } = server.address() as AddressInfo
    server.close()
    await once(server, 'close')
    return ['--listen', `/ip4/127.0.0.1/tcp/${String(port)}`]
  }
}
