/**
 * Layouts: what the fast lane has learned of the documents that come.
 *
 * Senders write the same keys in the same order again and again. A `Step` stands for "these members have been read, in
 * this order, with these kinds of values"; from it `Edge`s lead on, one per next key, each with the key's raw bytes
 * and what the rule makes of the field. So reading a known document is following a path and comparing bytes.
 *
 *   {            Step 0 ──"cpu": number──▶ Step 1 ──"radio": {──▶ Step 2 ──"rssi": number──▶ Step 3 ──}──▶ Step 4
 *
 * Everything that depends on the names alone is decided when a step is learned: duplicate keys, excluded objects,
 * required fields, where a look-up finds its key. What the fast lane should not decide has no step: the edge is
 * `dead`, and the general path takes such documents, always.
 */
import { isUtf8 } from 'node:buffer'
import { BOOLEAN, type Kind, MAX_FIELDS, NUMBER, type Shape, TEXT } from '../reading.ts'
import { type CompiledRule, DEVICE, FIELD, REFUSE, type Role, SKIP, TAG, TIME } from './rule.ts'

/** How a document goes on from a step. Undefined: not learned yet; null: not for the fast lane. */
type Next = Step | null | undefined

/** The next key after a step. */
export interface Edge {
  /** The key with its quotes. */
  readonly key: Uint8Array
  readonly path: string
  readonly role: Role
  readonly kind: Kind | undefined
  readonly integer: boolean
  readonly min: number
  readonly max: number
  readonly tag: number
  /** The field's position in the row. */
  readonly at: number
  onNumber: Next
  onText: Next
  onBoolean: Next
  onNull: Next
  onObject: Next
}

/** The object around a step; the outermost has no `outer`. */
interface Frame {
  readonly prefix: string
  readonly outer: Frame | undefined
  readonly depth: number
  /** Keys of the outer object up to and with the one that opened this object. */
  readonly outerKeys: Chain
}

/** A list that grows at its head and is shared by all that grew from it. */
type Chain = { readonly name: string; readonly rest: Chain } | undefined

export interface Step {
  readonly shape: Shape
  readonly edges: Edge[]
  /** The edge taken last: nearly always the one taken next. */
  hot: Edge | undefined
  readonly nested: boolean
  /** After `}` of an inner object. */
  up: Next
  /** After `}` of the outermost object. */
  end: End | null | undefined
  readonly frame: Frame
  /** Keys of this object so far. */
  readonly keys: Chain
  /** Full paths of all values so far. */
  readonly paths: Chain
  /** Values and objects so far. */
  readonly length: number
  readonly timed: boolean
  readonly named: boolean
  readonly tags: readonly number[]
}

/** What is known at the end of a document. */
export interface End {
  readonly shape: Shape
  readonly timed: boolean
  readonly named: boolean
  readonly tagIndexes: readonly number[]
  readonly lookupAt: readonly number[]
}

export interface Layouts {
  readonly root: Step
  /** The edge for the key at `bytes[i]`, learned when new; null: not for the fast lane. */
  edge(step: Step, bytes: Buffer, i: number, last: number): Edge | null
  /** Where a value of that kind leads. */
  value(step: Step, edge: Edge, kind: Kind | typeof NULL): Step | null
  open(step: Step, edge: Edge): Step | null
  close(step: Step): Step | null
  end(step: Step): End | null
}

export const NULL = 3

/** Documents with more values than this are the general path's. */
const MAX_LENGTH = 96
const MAX_DEPTH = 16
const MAX_EDGES = 64
const MAX_KEY = 256

/** @param limit how many steps are kept before all is learned anew */
export function createLayouts(rule: CompiledRule, root: Shape, limit = 8000): Layouts {
  let left = limit
  let first = firstStep(root)

  function count<T>(made: T): T {
    left--
    return made
  }

  return {
    get root() {
      if (left <= 0) {
        left = limit
        first = firstStep(root)
      }
      return first
    },
    edge(step, bytes, i, last) {
      const { edges } = step
      for (let k = 0; k < edges.length; k++) {
        const known = edges[k] as Edge
        if (matches(known.key, bytes, i, last)) return known
      }
      const key = edges.length < MAX_EDGES ? readKey(bytes, i, last) : null
      if (key === null) return null
      const edge = count(makeEdge(rule, step, key))
      edges.push(edge)
      return edge
    },
    value(step, edge, kind) {
      const next = count(afterValue(rule, step, edge, kind))
      if (kind === NUMBER) edge.onNumber = next
      else if (kind === TEXT) edge.onText = next
      else if (kind === BOOLEAN) edge.onBoolean = next
      else edge.onNull = next
      return next
    },
    open(step, edge) {
      edge.onObject = count(afterOpen(step, edge))
      return edge.onObject
    },
    close(step) {
      step.up = count(afterClose(step))
      return step.up
    },
    end(step) {
      step.end = endOf(rule, step)
      return step.end
    },
  }
}

/** Whether `key` stands at `bytes[i]`. */
export function matches(key: Uint8Array, bytes: Buffer, i: number, last: number): boolean {
  const length = key.length
  if (i + length > last) return false
  for (let k = 1; k < length; k++) if (key[k] !== bytes[i + k]) return false
  return true
}

