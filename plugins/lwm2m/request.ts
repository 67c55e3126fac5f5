/** Requests to clients: where, with which attributes, and what their answers say. */
import type { Path } from './path.ts'
import type { Registration } from './registration.ts'

/** Attributes of an observation (LwM2M Core 1.1 §5.1.2). Times in ms; on the wire they are whole seconds. */
export interface Attributes {
  readonly pmin?: number | undefined
  readonly pmax?: number | undefined
  readonly gt?: number | undefined
  readonly lt?: number | undefined
  readonly st?: number | undefined
}

/** Query of a Write-Attributes. */
export function attributeQuery({ pmin, pmax, gt, lt, st }: Attributes): string[] {
  const seconds = (ms: number | undefined) => (ms === undefined ? undefined : Math.max(0, Math.round(ms / 1000)))
  const all = { pmin: seconds(pmin), pmax: seconds(pmax), gt, lt, st }
  return Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
}

/** Path of a request, below where the client keeps its objects. */
export function requestPath({ root }: Registration, path: Path): string {
  return root === '' ? path.join('/') : `${root}/${path.join('/')}`
}

/** The instances of an object that the client announced. */
export function instancesOf({ objects }: Registration, object: number): number[] {
  return objects.flatMap(([id, instance]) => (id === object && instance !== undefined ? [instance] : []))
}
