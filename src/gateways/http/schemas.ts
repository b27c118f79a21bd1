/**
 * JSON Schemas of what comes in (checked) and goes out (for the OpenAPI document). Nothing is coerced and nothing extra is
 * let through: a misspelt field gets an answer that says so, never silence.
 */
export type JsonSchema = Readonly<Record<string, unknown>>

const text: JsonSchema = { type: 'string' }
const count: JsonSchema = { type: 'integer', minimum: 0 }
const flag: JsonSchema = { type: 'boolean' }
const moment: JsonSchema = { type: 'number', description: 'Unix milliseconds' }
const orNull = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: 'null' }] })
const listOf = (items: JsonSchema): JsonSchema => ({ type: 'array', items })
const record = (properties: Record<string, JsonSchema>, required: readonly string[] = []): JsonSchema => ({
  type: 'object', properties, required, additionalProperties: false,
})
const answer = (properties: Record<string, JsonSchema>): JsonSchema => ({ type: 'object', properties, required: Object.keys(properties) })

const withOptional = (schema: JsonSchema, properties: Record<string, JsonSchema>): JsonSchema => ({ ...schema, properties: { ...(schema.properties as Record<string, JsonSchema>), ...properties } })

export const prioritySchema: JsonSchema = { type: 'string', enum: ['critical', 'high', 'normal', 'low', 'expendable'] }
/** More copies than this of one file is a typing error in any mesh we can imagine. */
export const replicasMax = 1000
/** A hundred years: an invite that outlives everybody is a typing error. */
const expiresMsMax = 100 * 365 * 86_400_000
/** Longer text than this in a body is no path, ID or CID. */
const textBytesMax = 16 * 1024
/** The highest there are is kept for stealing. */
const leasePriorityMax = 1_000_000
const name: JsonSchema = { type: 'string', minLength: 1, maxLength: textBytesMax }

/** As many as a number holds exactly. */
const bytes: JsonSchema = { type: 'integer', minimum: 0, maximum: Number.MAX_SAFE_INTEGER }

const flagText: JsonSchema = { type: 'string', enum: ['true', 'false'] }

const durability: JsonSchema = { type: 'string', enum: ['flush', 'writethrough'] }
const volumePolicy: JsonSchema = { type: 'string', enum: ['adaptive', 'basic'] }

export const bodies = {
  invite: record({ expiresMs: { type: 'integer', minimum: 1000, maximum: expiresMsMax } }, ['expiresMs']),
  empty: record({}),
  move: record({ from: name, to: name }, ['from', 'to']),
  update: { ...record({ priority: prioritySchema, replicas: { type: 'integer', minimum: 1, maximum: replicasMax }, pinned: flag }), minProperties: 1 },
  verify: record({ cid: name }),
  ticket: record({ path: name }, ['path']),
  acquire: record({
    scope: name, agent: name, mode: { type: 'string', enum: ['exclusive', 'shared'] }, ttlMs: { type: 'number' }, waitMs: { type: 'number' }, wait: flag,
    maxRenewals: { type: 'integer' }, priority: { type: 'integer', minimum: -leasePriorityMax, maximum: leasePriorityMax },
  }, ['scope']),
  renew: record({ ttlMs: { type: 'number' } }),
  forceRelease: record({ agent: name }, ['agent']),
  // Which there are, and within what limits, is said by whoever keeps them.
  leaseSettings: { type: 'object', additionalProperties: { type: ['number', 'boolean'] }, minProperties: 1, maxProperties: 64 },
  voters: { ...record({ target: { type: ['integer', 'null'] }, voters: { ...listOf(name), minItems: 1, maxItems: 5 } }), minProperties: 1, maxProperties: 1 },
  recoverVoters: record({ force: flag }, ['force']),
  quota: { ...record({ maxBytes: bytes, reservedBytes: bytes, minFreeDiskBytes: bytes, shareExcess: flag }), minProperties: 1 },
  evict: record({ bytes, dryRun: flag }, ['bytes']),
  rebalance: record({ dryRun: flag }),
  forget: record({ peerId: name }, ['peerId']),
  volume: record({ name, sizeBytes: { type: 'number' }, durability, replicas: { type: 'integer' }, policy: volumePolicy }, ['name', 'sizeBytes']),
  // Which sizes there may be is said by whoever keeps volumes.
  volumeResize: record({ sizeBytes: { type: 'number' } }, ['sizeBytes']),
  volumeExport: record({ unix: name, tcp: name, readOnly: flag, staleReads: flag, detached: flag }, ['detached']),
} satisfies Record<string, JsonSchema>

