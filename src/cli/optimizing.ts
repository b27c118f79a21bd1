import { setFlagsFromString } from 'node:v8'

/** Eight times what V8 has by itself. */
const interruptBudget = 8 * 66 * 1024

/**
 * Has V8 optimize a function when it has run eight times as much as V8 finds enough. A node at work touches some thousand
 * functions, each of them hot for a moment; to optimize all took as much of the processor, in the first ten seconds of
 * work, as the work, on cores that it shares with it. What is hot for longer is optimized all the same.
 */
export function optimizeLater(): void {
  setFlagsFromString(`--interrupt-budget=${String(interruptBudget)}`)
}

/**
 * Has V8 collect young objects on the thread that works with them, and wake no others for it. There is a megabyte to copy at
 * a time, over in 2.3 ms; with a helper, on two cores, it took as long, and the helper as long again: they copy to and fro
 * between the same pages. A put of 10,000 small files has 430 of these collections.
 */
export function collectAlone(): void {
  setFlagsFromString('--no-parallel-scavenge')
}
