import { DecodeError } from '../errors.ts'
import { type Device, NO_TAGS, type Tags } from '../reading.ts'
import type { Devices } from './devices.ts'
import type { Seen } from './field-types.ts'
import type { CompiledRule } from './rule.ts'
import type { TagNode } from './tag-tree.ts'

/** What a topic means; one frozen object per distinct topic, cached by the caller. */
export interface Route {
  readonly topic: string
  readonly rule: CompiledRule
  /** Undefined when the device comes from a field, or when `refusal` is there. */
  readonly device: Device | undefined
  readonly stream: string | undefined
  readonly tags: Tags
  /** Where `tags` stands in the tree of shared tags. */
  readonly node: TagNode
  /** Why every message of this topic is a dead letter. */
  readonly refusal: DecodeError | undefined
  readonly seen: Seen
}

/** Null when the topic does not match the rule's pattern. */
export function matchRoute(rule: CompiledRule, root: TagNode, devices: Devices, topic: string): Route | null {
  const match = rule.pattern.match(topic)
  if (!match) return null
  let node = root
  for (const [i, name] of rule.pattern.tags.entries()) {
    const value = match.tags[i]
    if (value !== undefined) node = node.add(rule.tags.length + i, name, value)
  }
  const { device, refusal } = deviceOf(rule, devices, match.device)
  const seen: Seen = { shape: undefined, tags: NO_TAGS, changes: null }
  return Object.freeze({ topic, rule, device, stream: match.stream, tags: node.tags, node, refusal, seen })
}

function deviceOf(rule: CompiledRule, devices: Devices, id: string | undefined): Pick<Route, 'device' | 'refusal'> {
  if (rule.options.deviceField !== undefined) return { device: undefined, refusal: undefined }
  try {
    if (id === undefined) throw new DecodeError('device', `topic pattern ${rule.pattern.text} names no device`)
    return { device: devices.get(id), refusal: undefined }
  } catch (error) {
    if (error instanceof DecodeError) return { device: undefined, refusal: error }
    throw error
  }
}
