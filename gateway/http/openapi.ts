/** The OpenAPI document of the API, made of the routes and their schemas. Runs when the reference is generated. */
import swagger from '@fastify/swagger'
import { z } from 'zod'
import { systemClock } from '../clock.ts'
import type { Api } from './api.ts'
import { createApp } from './app.ts'
import type { AppParts } from './parts.ts'
import { failure } from './schemas.ts'

const PARTS = ['body', 'querystring', 'params'] as const

/** Written to docs/reference/openapi.json. */
export async function openapi(): Promise<object> {
  const app = await createApp(unused(), async (instance) => {
    await instance.register(swagger, {
      openapi: {
        openapi: '3.1.0',
        info: { title: 'Sluice', version: '1', description: 'The API of one gateway. Errors are {code, message}.' },
        components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
        security: [{ token: [] }],
      },
      transform: ({ schema, url }) => ({ schema: plain(schema), url }),
    })
  })
  const document = app.swagger()
  await app.close()
  return document
}

/** zod schemas as JSON Schema. */
function plain(schema: object | undefined): Record<string, unknown> {
  const result: Record<string, unknown> = { ...schema }
  for (const part of PARTS) if (result[part] instanceof z.ZodType) result[part] = jsonSchema(result[part])
  const response = { ...(result.response as object | undefined), default: failure }
  result.response = Object.fromEntries(
    Object.entries(response).map(([code, one]) => [code, one instanceof z.ZodType ? jsonSchema(one) : one]),
  )
  return result
}

function jsonSchema(schema: z.ZodType): object {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  return rest
}

/** Parts for an application that is never asked anything. */
function unused(): AppParts {
  const refuse = (): never => {
    throw new Error('this application only describes itself')
  }
  const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined }
  const api = new Proxy({}, { get: () => refuse }) as Api
  const pulse = { stages: refuse, stuck: refuse, stop: () => undefined }
  const trends = { history: refuse, rated: refuse, stop: () => undefined }
  const access = { credentials: () => [], secret: '', hosts: [] }
  return { api, access, clock: systemClock, log: silent, pulse, trends, maxBody: 1024, dashboard: undefined }
}
