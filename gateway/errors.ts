/**
 * Every error Sluice raises on purpose, one class per thing the runtime does about it:
 *
 *   ConfigError        refuse to start (exit 78), or keep the running config on reload
 *   StartError         refuse to start (exit 1): port in use, unreadable certificate, data directory locked
 *   NotConnectedError  back off and call again
 *   RefusedError       the other side said no for good: do not send this again, count it
 *   PartialWriteError  part of a batch was taken: retry the rest
 *   DecodeError        the message becomes a dead letter, counted by `reason`
 *   BusyError          no room now: the sender is told to come back later
 *   RequestError       a person's or program's request is wrong: answered with `status`
 *   DamageError        bytes on disk are not what was written
 *
 * Messages are in lower case and name the thing; `code` is stable and documented in docs/reference/errors.md.
 */

interface Options {
  readonly cause?: unknown
}

/** Base of all coded errors; catch this to tell an expected failure from a defect. */
export class SluiceError extends Error {
  /** Stable, documented, e.g. `SLUICE_PORT_IN_USE`. */
  readonly code: string

  constructor(code: string, message: string, options: Options = {}) {
    super(message, options)
    this.name = new.target.name
    this.code = code
  }
}

/** One mistake in a config file; `line` and `column` count from 1. */
export interface Mistake {
  readonly file: string
  readonly line: number
  readonly column: number
  /** What is wrong and how to mend it. */
  readonly message: string
}

export class ConfigError extends SluiceError {
  readonly mistakes: readonly Mistake[]

  constructor(mistakes: readonly Mistake[]) {
    super('SLUICE_CONFIG', mistakes.map((m) => `${m.file}:${m.line}:${m.column}: ${m.message}`).join('\n'))
    this.mistakes = mistakes
  }
}

export class StartError extends SluiceError {}

export class NotConnectedError extends SluiceError {
  /** The peer asked for this pause (Retry-After), in ms. */
  readonly retryAfter: number | undefined

  constructor(code: string, message: string, options: Options & { retryAfter?: number } = {}) {
    super(code, message, options)
    this.retryAfter = options.retryAfter
  }
}

export class RefusedError extends SluiceError {}

export class PartialWriteError extends SluiceError {
  /** How many leading records of the batch were taken. */
  readonly written: number

  constructor(code: string, message: string, written: number, options: Options = {}) {
    super(code, message, options)
    this.written = written
  }
}

/** Why a message could not be decoded; the key under which dead letters are counted. */
export class DecodeError extends SluiceError {
  /** Short and stable, e.g. `json`, `future`, `type`, `range`. */
  readonly reason: string

  constructor(reason: string, message: string, options: Options = {}) {
    super('SLUICE_DECODE', message, options)
    this.reason = reason
  }
}

export class BusyError extends SluiceError {}

export class RequestError extends SluiceError {
  /** HTTP status. */
  readonly status: number

  constructor(status: number, code: string, message: string, options: Options = {}) {
    super(code, message, options)
    this.status = status
  }
}

export class DamageError extends SluiceError {}

/** What is kept in `path` has a format that this version does not know: it is refused, and stays as it is. */
export function newerData(path: string, version: number, known: number): StartError {
  const message = `${path} has format ${version}, written by a newer sluice; this one reads up to ${known}: upgrade it, or restore a backup`
  return new StartError('SLUICE_NEWER_DATA', message)
}

/** The text of whatever was thrown, for a message or a log line. */
export function reasonOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}
