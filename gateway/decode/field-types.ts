/** The types of fields, as `inference.ts` learns them and a route remembers them. */
import type { Kind, Shape, Tags } from '../reading.ts'

/** What is known of one field of one device type. */
export interface FieldInfo {
  /** The device type: the value of the rule's `deviceType` tag, else the rule's topic pattern. */
  readonly deviceType: string
  readonly field: string
  /** As declared, or as first seen. */
  readonly type: 'number' | 'text' | 'boolean'
  readonly unit?: string
  readonly declared: boolean
  /** Present when readings came with another type. */
  readonly changed?: TypeChange
}

export interface TypeChange {
  /** Readings with another type than the first. */
  readonly count: number
  /** The last of them. */
  readonly type: 'number' | 'text' | 'boolean'
  readonly example: string
  readonly device: string
  /** Event time, ms since the epoch. */
  readonly time: number
}

/** A field as it is kept: one object, which readings of another type change. */
export interface Known {
  readonly deviceType: string
  readonly field: string
  readonly kind: Kind
  readonly unit: string | undefined
  readonly declared: boolean
  changed: TypeChange | undefined
}

/** Positions in a shape whose kind differs from the known one. */
export type Changes = readonly { readonly at: number; readonly known: Known }[]

/** The shape and tags of a route's last reading: what type inference compares by identity. */
export interface Seen {
  shape: Shape | undefined
  tags: Tags
  /** Fields of this shape whose type is not what it was before; nearly always null. */
  changes: Changes | null
}
