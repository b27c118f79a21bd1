import { CodedError, abortReason, codeOf, messageOf, raceAbort, withDeadline } from '../../base/index.js'
import type { Clock, NodeId, Random } from '../../base/index.js'
import type { Admission } from '../../membership/index.js'
import { NetError } from '../types.js'
import { HandshakeHello, HandshakeProof, HandshakeVerdict } from '../wire/handshake.js'
import { HandshakeChannel } from './channel.js'
import type { ByteDuplex } from './channel.js'
import { AdmissionRefusedError, refusalOf } from './refusal.js'
import type { Refusal } from './refusal.js'
import { transcriptOf } from './transcript.js'
import type { HandshakeRole, HandshakeSide } from './transcript.js'

export interface HandshakeComponents {
  admission: Admission
  clock: Clock
  random: Random
}

export interface HandshakeInit {
  /** From the first frame to the last verdict. */
  deadlineMs: number
  /** How long a refusal waits for the other side to have read it before the socket is closed. */
  lingerMs: number
}

export const nonceBytes = 32
/**
 * A confirmed node shows 400 bytes; one that the authority has not met yet shows the records of those who speak for it,
 * up to eight of 900 bytes. The same bound as where certificates are made, or such a node would be refused.
 */
export const certificateBytesMax = 16 * 1024
/** A signature may grow to another scheme's; an Ed25519 one has 64 bytes. */
const signatureBytesMax = 512
const frameBytesMax = certificateBytesMax + 128

export interface HandshakeParties {
  readonly role: HandshakeRole
  readonly self: NodeId
  /** As the inner handshake has authenticated it. */
  readonly remote: NodeId
}

/**
 * Admission inside an encrypted channel; both sides do the same at the same time (see `protocols/handshake/README.md`):
 * hello with nonce and certificate; proof over the transcript; verdict on the other's proof. Only when both verdicts are
 * good is the duplex handed on, and nobody above ever sees another one.
 *
 * Rejects with `AdmissionRefusedError` when either side refused, DEADLINE, BAD_FRAME, UNAVAILABLE.
 */
export async function shakeHands(
  duplex: ByteDuplex,
  parties: HandshakeParties,
  components: HandshakeComponents,
  init: HandshakeInit,
  signal?: AbortSignal,
): Promise<ByteDuplex> {
  const channel = new HandshakeChannel(duplex, { frameBytesMax })
  const outcome = await withDeadline(components.clock, init.deadlineMs, signal, async (signal): Promise<ByteDuplex | { readonly refusal: Refusal }> => {
    const read = (): Promise<Uint8Array> => raceAbort(channel.read(), signal)
    const ours: HandshakeSide = {
      peerId: parties.self,
      nonce: components.random.bytes(nonceBytes),
      certificate: components.admission.certificate(),
    }
    channel.write(HandshakeHello.encode({ nonce: ours.nonce, certificate: ours.certificate }))
    const hello = decode(HandshakeHello.decode, await read())
    if (hello.nonce.length !== nonceBytes || hello.certificate.length > certificateBytesMax) {
      throw new NetError('BAD_FRAME', 'the hello has a nonce or certificate of a wrong size')
    }
    const theirs: HandshakeSide = { peerId: parties.remote, nonce: hello.nonce, certificate: hello.certificate }
    const [initiator, responder] = parties.role === 'initiator' ? [ours, theirs] : [theirs, ours]
    const other: HandshakeRole = parties.role === 'initiator' ? 'responder' : 'initiator'
    const { meshId } = components.admission

    const proof = await components.admission.prove(transcriptOf(meshId, parties.role, initiator, responder))
    channel.write(HandshakeProof.encode({ signature: proof }))
    const { signature } = decode(HandshakeProof.decode, await read())
    if (signature.length > signatureBytesMax) throw new NetError('BAD_FRAME', 'the proof is too long')

    const refusal = await judge(components.admission, theirs, transcriptOf(meshId, other, initiator, responder), signature)
    signal.throwIfAborted()
    if (refusal !== undefined) {
      channel.write(HandshakeVerdict.encode({ admitted: false, code: refusal.code, reason: refusal.reason }))
      return { refusal }
    }
    channel.write(HandshakeVerdict.encode({ admitted: true, code: '', reason: '' }))
    const verdict = decode(HandshakeVerdict.decode, await read())
    if (!verdict.admitted) throw new AdmissionRefusedError(refusalOf('them', verdict.code, verdict.reason))
    return channel.release()
  })
  if (!('refusal' in outcome)) return outcome
  // Their verdict on us is of more use to the person who dialled than ours on them.
  throw new AdmissionRefusedError((await lastWord(channel, components.clock, init.lingerMs, signal)) ?? outcome.refusal)
}

/** Undefined: let in. */
async function judge(admission: Admission, side: HandshakeSide, transcript: Uint8Array, proof: Uint8Array): Promise<Refusal | undefined> {
  try {
    if (side.certificate.length === 0) return refusalOf('us', 'BAD_CERTIFICATE', 'no membership certificate was shown; join the mesh with an invite first')
    await admission.check(side.peerId, side.certificate, transcript, proof)
    return undefined
  } catch (error) {
    // Only what was written for the other side to read: our own troubles (a full disk, a path) are not its business.
    if (!(error instanceof CodedError)) return refusalOf('us', 'REFUSED', 'the certificate could not be looked at; try again later')
    return refusalOf('us', codeOf(error) ?? 'REFUSED', messageOf(error))
  }
}

/** After our refusal: the other side's own verdict, if it is one too, and time for it to read ours. */
async function lastWord(channel: HandshakeChannel, clock: Clock, lingerMs: number, signal: AbortSignal | undefined): Promise<Refusal | undefined> {
  try {
    return await withDeadline(clock, lingerMs, signal, async (signal) => {
      const verdict = HandshakeVerdict.decode(await raceAbort(channel.read(), signal))
      if (verdict.admitted) {
        await raceAbort(channel.drain(), signal)
        return undefined
      }
      return refusalOf('them', verdict.code, verdict.reason)
    })
  } catch {
    // It hung up or said something odd: ours stands.
    return undefined
  }
}

function decode<T>(read: (bytes: Uint8Array) => T, bytes: Uint8Array): T {
  try {
    return read(bytes)
  } catch (error) {
    throw new NetError('BAD_FRAME', 'a handshake frame could not be read', {}, { cause: error })
  }
}

/** For logs: what went wrong with somebody who never became a peer. */
export function describeFailure(error: unknown, signal?: AbortSignal): string {
  return signal?.aborted === true ? messageOf(abortReason(signal)) : messageOf(error)
}