export const queries = {
  put: record({
    priority: prioritySchema,
    replicas: { type: 'string', pattern: '^[1-9][0-9]{0,2}$' },
    pin: flagText,
    wait: flagText,
    lease: { ...name, maxLength: 64, description: 'ID of an exclusive lease of this node, under whose token the file is written' },
  }),
  remove: record({ recursive: flagText }),
  read: record({ ticket: { type: 'string', maxLength: 64 } }),
  stat: record({ target: name }, ['target']),
  list: record({ path: name, recursive: flagText }),
  leases: record({ scope: { type: 'string', maxLength: textBytesMax }, agent: name }),
  locked: record({ scope: name }, ['scope']),
  leaseHistory: record({ scope: name, agent: name, leaseId: name, limit: { type: 'string', pattern: '^[1-9][0-9]{0,4}$' } }),
  none: record({}),
} satisfies Record<string, JsonSchema>

const storage = answer({
  maxBytes: count, usedBytes: count, ownBytes: count, othersBytes: count, pinnedBytes: count, reservedBytes: count,
  volumesBytes: count, metadataBytes: count, reclaimableBytes: count, freeDiskBytes: count,
})
const quotaFields = {
  ...(storage.properties as Record<string, JsonSchema>), inFlightBytes: count, freeForOthersBytes: count, freeForOwnBytes: count, overBytes: count,
  shareExcess: flag, minFreeDiskBytes: count, autoEvict: flag, evictionStrategy: text,
  replication: { type: 'string', enum: ['running', 'paused', 'draining', 'stopped'] },
} satisfies Record<string, JsonSchema>
const actions = listOf(answer({
  kind: { type: 'string', enum: ['copy', 'move', 'trim', 'evict', 'drop'] }, cid: text, from: orNull(text), to: orNull(text), bytes: count, reason: text,
}))
const fraction: JsonSchema = { type: 'number' }
const replicas = answer({ wanted: count, have: count, holders: listOf(text) })
const put = answer({
  cid: orNull(text), size: count, path: text, priority: prioritySchema, blobs: count, replicas, elapsedMs: { type: 'number' },
})
const entry = answer({
  path: text, type: { type: 'string', enum: ['file', 'dir'] }, cid: orNull(text), size: count, priority: orNull(prioritySchema),
  replicas: answer({ wanted: count, have: count }), modified: orNull(moment), pinned: flag,
})

const leaseState: JsonSchema = { type: 'string', enum: ['pending', 'active', 'expired', 'released', 'revoked', 'failed'] }
const transition = answer({
  leaseId: text, scope: text, agent: text, from: orNull(leaseState), to: leaseState, token: count, at: moment, reason: text, error: orNull(text),
})
const lease = {
  ...answer({
    leaseId: text, scope: text, mode: { type: 'string', enum: ['exclusive', 'shared'] }, holder: text, agent: text, token: count, state: leaseState,
    renewals: orNull(count), maxRenewals: orNull({ type: 'integer' }), ttlMs: orNull({ type: 'number' }), expiresInMs: orNull({ type: 'number', description: 'What is left of the TTL' }),
    validForMs: orNull({ type: 'number', description: 'How long this answer may be relied on, counted from when the request was sent' }),
  }),
}

const volumeExport = answer({
  exportId: text, volume: text, uri: text, unix: orNull(text), tcp: orNull(text), readOnly: flag, staleReads: flag, detached: flag, connections: count, ready: flag,
})
const volumeFields = {
  name: text, id: text, sizeBytes: count, blockSize: count, segments: count, durability, replicas: count, policy: volumePolicy, usedBytes: count, exports: listOf(volumeExport),
} satisfies Record<string, JsonSchema>

