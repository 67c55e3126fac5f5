/** What goes wrong between two CoAP endpoints. */
import { SluiceError } from '../../gateway/errors.ts'

/** The exchange with a peer failed: it did not answer, refused, or answered with an error. */
export class CoapError extends SluiceError {
  /** Code of the peer's answer, when there was one. */
  readonly response: number | undefined
  /** The peer sent RST: it has not acted on the message. */
  readonly refused: boolean

  constructor(message: string, options: { cause?: unknown; response?: number; refused?: boolean } = {}) {
    super('SLUICE_COAP', message, options)
    this.response = options.response
    this.refused = options.refused ?? false
  }
}
