import { formatDuration, formatSize } from '../base/index.js'

/** Redrawn at most this often: a terminal over a slow line must not hold up the work. */
const redrawMs = 100
const barWidth = 24

/** A line that says how far it is, on a terminal's stderr; nothing at all on a pipe. */
export class Progress {
  readonly #stream: NodeJS.WriteStream
  readonly #label: string
  readonly #total: number | undefined
  readonly #startedMs = performance.now()
  readonly #shown: boolean
  #bytes = 0
  #drawnMs = Number.NEGATIVE_INFINITY

  constructor(label: string, total: number | undefined, options: { stream?: NodeJS.WriteStream; quiet?: boolean } = {}) {
    this.#label = label
    this.#total = total
    this.#stream = options.stream ?? process.stderr
    this.#shown = this.#stream.isTTY && options.quiet !== true
  }

  add(bytes: number): void {
    this.#bytes += bytes
    const now = performance.now()
    if (!this.#shown || now - this.#drawnMs < redrawMs) return
    this.#drawnMs = now
    this.#draw(now)
  }

  /** Counts what passes through. */
  async *through(chunks: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    for await (const chunk of chunks) {
      this.add(chunk.length)
      yield chunk
    }
  }

  /** Words in place of the bar. */
  say(text: string): void {
    this.#write([this.#label, text])
  }

  get isShown(): boolean {
    return this.#shown
  }

  clear(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K')
  }

  #draw(now: number): void {
    const seconds = (now - this.#startedMs) / 1000
    const rate = seconds > 0 ? this.#bytes / seconds : 0
    const parts = [this.#label]
    if (this.#total !== undefined && this.#total > 0) {
      const share = Math.min(1, this.#bytes / this.#total)
      const filled = Math.round(share * barWidth)
      parts.push(`${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`, `${(share * 100).toFixed(0).padStart(3)} %`)
      if (rate > 0 && share < 1) parts.push(`${formatSize(rate)}/s`, `${formatDuration(((this.#total - this.#bytes) / rate) * 1000)} left`)
    } else {
      parts.push(formatSize(this.#bytes), `${formatSize(rate)}/s`)
    }
    this.#write(parts)
  }

  #write(parts: readonly string[]): void {
    if (!this.#shown) return
    const line = parts.join('  ')
    this.#stream.write(`\r\x1b[K${line.slice(0, Math.max(20, this.#stream.columns - 1))}`)
  }
}
