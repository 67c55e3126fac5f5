/** What people and programs see of a running gateway: the `Api` that HTTP serves, made of plain look-ups. */
import { commandStatus } from '../commands/open.ts'
import { ask } from '../history/ask.ts'
import { rawAnswer } from '../history/raw.ts'
import type { Api, CommandStatus, DeviceStatus } from '../http/api.ts'
import { CLASSES } from '../record.ts'
import { liveAudit } from './audit.ts'
import { devicePage, deviceStatus } from './devices.ts'
import { iso } from './iso.ts'
import { stageNumbers } from './numbers.ts'
import { outboxStatus } from './outbox.ts'
import type { ViewParts } from './parts.ts'
import { statusOf } from './status.ts'
import { windowPage } from './windows.ts'

export function createView(parts: ViewParts): Api {
  const { clock, pipeline, outbox, descriptions, changes, upstreams, deadLetters, live, commands, rules } = parts
  const started = clock.now()
  const startedAt = clock.monotonic()
  const deviceOf = (id: string) => deviceStatus(parts, id, started)
  return {
    gateway: parts.gateway,
    version: parts.version,
    numbers: () => stageNumbers(parts),
    trouble: parts.trouble,
    ready: parts.ready,
    status: () => ({ ...statusOf(parts), started: iso(started), uptime: (clock.monotonic() - startedAt) / 1000 }),
    configFile: () => parts.configuring.file(),
    checkConfig: (yaml) => parts.configuring.check(yaml),
    applyConfig: (yaml, digest) => parts.configuring.apply(yaml, digest),
    logLevel: parts.logLevel,
    setLogLevel: parts.setLogLevel,
    config: () => ({ file: parts.config ?? null, ...parts.running() }),
    devices: (query) => devicePage(parts, query, started),
    device: deviceOf,
    async describeDevice(id, description) {
      await descriptions.put(id, description)
      return deviceOf(id) as DeviceStatus
    },
    forgetDescription: (id) => descriptions.delete(id),
    devicesYaml: (secrets) => descriptions.yaml(secrets),
    changes: (limit) => changes.newest(limit),
    recordChange: (change) => changes.add(change),
    history: (query) =>
      ask(
        {
          history: parts.history,
          windows: pipeline.windows.definitions,
          unit: (id, field) => unitOf(descriptions.get(id)?.units, field),
          raw: (question) => rawAnswer(parts.journal.log, pipeline.flow.decode, question),
          now: clock.now(),
        },
        query,
      ),
    windows: ({ window, device, limit }) => windowPage(pipeline, window, device, limit),
    commands: ({ device, state, limit }) => {
      const found: CommandStatus[] = []
      for (const one of commands.ledger.newest()) {
        if (found.length >= limit) break
        if (device !== undefined && one.device !== device) continue
        if (state === undefined || one.state === state) found.push(commandStatus(one))
      }
      return found
    },
    command(id) {
      const found = commands.ledger.find(id)
      return found && commandStatus(found)
    },
    async sendCommand(request, by) {
      const { repeated, command } = await commands.submit(request, by)
      return { repeated, command: commandStatus(command) }
    },
    alerts: () =>
      rules.alerts().map(({ raised, key, ...alert }) => ({ ...alert, key: { ...key }, raised: iso(raised) })),
    alertHistory: () => rules.history().map((record) => ({ ...record, key: { ...record.key } })),
    acknowledgeAlert: parts.acknowledge,
    async cancelCommand(id, by) {
      const found = await commands.cancel(id, by)
      return found && commandStatus(found)
    },
    outbox: () => outboxStatus(outbox, upstreams),
    async retrySink(name) {
      upstreams
        .list()
        .find((upstream) => upstream.name === name)
        ?.runner.retry()
      return outboxStatus(outbox, upstreams).sinks.find((sink) => sink.name === name)
    },
    async skipSink(name, request) {
      let skipped: number | undefined
      for (const one of CLASSES) {
        if (request.class !== undefined && request.class !== one) continue
        const count = await outbox.skip(name, one, request.through)
        if (count !== undefined) skipped = (skipped ?? 0) + count
      }
      return skipped
    },
    forgetSink: (name) => outbox.forget(name),
    exportSink: (name, recordClass) => outbox.export(name, recordClass),
    audit: () => Promise.resolve(liveAudit(pipeline, outbox)),
    deadLetters(limit) {
      const { total, reasons, last } = deadLetters.report()
      return { total, reasons: { ...reasons }, last: last.slice(0, limit).map((letter) => ({ ...letter })) }
    },
    telemetry: parts.telemetry,
    subscribe: (interest, listener) => live.subscribe(interest, listener),
  }
}

function unitOf(units: Readonly<Record<string, string>> | undefined, field: string): string | undefined {
  return units && Object.hasOwn(units, field) ? units[field] : undefined
}
