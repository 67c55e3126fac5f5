import type { OutboxSink, OutboxStatus } from '../http/api.ts'
import type { Outbox } from '../outbox/outbox.ts'
import type { Upstreams } from '../upstream/upstreams.ts'

import { iso } from './iso.ts'

export function outboxStatus(outbox: Outbox, upstreams: Upstreams): OutboxStatus {
  const { bytes, maxBytes, whenFull, classes, sinks } = outbox.status()
  return {
    bytes,
    maxBytes,
    whenFull: { ...whenFull },
    classes: classes.map(({ class: name, epoch, first, next, bytes: own, lost, full }) => ({
      class: name,
      epoch,
      first,
      next,
      bytes: own,
      lost: { ...lost },
      full,
    })),
    sinks: sinks.map((sink): OutboxSink => {
      const runner = upstreams
        .list()
        .find((upstream) => upstream.name === sink.name)
        ?.runner.status()
      return {
        name: sink.name,
        state: runner?.state ?? 'removed',
        ...(runner?.lastError && runner.state !== 'connected' ? { error: runner.lastError.message } : {}),
        ...(runner?.retryAt === undefined ? {} : { retryAt: iso(runner.retryAt) }),
        ...(runner ? { sent: runner.sent, acked: runner.acked, refused: runner.refused } : {}),
        backlog: sink.backlog.map(({ oldest, ...rest }) => ({
          ...rest,
          ...(oldest === undefined ? {} : { oldest: iso(oldest) }),
        })),
      }
    }),
  }
}
