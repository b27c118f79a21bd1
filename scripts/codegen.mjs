// protocols/<name>/*.proto → src/<room>/wire/*.ts. The output is committed and never edited by hand.
// `node scripts/codegen.mjs --check` fails if what is committed is not what would be made now.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')
/** proto → the room whose wire format it is. */
const table = {
  'protocols/admission/admission.proto': 'membership',
  'protocols/members/members.proto': 'membership',
  'protocols/rpc/rpc.proto': 'net',
  'protocols/handshake/handshake.proto': 'net',
  'protocols/kad/kad.proto': 'net',
  'protocols/blob/blob.proto': 'blobs',
  'protocols/catalog/catalog.proto': 'catalog',
  'protocols/replication/replication.proto': 'replication',
  'protocols/lease/lease.proto': 'consensus',
  'protocols/volume/volume.proto': 'volumes',
  'protocols/lease/share.proto': 'leases',
  'protocols/heat/heat.proto': 'heat',
  'protocols/volume-registry/volume-registry.proto': 'volumes',
}
const check = process.argv.includes('--check')
let stale = 0
for (const [proto, room] of Object.entries(table)) {
  if (!existsSync(join(root, proto))) continue
  // protons-runtime 5 writes bigint varints from 2^31 up to 2^32 wrong (2^31 comes back as 0), and reads fixed64 as signed.
  const wrong = readFileSync(join(root, proto), 'utf8')
    .split('\n')
    .find((line) => /^\s*(optional |repeated )?u?int64\b/.test(line) && !/jstype = JS_NUMBER|is 0 or at least 2\^63/.test(line))
  if (wrong !== undefined) {
    console.log(`${proto}: "${wrong.trim()}": use [jstype = JS_NUMBER] below 2^53, else fixed64`)
    process.exit(1)
  }
  const scratch = mkdtempSync(join(tmpdir(), 'mesh-codegen-'))
  try {
    execFileSync(process.execPath, [join(root, 'node_modules/protons/dist/bin/protons.js'), '--output', scratch, join(root, proto)], { stdio: 'inherit' })
    const name = `${basename(proto, '.proto')}.ts`
    // protons hands `undefined` limits on to nested messages, which exactOptionalPropertyTypes rightly refuses.
    const made = readFileSync(join(scratch, name), 'utf8').replace(/limits: (opts\.limits\?\.[\w$]+)$/gm, 'limits: $1 ?? {}')
    const target = join(root, 'src', room, 'wire', name)
    if (check) {
      if (!existsSync(target) || readFileSync(target, 'utf8') !== made) {
        console.log(`${proto}: src/${room}/wire/${name} is stale: run npm run codegen`)
        stale++
      }
    } else {
      mkdirSync(join(root, 'src', room, 'wire'), { recursive: true })
      writeFileSync(target, made)
    }
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}
process.exit(stale === 0 ? 0 : 1)
