import { hash } from 'node:crypto'
import type { NodeId, Signer } from '../base/index.js'
import { invariant, verifySignatureInPool } from '../base/index.js'

/**
 * Signatures of records, one for many that are made at once.
 *
 * A signature takes 25 µs of the processor, and twice that at each node that verifies it: of a small file more than anything
 * else. So bodies that are made together become the leaves of a binary tree of hashes, and its root is signed. Each record
 * carries that signature and the hashes beside its way to the root, and so proves by itself, to whoever has nothing else,
 * that its writer signed it: as it did with a signature of its own.
 *
 * Leaves and inner nodes are hashed apart (by a first byte of 0 and 1), else an inner node could pass for a body. What is
 * signed has a purpose of its own, else a root could. One body alone is signed as it always was. Where a level has an odd
 * number of nodes the last goes up as it is.
 *
 * Roads not taken: 64 leaves, as many as come together. The way would be 64 bytes longer in every record, for good, and
 * spare the next microsecond. Hashes of half the length: who chooses what others put could look for two bodies that share one.
 */
const leavesMax = 16
const hashBytes = 32
/** The ways of 256 leaves: as many bits as the first byte has. */
const levelsMax = 8
const leafMark = 0
const nodeMark = 1

/** A body with its signature, as in SignedRecord. */
export interface Signed {
  readonly body: Uint8Array
  readonly signature: Uint8Array
  readonly proof?: Uint8Array
}

/**
 * Gathers bodies until somebody asks for a signature; then all that have come are signed at once.
 *
 * @example
 * const group = new SigningGroup(signer)
 * const signed = bodies.map((body) => group.add(body))
 * signed.map((one) => one())
 */
export class SigningGroup {
  readonly #signer: Signer
  #open: { bodies: Uint8Array[]; signed: readonly Signed[] | undefined } = { bodies: [], signed: undefined }

  constructor(signer: Signer) {
    this.#signer = signer
  }

  add(body: Uint8Array): () => Signed {
    if (this.#open.signed !== undefined || this.#open.bodies.length >= leavesMax) this.#open = { bodies: [], signed: undefined }
    const group = this.#open
    const place = group.bodies.push(body) - 1
    return () => {
      const signed = (group.signed ??= signTogether(group.bodies, this.#signer))[place]
      invariant(signed, 'each body is signed in its place')
      return signed
    }
  }
}

/** In the order of the bodies, of which there are 1 to 256. */
export function signTogether(bodies: readonly Uint8Array[], signer: Signer): Signed[] {
  const [alone, second] = bodies
  if (alone !== undefined && second === undefined) return [{ body: alone, signature: signer.sign('mesh-node catalog record 1', alone) }]
  const levels = [bodies.map(leafOf)]
  for (let below = levels[0] ?? []; below.length > 1; ) {
    const above: Uint8Array[] = []
    for (let at = 0; at < below.length; at += 2) {
      const [left, right] = [below[at], below[at + 1]]
      invariant(left, 'a level has no gaps')
      above.push(right === undefined ? left : nodeOf(left, right))
    }
    levels.push(above)
    below = above
  }
  const signature = signer.sign('mesh-node catalog records 1', levels.at(-1)?.[0] ?? new Uint8Array(0))
  return bodies.map((body, i) => ({ body, signature, proof: wayOf(i, levels) }))
}

/** What is beside the way up from a leaf; where nothing is, at the end of a level, it goes up as it is. */
function wayOf(leaf: number, levels: readonly (readonly Uint8Array[])[]): Uint8Array {
  const way = Buffer.allocUnsafe(1 + hashBytes * (levels.length - 1))
  let lefts = 0
  let steps = 0
  let place = leaf
  for (const level of levels) {
    const beside = level[place ^ 1]
    if (beside !== undefined) {
      way.set(beside, 1 + hashBytes * steps)
      // What is beside an odd place is on its left.
      lefts |= (place & 1) << steps++
    }
    place >>= 1
  }
  way[0] = lefts
  return way.subarray(0, 1 + hashBytes * steps)
}

/**
 * Whether a proof has a form that `signTogether` gives. There must not be two of one meaning: the name of a version is a
 * hash over all its bytes.
 */
export function isProof(proof: Uint8Array): boolean {
  const levels = (proof.length - 1) / hashBytes
  return Number.isInteger(levels) && levels >= 1 && levels <= levelsMax && (proof[0] ?? 0) >> levels === 0
}

/** The hash that was signed. `proof`: see `isProof`. */
export function rootOf(body: Uint8Array, proof: Uint8Array): Uint8Array {
  let reached = leafOf(body)
  for (let level = 0, at = 1; at < proof.length; level++, at += hashBytes) {
    const beside = proof.subarray(at, at + hashBytes)
    reached = ((proof[0] ?? 0) >> level) & 1 ? nodeOf(beside, reached) : nodeOf(reached, beside)
  }
  return reached
}

/** Roots of the last so many records that came, should no two of them be of one tree; 200 bytes each. */
const rememberedMax = 2048

/** Verifies signatures, of many records that were signed at once only the first. */
export class Verifier {
  /** Of roots: writer, root and signature, which were verified or are being. Those that turn out wrong leave. */
  readonly #roots = new Map<string, Promise<boolean>>()

  async isSigned(writer: NodeId, { body, signature, proof }: Signed): Promise<boolean> {
    if (proof === undefined) return verifySignatureInPool(writer, 'mesh-node catalog record 1', body, signature)
    const root = rootOf(body, proof)
    const key = `${writer} ${Buffer.concat([root, signature]).toString('latin1')}`
    const known = this.#roots.get(key)
    if (known !== undefined) return known
    const verifying = verifySignatureInPool(writer, 'mesh-node catalog records 1', root, signature)
    if (this.#roots.size >= rememberedMax) this.#roots.clear()
    this.#roots.set(key, verifying)
    const forget = (): void => {
      if (this.#roots.get(key) === verifying) this.#roots.delete(key)
    }
    verifying.then((well) => {
      if (!well) forget()
    }, forget)
    return verifying
  }
}

/** Marked bodies and pairs, made and hashed at once; larger bodies, of which there are few, have memory of their own. */
const marked = Buffer.alloc(2048)

function leafOf(body: Uint8Array): Uint8Array {
  if (body.length >= marked.length) return hash('sha256', Buffer.concat([Buffer.of(leafMark), body]), 'buffer')
  marked[0] = leafMark
  marked.set(body, 1)
  return hash('sha256', marked.subarray(0, 1 + body.length), 'buffer')
}

function nodeOf(left: Uint8Array, right: Uint8Array): Uint8Array {
  marked[0] = nodeMark
  marked.set(left, 1)
  marked.set(right, 1 + hashBytes)
  return hash('sha256', marked.subarray(0, 1 + 2 * hashBytes), 'buffer')
}
