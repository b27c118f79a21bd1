import { demand } from './violation.js'

/** One acknowledged or unacknowledged write; each knows the one before it, so a content is the whole list up to it. */
export interface Entry {
  readonly id: string
  readonly count: number
  readonly before: Entry | undefined
}

export interface StoreState {
  fence: number
  last: { token: number; sequence: number }
  content: Entry | undefined
  /** The highest token under which anybody has begun to serve. */
  served: number
  /** The newest write that anybody was told is safe. */
  acknowledged: Entry | undefined
}

/**
 * Whoever stores the data of a scope, in the simplest form that can be wrong: a replica that refuses lower tokens, and
 * whose content is *replaced* by each write. So a writer that worked from an old content destroys what others wrote, and
 * a lost acknowledged write (I6) or a late one (I5) shows.
 */
export class FencedStore {
  readonly #scopes = new Map<string, StoreState>()

  scope(scope: string): StoreState {
    let state = this.#scopes.get(scope)
    if (state === undefined) this.#scopes.set(scope, (state = { fence: 0, last: { token: 0, sequence: 0 }, content: undefined, served: 0, acknowledged: undefined }))
    return state
  }

  /** From now on nothing lower is applied. Undefined: the caller itself is too late. */
  fence(scope: string, token: number): { content: Entry | undefined } | undefined {
    const state = this.scope(scope)
    if (token < state.fence) return undefined
    state.fence = token
    this.#demandContains(scope, state.content)
    return { content: state.content }
  }

  write(scope: string, token: number, sequence: number, content: Entry): boolean {
    const state = this.scope(scope)
    if (token < state.fence) return false
    const { last } = state
    if (token < last.token || (token === last.token && sequence < last.sequence)) return false
    if (token === last.token && sequence === last.sequence) return state.content === content
    demand(token >= state.served, 'I5', () => `${scope}: a write under token ${token} was applied after ${state.served} had begun to serve`)
    state.fence = token
    state.last = { token, sequence }
    state.content = content
    return true
  }

  /**
   * A holder serves this content. `alone`: clocks are in bounds, so that it must be the only one who does; where they
   * are not, an old holder may serve old content, and only its writes must not get through.
   */
  serving(scope: string, token: number, content: Entry | undefined, alone: boolean): void {
    const state = this.scope(scope)
    state.served = Math.max(state.served, token)
    if (alone) this.#demandContains(scope, content)
  }

  acknowledged(scope: string, entry: Entry): void {
    const state = this.scope(scope)
    if (state.acknowledged === undefined || entry.count >= state.acknowledged.count) {
      demand(contains(entry, state.acknowledged), 'I6', () => `${scope}: ${entry.id} was acknowledged on top of a content without ${state.acknowledged?.id ?? ''}`)
      state.acknowledged = entry
    } else demand(contains(state.acknowledged, entry), 'I6', () => `${scope}: ${entry.id} was acknowledged and is not in the content`)
  }

  #demandContains(scope: string, content: Entry | undefined): void {
    const { acknowledged } = this.scope(scope)
    demand(contains(content, acknowledged), 'I6', () => `${scope}: a new holder does not see ${acknowledged?.id ?? ''}, which was acknowledged`)
  }
}

function contains(content: Entry | undefined, entry: Entry | undefined): boolean {
  if (entry === undefined) return true
  let at = content
  while (at !== undefined && at.count > entry.count) at = at.before
  return at === entry
}
