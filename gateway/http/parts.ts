/** What routes are given, and what the application is in their eyes. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { FastifyBaseLogger, FastifyInstance, FastifyTypeProvider } from 'fastify'
import type { z } from 'zod'
import type { Clock } from '../clock.ts'
import type { PluginLog } from '../plugin.ts'
import type { Access, Caller } from './access.ts'
import type { Api } from './api.ts'
import type { Pulse } from './pulse.ts'
import type { Trends } from './trends.ts'

/** Gives the dashboard's file at a path such as `/` or `/assets/app-1a2b3c4d.js`, or undefined. */
export type Dashboard = (path: string) => DashboardFile | undefined

export interface DashboardFile {
  readonly body: Buffer
  readonly type: string
  /** Whether the body is compressed. */
  readonly gzip?: boolean
  /** Its name changes with its content, so it may be cached for ever. */
  readonly lasting?: boolean
}

export interface AppParts {
  readonly api: Api
  readonly access: Access
  readonly clock: Clock
  readonly log: PluginLog
  readonly pulse: Pulse
  readonly trends: Trends
  /** Largest body, bytes. */
  readonly maxBody: number
  readonly dashboard: Dashboard | undefined
}

/** Types of a request come from the zod schemas of its route. */
export interface ZodTypes extends FastifyTypeProvider {
  readonly validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown
  readonly serializer: unknown
}

export type App = FastifyInstance<Server, IncomingMessage, ServerResponse, FastifyBaseLogger, ZodTypes>

declare module 'fastify' {
  interface FastifyRequest {
    /** Who asks; null for what anyone may ask for. */
    caller: Caller | null
  }
}

/** Who stands in the records of what was done: `api`, or `api:NAME` of a user with a name of their own. */
export function byOf({ caller }: { readonly caller: Caller | null }): string {
  return caller === null || UNNAMED.has(caller.name) ? 'api' : `api:${caller.name}`
}

const UNNAMED = new Set(['local', 'cli', 'operator'])
