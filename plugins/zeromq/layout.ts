/**
 * What the frames of a message mean.
 *
 *   payload                      topic from the config
 *   topic │ payload
 *   device │ topic │ payload     a topic with a slash is taken as it is; otherwise it is a stream of the device:
 *                                telemetry/{device}/{topic}, or telemetry/{device} when it is empty
 *
 * Before that may stand what REQ and DEALER put there: frames of an envelope, ended by an empty one.
 */
import { encodeFrame } from './frame.ts'

/** Where a message's own frames begin: behind the first empty frame of an envelope; 0 when there is none. */
export function bodyStart(parts: readonly Buffer[], everywhere: boolean): number {
  if (parts.length < 2) return 0
  if (!everywhere) return (parts[0] as Buffer).length === 0 ? 1 : 0
  return parts.findIndex((part) => part.length === 0) + 1
}

/** The topic that a message carries whose frames are `parts` from `start`; undefined when it carries none. */
export function topicOf(parts: readonly Buffer[], start: number): string | undefined {
  const first = parts[start]
  switch (parts.length - start) {
    case 2:
      return textOf(first as Buffer)
    case 3:
      return topicOfDevice(textOf(first as Buffer), textOf(parts[start + 1] as Buffer))
    default:
      return undefined
  }
}

function textOf(frame: Buffer): string {
  return frame.toString('utf8')
}

function topicOfDevice(device: string, topic: string): string {
  if (topic.includes('/')) return topic
  return topic === '' ? `telemetry/${device}` : `telemetry/${device}/${topic}`
}

/**
 * The payload for a message that means nothing: its frames as they are on the wire, behind a byte with which no text,
 * JSON or CBOR begins. So it ends as a dead letter that a person can look at.
 */
export function undecodable(parts: readonly Buffer[]): Buffer {
  return Buffer.concat([
    Buffer.from([0xff]),
    ...parts.map((part, i) => encodeFrame(i < parts.length - 1 ? 1 : 0, part)),
  ])
}
