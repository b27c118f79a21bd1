import assert from 'node:assert/strict'
import fc from 'fast-check'
import { describe, it } from 'mocha'
import { CID } from 'multiformats/cid'
import { codeOf, hlcMax, publicKeyOf, systemClock } from '../../../src/base/index.js'
import type { NodeId, RpcMethod } from '../../../src/base/index.js'
import { antiEntropyMethods } from '../../../src/catalog/anti-entropy-server.js'
import { pull } from '../../../src/catalog/anti-entropy.js'
import { conflictPath, normalizeFolder, normalizePath, pathKey, pathOfKey, segmentBytesMax } from '../../../src/catalog/path.js'
import { decodeRecord, encodeVersions, signedParts, signIn } from '../../../src/catalog/record.js'
import { Records } from '../../../src/catalog/records.js'
import { isProof, SigningGroup } from '../../../src/catalog/signing.js'
import type { FileRecord } from '../../../src/catalog/types.js'
import { BucketResponse, DigestResponse, RecordBody, RecordsRequest, RecordsResponse, SignedRecord, StoredVersions } from '../../../src/catalog/wire/catalog.js'
import { silentLog } from '../../../src/base/index.js'
import { MemoryKeyValue } from '../../unit/catalog/memory-key-value.js'
import { cidOf, signerOf, TestNode, VirtualTime, World } from '../../unit/catalog/world.js'

const signer = signerOf('a')
const other = signerOf('b').nodeId
const segment = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }),
  fc.string({ unit: fc.constantFrom('a', 'é', 'e\u0301', '.', '..', '\\', '\0', '\n', '\u0085', '\ud800', '😀', ' ', '-', '\u0344', '한'), maxLength: 300 }),
  fc.constantFrom('.', '..', '', '..\\..\\etc', '%2e%2e', 'CON', '\u202e'),
)
const anyPath = fc.oneof(fc.string(), fc.array(segment, { maxLength: 30 }).map((parts) => `/${parts.join('/')}`), fc.integer({ min: 1, max: 20_000 }).map((n) => `/${'x/'.repeat(n)}y`))
const goodPath = anyPath.map((path) => {
  try {
    return normalizePath(path)
  } catch {
    return '/good/path.txt'
  }
})
const hlc = fc.bigInt({ min: 1n, max: hlcMax })

const record = fc
  .record({ path: goodPath, modified: hlc, token: fc.bigInt({ min: 0n, max: hlcMax }), size: fc.maxSafeNat(), deleted: fc.boolean(), runs: fc.array(hlc, { maxLength: 63 }), basis: fc.option(hlc) })
  .map(({ path, modified, token, size, deleted, runs, basis }): FileRecord => ({
    path,
    modified,
    writer: signer.nodeId,
    owner: size % 2 === 0 ? signer.nodeId : other,
    token,
    content: deleted ? undefined : { cid: cidOf(path), size, priority: 'high', replicas: 1 + (size % 9), pinned: size % 3 === 0 },
    basis: basis === null || basis >= modified ? { modified, writer: signer.nodeId } : { modified: basis, writer: other },
    lineage: [
      { writer: signer.nodeId, from: modified > 5n ? modified - 5n : modified, to: modified },
      ...runs.filter((to) => to < modified).map((to) => ({ writer: to % 2n === 0n ? other : signer.nodeId, from: to > 3n ? to - 3n : to, to })),
    ],
  }))

/** Signed alone, or with others. */
const signed = (one: FileRecord, others: number): Uint8Array => {
  const group = new SigningGroup(signer)
  const version = signIn(group, one)
  for (let i = 0; i < others; i++) group.add(Buffer.of(i))
  return version.bytes
}

const mutated = fc.tuple(record, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat(20), fc.nat(4)).map(([one, changes, cut, others]) => {
  const bytes = Uint8Array.from(signed(one, others))
  for (const [at, value] of changes) bytes[at % bytes.length] = value
  return cut === 0 ? bytes.subarray(0, bytes.length >> 1) : bytes
})

