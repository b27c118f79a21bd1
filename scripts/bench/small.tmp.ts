// put of N small files with NODES nodes; CPU of each process during the put, and until all have heard of it
import { createCipheriv } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { World, eventually } from '../../test/e2e/harness.js'
const files = Number(process.env.FILES ?? 10000)
const count = Number(process.env.NODES ?? '3')
const ticks = (pid: number): number => { let t = 0; try { const f = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' '); t = (Number(f[11]) + Number(f[12])) * 10 } catch {} return t }
function content(i: number): Uint8Array { const iv = Buffer.alloc(16); iv.writeUInt32BE(i); const c = createCipheriv('aes-256-ctr', Buffer.alloc(32, i & 255), iv); return c.update(Buffer.alloc(10240)) }
const world = new World()
const a = await world.start('n1')
const mesh = [a]
for (let i = 2; i <= count; i++) mesh.push(await world.join(`n${i}`, a))
for (const n of mesh) await eventually(async () => (await n.status()).peers === count - 1, 'meet')
if (process.env.PERF) { console.log('pid', mesh[Number(process.env.WHICH ?? 1)]!.pid); await new Promise((r) => setTimeout(r, 2500)) }
async function* entries() { for (let i = 0; i < files; i++) yield { path: `${i}.bin`, size: 10240, content: content(i) } }
const before = mesh.map((n) => ticks(n.pid)); const me = process.cpuUsage()
const t = performance.now()
await a.client().putFolder(`/small`, entries(), { replicas: 1 })
const ms = performance.now() - t
const u = process.cpuUsage(me)
const during = mesh.map((n, i) => ((ticks(n.pid) - before[i]!) / files).toFixed(3))
const seen: string[] = []
await new Promise((r) => setTimeout(r, Number(process.env.PAUSE ?? 6000)))
console.log(`round: ${(files / ms * 1000).toFixed(0)} files/s; client ${((u.user + u.system) / 1000 / files).toFixed(3)} nodes ${during.join(' ')} until all heard ${mesh.map((n, i) => ((ticks(n.pid) - before[i]!) / files).toFixed(3)).join(' ')} `)
for (const n of mesh) console.log('files', (await n.status()).files)
if (process.env.OUT) { (await import("node:fs")).writeFileSync(process.env.OUT, mesh.map((n) => n.output).join('\n=====\n')) }
await world.close()
process.exit(0)
