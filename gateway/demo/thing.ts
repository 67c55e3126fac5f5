/** What a thing of the demo is: what people say of it, what it measures, and how it obeys. */
import type { CommandDeclaration } from '../commands/checks.ts'

export type Fields = Readonly<Record<string, number | string | boolean>>

/** A device's answer to a command; undefined: it says nothing. */
export type Answer = { readonly ok: boolean; readonly result?: string } | undefined

/** As a person writes it under `devices` in the config. */
export interface Description {
  readonly name: string
  readonly room: string
  readonly kind: string
  readonly units?: Readonly<Record<string, string>>
  readonly commands?: Readonly<Record<string, Partial<CommandDeclaration>>>
}

export interface Thing {
  readonly id: string
  readonly description: Description
  /** ms between two readings; undefined: it never speaks, it is out of reach. */
  readonly every?: number
  /** @param seconds since the demo began */
  read?(seconds: number): Fields
  /** Undefined: it takes no commands. */
  obey?(command: string, args: Readonly<Record<string, unknown>>, seconds: number): Answer
}

/** Between -1 and 1, over `period` seconds. */
export function wave(seconds: number, period: number, phase: number): number {
  return Math.sin((2 * Math.PI * seconds) / period + phase)
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}

/** Whether `seconds` is between `from` and `to` of each `period`. */
export function within(seconds: number, period: number, from: number, to: number): boolean {
  const at = seconds % period
  return at >= from && at < to
}

/** Follows `target` as warmth does: `rate` is the share of the difference that goes in a second. */
export function follow(start: number, rate: number, target: (seconds: number) => number) {
  let value = start
  let last = 0
  return (seconds: number) => {
    const left = Math.exp(-rate * Math.max(0, seconds - last))
    last = seconds
    value = target(seconds) + (value - target(seconds)) * left
    return value
  }
}
