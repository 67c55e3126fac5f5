/**
 * The shapes of the API, once: the TypeScript types, the checks on requests and the OpenAPI document come from here.
 * Responses are not filtered through them, so that a stage may show more than is written here; a test compares.
 */
export * from './schemas/alerts.ts'
export * from './schemas/changes.ts'
export * from './schemas/commands.ts'
export * from './schemas/common.ts'
export * from './schemas/config.ts'
export * from './schemas/devices.ts'
export * from './schemas/history.ts'
export * from './schemas/ledger.ts'
export * from './schemas/outbox.ts'
export * from './schemas/status.ts'
export * from './schemas/windows.ts'
