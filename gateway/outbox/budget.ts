/**
 * Who may use the outbox's bytes. Each class has a reserved share that no other class can take, so that readings never
 * push out alerts; the rest is shared. When it is full, the oldest of the lowest class goes first.
 */
import { CLASSES, type RecordClass } from '../record.ts'

export const WHEN_FULL = ['drop_oldest', 'drop_newest', 'block'] as const
export type WhenFull = (typeof WHEN_FULL)[number]

export type PerClass<T> = Readonly<Record<RecordClass, T>>

/** Shares of the budget. */
export const DEFAULT_RESERVE: PerClass<number> = { event: 0.1, result: 0.3, reading: 0.1 }

export interface Usage {
  readonly bytes: number
  /** There is something that can be deleted from the front. */
  readonly droppable: boolean
}

export interface Budget {
  readonly maxBytes: number
  readonly whenFull: PerClass<WhenFull>
  readonly reserve: PerClass<number>
}

/** How many bytes a class may still add; negative when it is over. */
export function freeFor(recordClass: RecordClass, usage: PerClass<Usage>, budget: Budget): number {
  let free = budget.maxBytes
  for (const other of CLASSES) {
    const { bytes } = usage[other]
    free -= other === recordClass ? bytes : Math.max(bytes, budget.reserve[other] * budget.maxBytes)
  }
  return free
}

/** The lower class whose oldest records make room for this one; undefined when it must help itself. */
export function victimFor(recordClass: RecordClass, usage: PerClass<Usage>, budget: Budget): RecordClass | undefined {
  for (let i = CLASSES.length - 1; i >= 0; i--) {
    const lower = CLASSES[i] as RecordClass
    if (lower === recordClass) return undefined
    const { bytes, droppable } = usage[lower]
    const overShare = bytes > budget.reserve[lower] * budget.maxBytes
    if (droppable && overShare && budget.whenFull[lower] === 'drop_oldest') return lower
  }
  return undefined
}
