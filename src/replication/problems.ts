const problemsMax = 20

/** What is wrong, in sentences for people, each until it is over. */
export class Problems {
  readonly #sentences = new Map<string, string>()

  note(key: string, sentence: string): void {
    if (this.#sentences.has(key) || this.#sentences.size < problemsMax) this.#sentences.set(key, sentence)
  }

  solved(key: string): void {
    this.#sentences.delete(key)
  }

  all(): string[] {
    return [...this.#sentences.values()]
  }
}