function firstStep(shape: Shape): Step {
  const frame: Frame = { prefix: '', outer: undefined, depth: 1, outerKeys: undefined }
  return makeStep({
    shape,
    frame,
    keys: undefined,
    paths: undefined,
    length: 0,
    timed: false,
    named: false,
    tags: [],
  })
}

type Grown = Pick<Step, 'shape' | 'frame' | 'keys' | 'paths' | 'length' | 'timed' | 'named' | 'tags'>

/** One literal for all steps, so that they share one hidden class. */
function makeStep(from: Grown): Step {
  const { shape, frame, keys, paths, length, timed, named, tags } = from
  return {
    shape,
    edges: [],
    hot: undefined,
    nested: frame.outer !== undefined,
    up: undefined,
    end: undefined,
    frame,
    keys,
    paths,
    length,
    timed,
    named,
    tags,
  }
}

/** The key's text and bytes, or null for keys whose reading is not plain. */
function readKey(bytes: Buffer, start: number, last: number): { name: string; raw: Uint8Array } | null {
  let i = start + 1
  while (i < last && i - start <= MAX_KEY && bytes[i] !== 34) {
    if (bytes[i] === 92 || (bytes[i] as number) < 32) return null
    i++
  }
  if (bytes[i] !== 34 || i >= last) return null
  const content = bytes.subarray(start + 1, i)
  // Keys that look like array indexes come first in a JavaScript object: the order would not be that of the bytes.
  if (!isUtf8(content) || /^\d/.test(content.toString('latin1'))) return null
  return { name: content.toString('utf8'), raw: Uint8Array.from(bytes.subarray(start, i + 1)) }
}

function makeEdge(rule: CompiledRule, step: Step, key: { name: string; raw: Uint8Array }): Edge {
  const path = step.frame.prefix + key.name
  const { role, kind, integer, min, max, tag } = rule.planOf(path)
  const doubled = has(step.keys, key.name) || step.length >= MAX_LENGTH || Buffer.byteLength(path) > MAX_KEY
  const none: Next = doubled ? null : undefined
  return {
    key: key.raw,
    path,
    role,
    kind,
    integer,
    min,
    max,
    tag,
    at: step.shape.size,
    onNumber: none,
    onText: none,
    onBoolean: none,
    onNull: none,
    onObject: none,
  }
}

function has(chain: Chain, name: string): boolean {
  for (let link = chain; link !== undefined; link = link.rest) if (link.name === name) return true
  return false
}

/** The step after a value, or null when the general path must judge it. */
function afterValue(rule: CompiledRule, step: Step, edge: Edge, kind: Kind | typeof NULL): Step | null {
  if (has(step.paths, edge.path)) return null
  let { shape, timed, named, tags } = step
  if (kind !== NULL) {
    if (!takes(edge, kind)) return null
    if (edge.role === FIELD) {
      if (shape.size === MAX_FIELDS) return null
      shape = shape.with(edge.path, edge.kind ?? kind)
    }
    timed ||= edge.role === TIME
    named ||= edge.role === DEVICE
    if (edge.role === TAG) tags = rule.tags.flatMap((_, i) => (i === edge.tag || step.tags.includes(i) ? [i] : []))
  }
  const keys = { name: edge.path.slice(step.frame.prefix.length), rest: step.keys }
  const paths = { name: edge.path, rest: step.paths }
  return makeStep({ ...step, shape, keys, paths, length: step.length + 1, timed, named, tags })
}

/** Whether the fast lane can judge values of that kind under this edge. */
function takes(edge: Edge, kind: Kind): boolean {
  if (edge.role === SKIP) return true
  if (edge.role === REFUSE) return false
  if (edge.role === TIME) return kind !== BOOLEAN
  if (edge.role === DEVICE || edge.role === TAG) return kind === TEXT
  return edge.kind === undefined || edge.kind === kind || (edge.kind === NUMBER && kind === TEXT)
}

function afterOpen(step: Step, edge: Edge): Step | null {
  const scalar = edge.role === TIME || edge.role === DEVICE || edge.role === TAG || edge.kind !== undefined
  if (scalar || step.frame.depth >= MAX_DEPTH) return null
  const key = edge.path.slice(step.frame.prefix.length)
  const frame: Frame = {
    prefix: `${edge.path}.`,
    outer: step.frame,
    depth: step.frame.depth + 1,
    outerKeys: { name: key, rest: step.keys },
  }
  return makeStep({ ...step, frame, keys: undefined, length: step.length + 1 })
}

function afterClose(step: Step): Step | null {
  const { outer, outerKeys } = step.frame
  return outer ? makeStep({ ...step, frame: outer, keys: outerKeys }) : null
}

function endOf(rule: CompiledRule, step: Step): End | null {
  const { shape, timed, named, tags } = step
  if (shape.size === 0 || rule.required.some((name) => shape.indexOf(name) < 0)) return null
  if (rule.options.deviceField !== undefined && !named) return null
  const lookupAt = rule.lookups.map(({ by }) => shape.indexOf(by))
  return { shape, timed, named, tagIndexes: tags, lookupAt }
}
