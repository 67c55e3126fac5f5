/** Bytes as they arrived, before anything was understood. */
export interface Message {
  /** MQTT-style topic; decides the decode rule and names the device. */
  readonly topic: string
  /** Not changed after it was emitted. */
  readonly payload: Uint8Array
  /** Media type when the protocol carries one; otherwise the decode rule decides. */
  readonly contentType?: string | undefined
  /** Wall clock at arrival, ms since the epoch; the runtime stamps it when absent. */
  readonly received?: number
  /**
   * What the sender's next try of this message would be known by, at most 200 bytes: for a few minutes after a restart
   * one with the same mark is settled and not taken again. Only read during the call.
   */
  readonly mark?: Uint8Array | undefined
}
