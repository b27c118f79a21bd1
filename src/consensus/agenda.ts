/**
 * What is to be done at which time, without timers: whoever runs the core asks `nextMs` when to wake it, and calls
 * `run` then or later. A binary heap; cancelled entries are skipped when they come up.
 */
interface Entry {
  readonly atMs: number
  readonly order: number
  run: (() => void) | undefined
}

export interface Appointment {
  cancel(): void
}

export class Agenda {
  readonly #heap: Entry[] = []
  #order = 0

  at(atMs: number, run: () => void): Appointment {
    const entry: Entry = { atMs, order: this.#order++, run }
    this.#heap.push(entry)
    this.#up(this.#heap.length - 1)
    return { cancel: () => { entry.run = undefined } }
  }

  /** When the next entry is due, on the same clock as `at`. */
  get nextMs(): number | undefined {
    this.#dropCancelled()
    return this.#heap[0]?.atMs
  }

  /** Runs one due entry. False if none is. */
  runOne(nowMs: number): boolean {
    this.#dropCancelled()
    const first = this.#heap[0]
    if (first === undefined || first.atMs > nowMs) return false
    this.#pop()
    first.run?.()
    return true
  }

  #dropCancelled(): void {
    while (this.#heap.length > 0 && this.#heap[0]?.run === undefined) this.#pop()
  }

  #pop(): void {
    const last = this.#heap.pop()
    if (last === undefined || this.#heap.length === 0) return
    this.#heap[0] = last
    this.#down(0)
  }

  #up(start: number): void {
    for (let i = start; i > 0; ) {
      const parent = (i - 1) >>> 1
      if (!this.#less(i, parent)) return
      this.#swap(i, parent)
      i = parent
    }
  }

  #down(start: number): void {
    for (let i = start; ; ) {
      const left = 2 * i + 1
      let least = i
      if (this.#less(left, least)) least = left
      if (this.#less(left + 1, least)) least = left + 1
      if (least === i) return
      this.#swap(i, least)
      i = least
    }
  }

  #less(i: number, j: number): boolean {
    const a = this.#heap[i]
    const b = this.#heap[j]
    if (a === undefined || b === undefined) return false
    return a.atMs !== b.atMs ? a.atMs < b.atMs : a.order < b.order
  }

  #swap(i: number, j: number): void {
    const a = this.#heap[i]
    const b = this.#heap[j]
    if (a === undefined || b === undefined) return
    this.#heap[i] = b
    this.#heap[j] = a
  }
}
