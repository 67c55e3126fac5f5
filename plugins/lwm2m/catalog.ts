/** Between paths and names: `/3303/0/5700` is the field `temperature.sensor_value`, or with several instances `temperature.0.sensor_value`. */
import { type ObjectDefinition, type ResourceDefinition, standardObjects, type ValueType } from './objects.ts'
import { type Path, parsePath } from './path.ts'

/** What a path or a name in the config or in a command points at. */
export interface Target {
  readonly object: number
  /** Undefined: whichever the device has. */
  readonly instance: number | undefined
  readonly resource: number | undefined
  readonly resourceInstance: number | undefined
}

export interface Catalog {
  resource(object: number, resource: number): ResourceDefinition | undefined
  type(path: Path): ValueType | undefined
  /** Resources that an object is there to measure. */
  measured(object: number): readonly number[]
  /** Name of the field of a reading. Unknown objects and resources are called by their path, without the first slash. */
  field(path: Path, several: boolean): string
  /** Of `/3303/0/5700`, with star for any instance, or of `temperature[.0][.sensor_value]`; undefined when it is neither. */
  resolve(text: string): Target | undefined
}

/** An object of a device maker's own, as it stands in the config. */
export interface OwnObject {
  readonly name: string
  readonly resources: Readonly<
    Record<
      string,
      { readonly name: string; readonly type: ValueType; readonly unit?: string | undefined; readonly observe: boolean }
    >
  >
}

export function createCatalog(own: Readonly<Record<string, OwnObject>> = {}): Catalog {
  const objects = standardObjects()
  for (const [id, definition] of Object.entries(own)) objects.set(Number(id), definitionOf(definition))
  const byName = new Map([...objects].map(([id, { name }]) => [name, id]))

  const resource = (object: number, id: number) => objects.get(object)?.resources.get(id)

  function resourceNamed(object: number, name: string): number | undefined {
    for (const [id, definition] of objects.get(object)?.resources ?? []) if (definition.name === name) return id
    return /^\d{1,5}$/.test(name) ? Number(name) : undefined
  }

  function named(text: string): Target | undefined {
    const parts = text.split('.')
    const object = byName.get(parts.shift() ?? '')
    if (object === undefined) return undefined
    const instance = /^\d{1,5}$/.test(parts[0] ?? '') && parts.length !== 1 ? Number(parts.shift()) : undefined
    if (parts.length > 1) return undefined
    const id = parts[0] === undefined ? undefined : resourceNamed(object, parts[0])
    if (parts[0] !== undefined && id === undefined) return undefined
    return { object, instance, resource: id, resourceInstance: undefined }
  }

  return {
    resource,
    type: ([object, , id]) => (object === undefined || id === undefined ? undefined : resource(object, id)?.type),
    measured: (object) => [...(objects.get(object)?.resources ?? [])].filter(([, r]) => r.measured).map(([id]) => id),
    field(path, several) {
      const [object, instance, id, nth] = path
      const definition = object === undefined || id === undefined ? undefined : resource(object, id)
      if (!definition || object === undefined) return path.join('/')
      const middle = several ? `.${instance}` : ''
      return `${objects.get(object)?.name}${middle}.${definition.name}${nth === undefined ? '' : `.${nth}`}`
    },
    resolve(text) {
      const anyInstance = /^(\/\d+\/)\*/.test(text)
      const path = parsePath(anyInstance ? text.replace('*', '0') : text)
      if (!path) return named(text)
      const [object, instance, id, resourceInstance] = path
      if (object === undefined) return undefined
      return { object, instance: anyInstance ? undefined : instance, resource: id, resourceInstance }
    },
  }
}

function definitionOf({ name, resources }: OwnObject): ObjectDefinition {
  const entries = Object.entries(resources).map(([id, { name: resource, type, unit, observe }]) => {
    const definition: ResourceDefinition = { name: resource, type, measured: observe, unit }
    return [Number(id), definition] as const
  })
  return { name, resources: new Map(entries) }
}
