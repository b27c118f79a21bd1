import { CID } from 'multiformats/cid'

/**
 * CIDs and their texts, remembered. Rooms hand a CID to each other as text, and keep it as bytes; one small file that is put
 * or heard of goes to and fro some ten times, within seconds, and base 32 costs more than all the rest of reading its record.
 */

/** As many small files as are under way on a busy node, twice; some 500 bytes each. */
const rememberedMax = 2048
const cids = new Map<string, CID>()
const texts = new Map<string, string>()
/** What `toString` makes of a CID of version 1: such a text is the only one of its bytes. */
const normalText = /^b[a-z2-7]+$/

/** Its text is in the usual form, whatever form this one is in. Throws what `CID.parse` throws. */
export function cidOfText(text: string): CID {
  const known = cids.get(text)
  if (known !== undefined) return known
  const parsed = CID.parse(text)
  // A CID remembers the text that it was parsed from.
  const cid = normalText.test(text) ? parsed : CID.decode(parsed.bytes)
  remember(cids, text, cid)
  return cid
}

/** The same for a text: one that is in the usual form comes back as it is. Throws what `CID.parse` throws. */
export function usualTextOf(text: string): string {
  const cid = cidOfText(text)
  return normalText.test(text) ? text : cid.toString()
}

/** The text of a CID that was just made: of memory of its own, which is kept. Who hears the text next need not read it. */
export function textOfNewCid(cid: CID): string {
  const key = keyOf(cid.bytes)
  const known = texts.get(key)
  if (known !== undefined) return known
  const text = cid.toString()
  remember(texts, key, text)
  remember(cids, text, cid)
  return text
}

/** The text of a binary CID. Throws what `CID.decode` throws. */
export function textOfCid(bytes: Uint8Array): string {
  const key = keyOf(bytes)
  const known = texts.get(key)
  if (known !== undefined) return known
  // The bytes may be a part of something large, which must not be kept along.
  const cid = CID.decode(Uint8Array.from(bytes))
  const text = cid.toString()
  remember(texts, key, text)
  remember(cids, text, cid)
  return text
}

function keyOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

function remember<Value>(all: Map<string, Value>, key: string, value: Value): void {
  if (all.size >= rememberedMax) all.clear()
  all.set(key, value)
}
