import { CodedError } from '../../base/index.js'
import type { Facts } from '../../base/index.js'

export type HttpCode =
  | 'UNAUTHORIZED'
  | 'FORBIDDEN_HOST'
  | 'FORBIDDEN_ORIGIN'
  | 'BAD_INPUT'
  | 'BAD_RANGE'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'TOO_SLOW'
  | 'STOPPING'
  | 'STARTING'
  | 'OVERLOADED'

export class HttpError extends CodedError<HttpCode> {
  constructor(code: HttpCode, message: string, facts: Facts = {}, options?: { cause?: unknown }) {
    super(code, message, facts, options)
  }
}

/**
 * Code → status, for the codes of every room: whoever asked can tell "you asked for what cannot be" (4xx) from "it could
 * not be done" (5xx) without knowing the code. A code that is not here is 500.
 */
const statusOfCode: Record<string, number> = {
  BAD_INPUT: 400,
  BAD_PATH: 400,
  BAD_CID: 400,
  BAD_TAR: 400,
  BAD_RECORD: 400,
  BAD_INVITE: 400,
  BAD_ADDRESS: 400,
  BAD_SETTING: 400,
  BAD_NAME: 400,
  BAD_SIZE: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  FORBIDDEN_HOST: 403,
  FORBIDDEN_ORIGIN: 403,
  NOT_ADMIN: 403,
  REVOKED: 403,
  NOT_FOUND: 404,
  NO_HOLDERS: 404,
  METHOD_NOT_ALLOWED: 405,
  TOO_SLOW: 408,
  TIMED_OUT: 408,
  EXISTS: 409,
  IS_FOLDER: 409,
  IS_FILE: 409,
  CHANGED: 409,
  ALREADY_MEMBER: 409,
  OWN_NODE: 409,
  STALE_TOKEN: 409,
  CLOCK_AHEAD: 503,
  HELD: 409,
  PORT_IN_USE: 409,
  IN_USE: 409,
  NOT_ACTIVE: 409,
  NOT_HOLDER: 409,
  TOO_MANY_RENEWALS: 409,
  REFUSED: 409,
  NOT_RECONFIGURED: 409,
  NOT_ACCEPTING: 409,
  INVITE_EXPIRED: 410,
  TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  BAD_RANGE: 416,
  ABORTED: 499,
  CANCELLED: 499,
  CORRUPT: 502,
  DAMAGED: 502,
  CLOSED: 503,
  UNAVAILABLE: 503,
  NO_QUORUM: 503,
  NO_SESSION: 503,
  CONTENDED: 503,
  SEALED: 503,
  OVERLOADED: 503,
  STOPPING: 503,
  STARTING: 503,
  HOLDERS_UNREACHABLE: 503,
  DEADLINE: 504,
  NO_SPACE: 507,
}

export interface ErrorDocument {
  code: string
  message: string
  [fact: string]: unknown
}

/** What a schema did not let through, as ajv has it. */
interface SchemaError {
  keyword: string
  /** `/voters/0`. */
  instancePath: string
  params: Record<string, unknown>
  message?: string
}

/** The first thing that is wrong with a body or a query: which field, and what it may be. */
export function schemaSentence([first]: readonly SchemaError[], where: string): string {
  const place = `the ${where === 'querystring' ? 'query' : where}`
  if (first === undefined) return `${place} is not what it has to be`
  const { keyword, instancePath, params, message } = first
  const name = `${place}${instancePath === '' ? '' : `'s ${instancePath.slice(1)}`}`
  switch (keyword) {
    case 'additionalProperties':
      return `${name} has no field "${String(params.additionalProperty).slice(0, 100)}"`
    case 'required':
      return `${name} lacks the field "${String(params.missingProperty)}"`
    case 'enum':
      return `${name} must be one of ${(params.allowedValues as unknown[]).map(String).join(', ')}`
    case 'type':
      return instancePath === '' ? `${name} must be a JSON ${String(params.type)}, with the content-type application/json` : `${name} must be ${String(params.type)}`
    default:
      return `${name} ${message ?? 'is not what it has to be'}`
  }
}

interface FrameworkError {
  code?: unknown
  statusCode?: unknown
  validation?: unknown
  message?: unknown
}

/** Fastify's own errors, in our words. */
const frameworkCodes: Record<string, HttpCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'TOO_LARGE',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'UNSUPPORTED_MEDIA_TYPE',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'BAD_INPUT',
  FST_ERR_CTP_INVALID_JSON_BODY: 'BAD_INPUT',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'BAD_INPUT',
  FST_ERR_BAD_URL: 'BAD_INPUT',
  FST_ERR_VALIDATION: 'BAD_INPUT',
}

/** What is told of an error, and with which status. A bug's message stays in the log: it may hold what is nobody's business. */
export function describeError(error: unknown): { status: number; document: ErrorDocument; isBug: boolean } {
  if (error instanceof CodedError) {
    const code = String(error.code)
    const status = statusOfCode[code] ?? 500
    return { status, document: { ...error.facts, code, message: error.message }, isBug: code === 'INTERNAL' }
  }
  const { code, statusCode, validation, message } = (typeof error === 'object' && error !== null ? error : {}) as FrameworkError
  if (code === 'ENOSPC') {
    return { status: 507, document: { code: 'NO_SPACE', message: 'the disk is full; free some space and try again' }, isBug: false }
  }
  const known = typeof code === 'string' ? frameworkCodes[code] : undefined
  if (known !== undefined || validation !== undefined) {
    const ours = known ?? 'BAD_INPUT'
    return { status: statusOfCode[ours] ?? 400, document: { code: ours, message: String(message) }, isBug: false }
  }
  if (typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500) {
    return { status: statusCode, document: { code: 'BAD_INPUT', message: String(message) }, isBug: false }
  }
  return { status: 500, document: { code: 'INTERNAL', message: 'the node failed on this request; its log says more' }, isBug: true }
}
