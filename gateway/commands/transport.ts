import type { Command, CommandResult } from '../plugin.ts'

/** One way to devices. */
export interface Transport {
  readonly name: string
  /** Whether the device can be reached for this command now. */
  reaches(device: string, command: string): boolean
  /**
   * Sends. Resolves with the device's answer, or with undefined when the answer comes by `answered` of the stage.
   *
   * @throws NotConnectedError when nothing was sent; anything else means that it may have been
   */
  execute(command: Command, signal: AbortSignal): Promise<CommandResult | undefined>
  /** Tells the stage when a device may have become reachable. */
  onReachable?(listener: (device: string) => void): () => void
  /** What commands for the device wait for; undefined when this way knows nothing of it. */
  waiting?(device: string): string | undefined
}
