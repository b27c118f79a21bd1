/** Every bound of the room in one place. Part of the wire format: a peer that passes one sends garbage. */

/** An Ed25519 public key, raw; also a seed. */
export const keyBytes = 32

/**
 * Members one node keeps in mind, removed ones included. Four times the thousand nodes that a mesh is made for; at some
 * 2 KiB each that is 8 MiB.
 */
export const membersMax = 4096

/** Of other members for one member: three can vanish or be removed before it hangs on a single one. */
export const endorsementsMax = 4
/** Records in a certificate: the node's own, and a chain of endorsers up to the authority. */
export const recordsMax = 8
/** A record is at most 900 bytes; with room for fields of later versions. */
export const certificateBytesMax = 16 * 1024

/** Room for a first configuration of five voters with signatures; it makes every token longer, so it should stay small. */
export const genesisBytesMax = 1024
/** Decoded token, the checksum included. */
export const inviteBytesMax = 4096
export const bootstrapPeersMax = 8
export const bootstrapAddressesMax = 8

/** UTF-8 bytes of `name`, `region`, `segment`, `version`: what fits a line of a table. */
export const labelBytesMax = 64
export const addressesMax = 16
/** A multiaddr with a DNS name of 253 characters, or through a relay. */
export const addressBytesMax = 512
export const startIdBytes = 16
/** Sixteen addresses of the longest kind, the labels and the keys. */
export const announcementBytesMax = 10 * 1024

/** An announcement with its certificate. */
export const gossipBytesMax = 32 * 1024

/** Digest of a full table, two items a member and one a revocation, is 205 KiB. */
export const syncBytesMax = 512 * 1024
/** What one answer carries: a few hundred members, checked in about 100 ms. */
export const syncItemsBytesMax = 256 * 1024
/** Requests in one exchange: enough for a full table at 256 KiB each, and an end for a peer that always has more. */
export const syncRoundsMax = 64

/** Dates that we accept: a safe integer, and a year that a calendar can show. */
export const dateMsMax = 8.64e15
