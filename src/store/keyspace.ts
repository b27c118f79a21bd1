import { CommonError } from '../base/index.js'

/**
 * Every prefix of the `meta` database, in one place, so that no two rooms can meet in a key. All prefixes have the same
 * length, hence none can be a prefix of another (a test says so again). A prefix on disk is never given a new meaning:
 * a row that is no longer needed stays here as spent.
 *
 * | letter | row             | key after the prefix                        | value                          |
 * |--------|-----------------|---------------------------------------------|--------------------------------|
 * | b      | block-index     | multihash                                   | see records.ts                 |
 * | d      | drafts          | draft id in UTF-8, 0x00, multihash          | empty                          |
 * | q      | quarantine      | multihash                                   | empty                          |
 * | g      | garbage         | sequence number, 8 bytes big-endian         | see records.ts                 |
 * | t      | tail            | highest sequence number of a batch, 8 bytes | see records.ts                 |
 * | l      | ledger          | empty                                       | see ledger.ts                  |
 *
 * The other rows belong to the rooms named like them, which say in their own files what they keep there.
 */
export const keyspace = {
  'block-index': 'b:',
  drafts: 'd:',
  quarantine: 'q:',
  garbage: 'g:',
  tail: 't:',
  ledger: 'l:',

  blobs: 'B:',
  catalog: 'C:',
  'catalog-by-cid': 'c:',
  membership: 'M:',
  'provider-records': 'P:',
  peers: 'p:',
  quotas: 'Q:',
  'lease-registers': 'L:',
  sessions: 'S:',
  'lease-history': 'h:',
  volumes: 'V:',
  'volume-log': 'v:',
  heat: 'H:',
  replication: 'R:',
  'storage-policy': 'O:',
  settings: 's:',
  network: 'N:',
  datastore: 'D:',
} as const

export type KeyspaceName = keyof typeof keyspace

/** Rows that only this room writes: what stands in them must agree with the block log and the ledger. */
const ownRows: readonly KeyspaceName[] = ['block-index', 'drafts', 'quarantine', 'garbage', 'tail', 'ledger']

/** The prefix of another room's row. Throws BAD_INPUT for a name that is not in the table or is the store's own. */
export function prefixOf(name: string): string {
  const row = Object.hasOwn(keyspace, name) ? (name as KeyspaceName) : undefined
  if (row === undefined || ownRows.includes(row)) {
    throw new CommonError('BAD_INPUT', `"${name}" is not a row of the keyspace that a room may have`, { name })
  }
  return keyspace[row]
}