export const answers = {
  volume: answer(volumeFields),
  volumes: listOf(answer(volumeFields)),
  volumeDetails: answer({ ...volumeFields, openOn: listOf(answer({ peerId: text, name: text })) }),
  volumeExport,
  volumeLeases: listOf(answer({ start: count, blocks: count, holder: text, region: text, token: count })),
  volumeHeat: listOf(withOptional(answer({
    start: count, blocks: count, writes: { type: 'number' }, reads: { type: 'number' }, lastWrite: orNull(moment),
    regions: { type: 'object', additionalProperties: answer({ writes: { type: 'number' }, latencyMs: { type: 'number' } }) },
  }), {
    decision: orNull(answer({
      at: moment, type: { type: 'string', enum: ['stay', 'move'] }, reason: orNull(text), to: orNull(text), explanation: text, figures: { type: 'object', additionalProperties: true },
    })),
  })),
  ended: answer({ ended: count }),
  lease,
  leases: listOf(lease),
  leaseLocked: answer({ scope: text, locked: flag, lease: orNull(lease) }),
  leaseHistory: listOf(transition),
  released: answer({ released: count }),
  leaseSettings: { type: 'object', additionalProperties: { type: ['number', 'boolean'] } },
  voters: answer({ epoch: count, target: count, voters: listOf(answer({ peerId: text, name: text, region: text, up: flag })) }),
  votersRecovered: answer({ epoch: count, lost: listOf(text), reached: listOf(text), floor: count }),
  status: answer({
    peerId: text, meshId: text, name: text, region: text, segment: text, addresses: listOf(text), apiUrl: orNull(text), peers: count,
    state: { type: 'string', enum: ['ready', 'starting', 'stopping', 'degraded'] }, problems: listOf(text), storage, blobs: count,
    files: count, underReplicated: count, voters: listOf(text), uptimeMs: { type: 'number' }, version: text, isAdmin: flag,
  }),
  peers: listOf(answer({
    peerId: text, name: text, region: text, segment: text, addresses: listOf(text), rttMs: orNull({ type: 'number' }), connected: flag,
    state: { type: 'string', enum: ['up', 'suspect', 'gone'] }, lastSeen: moment,
    storage: orNull(answer({ maxBytes: count, usedBytes: count, shareExcess: flag })), reliability: { type: 'number', minimum: 0, maximum: 1 },
  })),
  members: listOf(answer({
    peerId: text, name: text, region: text, state: text, self: flag, joined: moment, lastSeen: moment, revoked: flag, version: text,
  })),
  invite: answer({ token: text, meshId: text, expiresAt: moment }),
  put,
  putFolder: { ...put, properties: { ...(put.properties as object), files: count, entries: listOf(answer({ path: text, cid: text, size: count })) } },
  stat: answer({
    path: orNull(text), type: { type: 'string', enum: ['file', 'dir'] }, cid: orNull(text), size: count, priority: orNull(prioritySchema),
    blobs: count, replicas, owner: orNull(text), pinned: flag, modified: orNull(moment), token: text,
  }),
  list: listOf(entry),
  removed: answer({ removed: count }),
  moved: answer({ moved: count }),
  changed: answer({ changed: count }),
  done: answer({ ok: flag }),
  quota: answer(quotaFields),
  quotaSet: answer({ ...quotaFields, persisted: flag, overriddenBy: listOf(text) }),
  plan: answer({ actions, bytes: count }),
  evicted: answer({
    actions, bytes: count, dryRun: flag, freedBytes: count, shortBytes: count, refused: count, kept: { type: 'object', additionalProperties: count },
  }),
  placement: answer({
    cid: text, size: count, wanted: count, chosen: listOf(text), holders: listOf(text), warnings: listOf(text),
    nodes: listOf(answer({
      peerId: text, name: text, score: fraction, terms: answer({ capacity: fraction, diversity: fraction, reliability: fraction }), rejected: orNull(text),
    })),
  }),
  drained: answer({ moved: count, remaining: count, problems: listOf(text) }),
  doctor: listOf({ type: 'object', properties: { name: text, state: { type: 'string', enum: ['ok', 'warning', 'failed'] }, message: text, advice: text } }),
  ticket: answer({ url: text, expiresAt: moment }),
  error: { type: 'object', properties: { code: text, message: text }, required: ['code', 'message'], additionalProperties: true },
} satisfies Record<string, JsonSchema>