describe('catalog: bad input', () => {
  it('a path is refused with BAD_PATH or comes out in a form that stays', () => {
    fc.assert(
      fc.property(anyPath, (text) => {
        try {
          const path = normalizePath(text)
          assert.equal(normalizePath(path), path)
          assert.equal(normalizeFolder(`${path}/`), path)
          assert.equal(path, path.normalize('NFC'))
          assert.ok(path.startsWith('/') && Buffer.byteLength(path) <= 4160)
          for (const name of path.slice(1).split('/')) assert.ok(name !== '' && name !== '.' && name !== '..' && Buffer.byteLength(name) <= segmentBytesMax)
          assert.doesNotMatch(path, /[\p{Cc}\p{Cs}]/u)
          assert.equal(pathOfKey(pathKey(path)), path)
          // With a letter that Unicode has two forms of, what is plain goes the long way: with the same outcome.
          if (path.length < 200) assert.equal(normalizePath(`${text}/e\u0301`), `${path}/\u00e9`)
        } catch (error) {
          assert.equal(codeOf(error), 'BAD_PATH')
          assert.ok((error as Error).message.length < 300)
        }
      }),
    )
  })

  it('says what is wrong with a path', () => {
    const cases: [string, RegExp][] = [
      ['', /begin with/], ['a', /begin with/], ['/', /root folder/], ['//a', /empty name/], ['/a/', /empty name/], ['/a/../b', /\.\./],
      ['/a\0b', /control character/], ['/\u0085', /control character/], ['/\ud800x', /surrogate/], [`/${'x'.repeat(256)}`, /256 bytes/], [`/${'xxxxxxx/'.repeat(512)}y`, /bytes/],
    ]
    for (const [path, why] of cases) assert.throws(() => normalizePath(path), (error: Error) => codeOf(error) === 'BAD_PATH' && why.test(error.message))
    assert.equal(normalizePath('/cafe\u0301'), '/café')
    assert.equal(normalizePath('/..\\..\\x'), '/..\\..\\x')
  })

  it('a conflict copy has a path of its own, in normal form, and so has a copy of the copy', () => {
    fc.assert(
      fc.property(goodPath, hlc, hlc, (path, a, b) => {
        const [one, two] = [conflictPath(path, { modified: a, writer: other }), conflictPath(path, { modified: b, writer: other })]
        assert.equal(normalizePath(one), one)
        assert.equal(one === two, a === b)
        const again = conflictPath(one, { modified: b, writer: signer.nodeId })
        assert.equal(normalizePath(again), again)
      }),
    )
    assert.match(conflictPath('/d/.profile', { modified: 0n, writer: other }), /^\/d\/\.profile \(conflict 1970-01-01 00-00-00 .{8}-0\)$/)
    assert.match(conflictPath('/d/x.tar.gz', { modified: hlcMax, writer: other }), /^\/d\/x\.tar \(conflict 10889-08-02 05-31-50 .{8}-[0-9a-z]{1,6}\)\.gz$/)
  })

  it('paths sort so that a folder is in one piece', () => {
    fc.assert(
      fc.property(fc.array(goodPath, { maxLength: 20 }), goodPath, (paths, folder) => {
        const all = [...new Set([...paths, folder, `${folder} `, `${folder}-`, `${folder}.x`, `${folder}/b`, `${folder}/b/c`, `${folder}!`])]
        const sorted = all.sort((a, b) => Buffer.compare(pathKey(a), pathKey(b)))
        const inside = sorted.map((path) => path.startsWith(`${folder}/`))
        assert.equal(inside.filter((is, i) => is && inside[i - 1] !== true).length, 1)
      }),
    )
  })

  it('a record comes back as it was signed', () => {
    fc.assert(fc.property(record, fc.nat(4), (one, others) => assert.deepEqual(decodeRecord(signed(one, others)).record, one)))
  })

  it('a record has the bytes that the generated encoder makes of it, as have the rows of a path', () => {
    const raw = (nodeId: NodeId): Uint8Array => publicKeyOf(nodeId) ?? assert.fail()
    const priorities = { critical: 10, high: 8, normal: 5, low: 3, expendable: 1 }
    const expected = ({ path, writer, owner, modified, token, content, basis, lineage, moved }: FileRecord): Uint8Array =>
      RecordBody.encode({
        path: Buffer.from(path), writer: raw(writer), ...(owner === writer ? {} : { owner: raw(owner) }), modified, token,
        ...(content === undefined ? {} : { content: { ...content, cid: CID.parse(content.cid).bytes, size: BigInt(content.size), priority: priorities[content.priority] } }),
        ...(basis.modified === modified && basis.writer === writer ? {} : { basisModified: basis.modified, basisWriter: raw(basis.writer) }),
        ownFrom: lineage[0]?.from ?? 0n,
        lineage: lineage.slice(1).map((run) => ({ ...(run.writer === writer ? {} : { writer: raw(run.writer) }), from: run.from, to: run.to })),
        ...(moved === undefined ? {} : { movedPath: Buffer.from(moved.path), movedModified: moved.modified, ...(moved.writer === writer ? {} : { movedWriter: raw(moved.writer) }) }),
      })
    const moved = fc.option(fc.record({ path: goodPath, modified: hlc, writer: fc.constantFrom(signer.nodeId, other) }), { nil: undefined })
    fc.assert(
      fc.property(fc.array(fc.tuple(record, moved, fc.nat(4)), { minLength: 1, maxLength: 8 }), (all) => {
        const group = new SigningGroup(signer)
        const versions = all.map(([one, to]) => signIn(group, to === undefined ? one : { ...one, moved: to }))
        const row = encodeVersions(versions)
        for (const { record: one, bytes } of versions) {
          const parts = signedParts(bytes)
          assert.deepEqual(Buffer.from(parts.body), Buffer.from(expected(one)))
          assert.deepEqual(Buffer.from(bytes), Buffer.from(SignedRecord.encode(parts)))
        }
        assert.deepEqual(Buffer.from(row), Buffer.from(StoredVersions.encode({ versions: versions.map(({ bytes }) => bytes) })))
      }),
    )
  })

  it('arbitrary and mutated records are refused with BAD_RECORD or keep every rule', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutated), (bytes) => {
        try {
          const { record: one } = decodeRecord(bytes)
          const { proof } = signedParts(bytes)
          assert.ok(proof === undefined || isProof(proof))
          assert.equal(normalizePath(one.path), one.path)
          assert.ok(one.lineage.every(({ from, to }, i) => from <= to && (i === 0 ? to === one.modified : to < one.modified)))
        } catch (error) {
          assert.equal(codeOf(error), 'BAD_RECORD')
        }
      }),
    )
    assert.throws(() => decodeRecord(new Uint8Array(20_000)), { code: 'BAD_RECORD' })
  })

  it('a changed record is never stored: what was not signed is not taken', async () => {
    const node = await new TestNode(new World(), 'b').start()
    await fc.assert(
      fc.asyncProperty(mutated, async (bytes) => {
        const records = await Records.open(
          { meta: new MemoryKeyValue(), signer: signerOf('c'), clock: new VirtualTime().clock(), log: silentLog, isMember: () => true },
          { tombstoneLifetimeMs: 1e15 },
        )
        const { accepted } = await records.ingest([bytes])
        if (accepted === 0) return
        // Only the signature is random enough to say: a byte may have been replaced by itself.
        const { record: one } = decodeRecord(bytes)
        assert.equal(one.writer, signer.nodeId)
      }),
      { numRuns: 50 },
    )
    await node.stop()
  })

  it('requests of any bytes get an answer within the limits or BAD_INPUT', async () => {
    const node = await new TestNode(new World(), 'a').open()
    for (let i = 0; i < 20; i++) await node.put(`/x/${i}`, `content ${i}`)
    const records = await Records.open(
      { meta: node.meta, signer, clock: new VirtualTime().clock(), log: silentLog, isMember: () => true },
      { tombstoneLifetimeMs: 1e15 },
    )
    const methods = antiEntropyMethods({ records, clock: systemClock, clocks: records.clocks, isReturning: () => false, onDifference: () => undefined })
    const context = { from: other, signal: new AbortController().signal }
    const wanted = fc.record({ prefix: fc.uint8Array({ maxLength: 3 }), have: fc.uint8Array({ maxLength: 40 }) })
    const request = fc.record({ wanted: fc.array(wanted, { maxLength: 5 }), after: fc.option(fc.uint8Array({ minLength: 15, maxLength: 17 }), { nil: undefined }) })
    const bodies = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      request.map(({ wanted, after }) => RecordsRequest.encode({ wanted, ...(after === undefined ? {} : { after }) })),
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...methods), bodies, async (method: RpcMethod, body) => {
        try {
          assert.ok((await method.handle(body, context)).length <= method.responseBytesMax)
        } catch (error) {
          assert.equal(codeOf(error), 'BAD_INPUT')
        }
      }),
      { numRuns: 300 },
    )
  })

  it('answers of any bytes end a pull, and never keep it asking for ever', async () => {
    const digest = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 4096, maxLength: 4096 }).map((buckets) => DigestResponse.encode({ buckets, returning: false, wallMs: buckets[0] ?? 0 })))
    const bucket = fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ minLength: 4096, maxLength: 4096 }).map((digests) => BucketResponse.encode({ digests })))
    const answer = fc
      .record({ records: fc.array(mutated, { maxLength: 3 }), unknown: fc.uint8Array({ maxLength: 20 }), done: fc.nat(600), next: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }), { nil: undefined }) })
      .map(({ next, ...rest }) => RecordsResponse.encode({ ...rest, ...(next === undefined ? {} : { next }) }))
    await fc.assert(
      fc.asyncProperty(digest, bucket, answer, async (first, second, third) => {
        const clock = new VirtualTime().clock()
        const records = await Records.open(
          { meta: new MemoryKeyValue(), signer: signerOf('c'), clock, log: silentLog, isMember: () => true },
          { tombstoneLifetimeMs: 1e15 },
        )
        await records.apply([{ path: '/mine', content: { cid: cidOf('mine'), size: 1 } }])
        let requests = 0
        const request = async (_: unknown, method: string): Promise<Uint8Array> => {
          requests++
          return method === 'catalog.digest' ? first : method === 'catalog.bucket' ? second : third
        }
        try {
          await pull({ records, rpc: { register: () => undefined, request }, clock, clocks: records.clocks, log: silentLog }, other, { signal: new AbortController().signal, forgetUntilMs: undefined })
        } catch (error) {
          assert.equal(codeOf(error), 'BAD_INPUT')
        }
        assert.ok(requests < 2000)
        assert.notEqual(await records.table.get('/mine'), undefined)
      }),
      { numRuns: 100 },
    )
  })
})
