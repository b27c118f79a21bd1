import { randomFillSync } from 'node:crypto'

/** Chance as a value: the system's, or a seeded one that replays a whole simulation. */
export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** Uniform integer in [0, below). */
  below(below: number): number
  bytes(length: number): Uint8Array
}

export const systemRandom: Random = {
  float: () => Math.random(),
  below: (below) => Math.floor(Math.random() * below),
  bytes: (length) => randomFillSync(new Uint8Array(length)),
}

/** sfc32 (Chris Doty-Humphrey): small, fast, passes PractRand; for simulations and tests, never for secrets. */
export function seededRandom(seed: number | bigint): Random {
  let a = Number(BigInt(seed) & 0xffffffffn) | 0
  let b = Number((BigInt(seed) >> 32n) & 0xffffffffn) | 0
  let c = 0x9e3779b9 | 0
  let counter = 1
  const next = (): number => {
    const t = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (c << 21) | (c >>> 11)
    c = (c + t) | 0
    return t >>> 0
  }
  for (let i = 0; i < 12; i++) next()
  const float = (): number => next() / 2 ** 32
  return {
    float,
    below: (below) => Math.floor(float() * below),
    bytes(length) {
      const bytes = new Uint8Array(length)
      for (let i = 0; i < length; i++) bytes[i] = next() & 0xff
      return bytes
    },
  }
}

/** Fisher–Yates on a copy. */
export function shuffled<T>(items: readonly T[], random: Random): T[] {
  const copy = [...items]
  for (let i = copy.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const x = copy[i] as T
    copy[i] = copy[j] as T
    copy[j] = x
  }
  return copy
}
