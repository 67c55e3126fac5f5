/** Values of a device as telemetry: JSON, or SenML when they carry times of their own. */
import { JSON_FORMAT, SENML_JSON } from '../coap/content-format.ts'
import type { Catalog } from './catalog.ts'
import type { Entry } from './content.ts'
import { encodeSenmlJson } from './senml.ts'

export interface Measurement {
  readonly contentFormat: number
  readonly payload: Buffer
}

/** @param several whether the device has more than one instance of an object */
export function measurementOf(
  endpoint: string,
  entries: readonly Entry[],
  several: (object: number) => boolean,
  catalog: Catalog,
): Measurement {
  const fieldOf = ({ path }: Entry) => catalog.field(path, several(path[0] as number))
  if (entries.some(({ time }) => time !== 0)) {
    const items = entries.map((entry) => {
      const [object, , resource] = entry.path
      const unit = catalog.resource(object as number, resource as number)?.unit
      return { name: fieldOf(entry), value: entry.value, time: entry.time, unit }
    })
    return { contentFormat: SENML_JSON, payload: encodeSenmlJson(items, `${endpoint}/`) }
  }
  const fields: Record<string, unknown> = Object.create(null)
  for (const entry of entries) fields[fieldOf(entry)] = printable(entry.value)
  return { contentFormat: JSON_FORMAT, payload: Buffer.from(JSON.stringify(fields)) }
}

/** As it stands in JSON; bytes become base64. */
export function printable(value: Entry['value']): number | string | boolean {
  return Buffer.isBuffer(value) ? value.toString('base64') : value
}
