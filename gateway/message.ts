/** Bytes as they arrived, before anything was understood. */
export interface Message {
  /** MQTT-style topic; decides the decode rule and names the device. */
  readonly topic: string
  /** Not changed after it was emitted. */
  readonly payload: Uint8Array
  /** Media type when the protocol carries one; otherwise the decode rule decides. */
  readonly contentType?: string
  /** Wall clock at arrival, ms since the epoch; the runtime stamps it when absent. */
  readonly received?: number
}
