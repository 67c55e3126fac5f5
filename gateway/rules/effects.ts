/** Texts of effects: `{device}`, other parts of the key; else `{rule}`, `{value}`, `{severity}`, `{state}`. */
import type { Value } from './definition.ts'

export type Values = Readonly<Record<string, Value>>

export function fill(template: string, values: Values): string {
  return template.replace(/\{([^{}]+)\}/g, (whole, name: string) =>
    Object.hasOwn(values, name) ? String(values[name]) : whole,
  )
}

/** All texts of plain JSON; one that is nothing but `{name}` becomes the value itself. */
export function fillAll(template: unknown, values: Values): unknown {
  if (typeof template === 'string') {
    const name = /^\{([^{}]+)\}$/.exec(template)?.[1]
    return name !== undefined && Object.hasOwn(values, name) ? values[name] : fill(template, values)
  }
  if (Array.isArray(template)) return template.map((one) => fillAll(one, values))
  if (typeof template !== 'object' || template === null) return template
  return Object.fromEntries(Object.entries(template).map(([key, value]) => [key, fillAll(value, values)]))
}
