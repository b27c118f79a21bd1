import assert from 'node:assert/strict'
import { keyspace } from '../../../src/store/index.js'
import { collect, Home } from './support.js'

const key = (text: string): Uint8Array => new TextEncoder().encode(text)
const text = (bytes: Uint8Array | undefined): string | undefined => (bytes === undefined ? undefined : new TextDecoder().decode(bytes))

describe('store: keyspace', () => {
  it('no prefix is a prefix of another', () => {
    const prefixes = Object.values(keyspace)
    for (const [i, a] of prefixes.entries()) {
      for (const [j, b] of prefixes.entries()) if (i !== j) assert.ok(!b.startsWith(a), `${a} is a prefix of ${b}`)
    }
  })
})

describe('store: meta', () => {
  const home = new Home()
  beforeEach(async () => home.make())
  afterEach(async () => home.remove())

  it('gives rooms slices that do not see one another', async () => {
    const store = await home.open()
    const slices = ['blobs', 'catalog', 'catalog-by-cid'].map((name) => store.meta(name))
    await slices[0]!.write(slices.map((slice, i) => slice.put(key('k'), key(String(i)))), { durable: true })
    for (const [i, slice] of slices.entries()) {
      assert.equal(text(await slice.get(key('k'))), String(i))
      assert.deepEqual((await collect(slice.entries())).map(([k, v]) => [text(k), text(v)]), [['k', String(i)]])
    }
    const inner = slices[0]!.slice('x/')
    await inner.write([inner.put(key('k'), key('inner'))], { durable: false })
    assert.equal(text(await slices[0]!.get(key('x/k'))), 'inner')
    assert.deepEqual((await collect(inner.entries())).map(([k]) => text(k)), ['k'])
    assert.equal(text(await inner.get(key('none'))), undefined)
    for (const name of ['block-index', 'ledger', 'drafts', 'nonsense', 'toString', '']) assert.throws(() => store.meta(name), { code: 'BAD_INPUT' })
  })

  it('walks ranges both ways, on one view', async () => {
    const store = await home.open()
    const slice = store.meta('catalog')
    const letters = 'abcdefgh'.split('')
    await slice.write([...letters.map((letter) => slice.put(key(letter), key(letter))), slice.put(new Uint8Array([0xff, 0xff]), key('last')), slice.put(new Uint8Array(0), key('first'))], { durable: true })
    const walk = async (range?: Parameters<typeof slice.entries>[0]): Promise<string> => (await collect(slice.entries(range))).map(([, value]) => text(value)).join('')
    assert.equal(await walk(), 'firstabcdefghlast')
    assert.equal(await walk({ gte: key('c'), lt: key('f') }), 'cde')
    assert.equal(await walk({ gt: key('c'), lte: key('f') }), 'def')
    assert.equal(await walk({ reverse: true, limit: 3 }), 'lasthg')
    assert.equal(await walk({ gte: key('c'), lte: key('f'), reverse: true }), 'fedc')
    assert.equal(await walk({ limit: 0 }), '')
    const seen: (string | undefined)[] = []
    for await (const [, value] of slice.entries({ gte: key('a'), lte: key('h') })) {
      if (seen.length === 0) await slice.write(letters.map((letter) => slice.del(key(letter))), { durable: true })
      seen.push(text(value))
    }
    assert.equal(seen.join(''), 'abcdefgh')
    assert.equal(await walk(), 'firstlast')
  })

  it('writes all of a list, in order, and gets many', async () => {
    const store = await home.open()
    const slice = store.meta('settings')
    await slice.write([slice.put(key('a'), key('1')), slice.del(key('a')), slice.put(key('b'), key('1')), slice.put(key('b'), key('2'))], { durable: true })
    assert.deepEqual((await slice.getMany([key('a'), key('b'), key('c'), key('b')])).map(text), [undefined, '2', undefined, '2'])
    await slice.write([], { durable: true })
    assert.deepEqual(await slice.getMany([]), [])
    assert.throws(() => slice.put(new Uint8Array(9000), key('')), { code: 'BAD_INPUT' })
    assert.throws(() => slice.put(key('a'), new Uint8Array(5 * 1024 * 1024)), { code: 'BAD_INPUT' })
  })
})
