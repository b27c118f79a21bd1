/** A broken promise, as the simulator or a checker found it. */
export class Violation extends Error {
  readonly rule: string
  constructor(rule: string, what: string) {
    super(`${rule}: ${what}`)
    this.rule = rule
  }
}

export function demand(condition: boolean, rule: string, what: () => string): void {
  if (!condition) throw new Violation(rule, what())
}
