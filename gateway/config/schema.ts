/**
 * The config, all of it: types, defaults, messages, JSON Schema and the reference page come from here. One section is
 * one file under `sections/`; what a section says is checked there, what sections say of each other in `cross-check.ts`.
 */
import { z } from 'zod'
import type { Plugin } from '../plugin.ts'
import { path } from './entry.ts'
import { cardSection } from './sections/card.ts'
import { commandsSection } from './sections/commands.ts'
import { decodeSection, lookupsSection } from './sections/decode.ts'
import { devicesSection } from './sections/devices.ts'
import { gatewaySection } from './sections/gateway.ts'
import { historySection } from './sections/history.ts'
import { httpSection } from './sections/http.ts'
import { journalSection } from './sections/journal.ts'
import { logSection } from './sections/log.ts'
import { mqttSection } from './sections/mqtt.ts'
import { outboxSection } from './sections/outbox.ts'
import { pluginsSection } from './sections/plugins.ts'
import { rulesSection } from './sections/rules.ts'
import { sourcesSection } from './sections/sources.ts'
import { upstreamsSection } from './sections/upstreams.ts'
import { windowsSection } from './sections/windows.ts'

export type { Address } from './address.ts'
export type { SourceConfig } from './sections/sources.ts'
export type { UpstreamConfig } from './sections/upstreams.ts'
export type { WindowConfig } from './sections/windows.ts'

/** The schema of each section, in the order of the flow. Plugins bring the schemas of their own options. */
export function sections(plugins: readonly Plugin[]) {
  return {
    gateway: gatewaySection,
    data: path({ example: '/var/lib/sluice' })
      .prefault('./data')
      .describe(
        'Directory for all that must survive, relative to the working directory; locked while a gateway runs on it.',
      ),
    mqtt: mqttSection,
    http: httpSection,
    sources: sourcesSection(plugins),
    plugins: pluginsSection,
    decode: decodeSection,
    lookups: lookupsSection,
    journal: journalSection,
    card: cardSection,
    windows: windowsSection,
    rules: rulesSection,
    commands: commandsSection,
    devices: devicesSection,
    history: historySection,
    outbox: outboxSection,
    upstreams: upstreamsSection(plugins),
    log: logSection,
  }
}

export type Sections = ReturnType<typeof sections>
export type SectionName = keyof Sections

/** What the sections make of a file: durations are ms, sizes are bytes. */
export type Parsed = { readonly [Name in SectionName]: Deep<z.output<Sections[Name]>> }

/** As the gateway uses it. */
export type Config = Omit<Parsed, 'gateway'> & { readonly gateway: { readonly id: string } }

/** The whole file as one schema. */
export function configSchema(plugins: readonly Plugin[]) {
  return z.strictObject(sections(plugins))
}

type Deep<T> = T extends readonly (infer Item)[]
  ? readonly Deep<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Deep<T[Key]> }
    : T
