/** What somebody asks for becomes a command with an id and a deadline. */
import { randomUUID } from 'node:crypto'
import { parseDuration } from '../config/duration.ts'
import { RequestError, reasonOf } from '../errors.ts'
import type { CommandOrder, TakenCommand } from './command.ts'

/** Nothing waits longer, ms. */
const FOREVER = 366 * 86_400_000

/**
 * @param now wall clock, ms
 * @param standard how long an order that names no deadline has, ms
 * @throws RequestError the deadline is none
 */
export function takeOrder(order: CommandOrder, by: string, now: number, standard: number): TakenCommand {
  const { id = randomUUID(), device, command, args, onlyIf, ifOffline = 'wait' } = order
  return {
    id,
    device,
    command,
    ...(args === undefined ? {} : { args }),
    by,
    created: now,
    deadline: deadlineOf(order.deadline, now, standard),
    ifOffline,
    ...(onlyIf === undefined ? {} : { onlyIf }),
  }
}

/** @returns wall clock, ms @throws RequestError */
function deadlineOf(given: string | number | undefined, now: number, standard: number): number {
  if (given === undefined) return now + standard
  if (typeof given === 'number') return now + Math.min(given * 1000, FOREVER)
  const at = /^\d{4}-\d\d-\d\d/.test(given) ? Date.parse(zoned(given)) : now + durationOf(given)
  if (Number.isNaN(at)) throw new RequestError(400, 'SLUICE_BAD_REQUEST', `deadline ${given} is no ISO 8601 time`)
  return Math.min(at, now + FOREVER)
}

/** No zone means UTC. */
function zoned(text: string): string {
  return /T.*(Z|[+-]\d\d:?\d\d)$/i.test(text) || !text.includes('T') ? text : `${text}Z`
}

function durationOf(text: string): number {
  try {
    return parseDuration(text)
  } catch (error) {
    throw new RequestError(400, 'SLUICE_BAD_REQUEST', `deadline: ${reasonOf(error)}`)
  }
}
