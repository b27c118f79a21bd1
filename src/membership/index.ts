/**
 * Membership: who is in the mesh, who is up, and how one gets in or is put out.
 *
 * A home comes to belong to a mesh once, by `createMesh` or `joinMesh`. From then `openMembership` gives the node its
 * `Membership`: the certificate and the check that the network's handshake needs (`Admission`), invites and removals,
 * and, while `run` runs, the table of all members with their descriptions, states and reliability.
 *
 * ```ts
 * const authority = createSigner(newAuthoritySeed(random))        // kept in `authority.key`
 * await createMesh({ meta, signer, clock }, authority)             // or: await joinMesh({ meta, signer, clock }, token)
 * const membership = await openMembership({ meta, signer, authority, clock, random, log }, membershipSettings(graceMs))
 * const net = await openNet({ admission: membership, … })
 * membership.describeSelf({ name, region, segment, power, version, addresses: net.addresses() })
 * await membership.run({ connections: net, gossip: net.gossip, rpc: net.rpc, cut, keep, onWake }, signal)
 * ```
 *
 * The rules and their reasons are in protocols/admission and protocols/members.
 */
export * from './types.js'
export { createMesh, joinMesh, meshOf, newAuthoritySeed } from './founding.js'
export type { FoundingComponents, Joined } from './founding.js'
export { decodeInvite, encodeInvite } from './invite.js'
export type { DecodedInvite, InviteInit } from './invite.js'
export { asMeshId, authorityOf, meshIdOf } from './keys.js'
export { certificateBytesMax, genesisBytesMax } from './limits.js'
export { openMembership } from './service.js'
export type { MembershipComponents } from './service.js'
export { membershipSettings } from './settings.js'
export type { MembershipInit } from './settings.js'
