import { CodedError } from '../../base/index.js'
import type { Facts } from '../../base/index.js'

export type ConfigCode = 'BAD_CONFIG' | 'UNKNOWN_SETTING'

/** `facts` may hold `file`, `line`, `key` and `nearest`. */
export class ConfigError extends CodedError<ConfigCode> {
  constructor(code: ConfigCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}
