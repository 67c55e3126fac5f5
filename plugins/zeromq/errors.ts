import { SluiceError } from '../../gateway/errors.ts'

/** The peer breaks the protocol or is not let in: this connection ends, nothing else does. */
export class ZmtpError extends SluiceError {
  /** Short and stable; the name of the metric it is counted under. */
  readonly reason: string

  constructor(reason: string, message: string, options: { readonly cause?: unknown } = {}) {
    super('SLUICE_ZEROMQ_PROTOCOL', message, options)
    this.reason = reason
  }
}
