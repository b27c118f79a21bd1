/** A typed list of listeners. A listener that throws is a bug of its own and does not keep others from hearing. */
export class Emitter<Events extends object> {
  /** Never changed: whoever comes or goes while an event is told makes a list of its own. */
  readonly #listeners = new Map<keyof Events, readonly ((event: never) => void)[]>()

  on<Name extends keyof Events>(name: Name, listener: (event: Events[Name]) => void): () => void {
    const others = this.#listeners.get(name) ?? []
    if (!others.includes(listener)) this.#listeners.set(name, [...others, listener])
    return () => {
      this.#listeners.set(name, (this.#listeners.get(name) ?? []).filter((one) => one !== listener))
    }
  }

  emit<Name extends keyof Events>(name: Name, event: Events[Name]): void {
    const listeners = this.#listeners.get(name)
    if (listeners === undefined) return
    for (const listener of listeners) {
      try {
        ;(listener as (event: Events[Name]) => void)(event)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
