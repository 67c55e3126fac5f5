/** From what the disk holds to a running state: the newest checkpoint, then the journal after it. */
import { StartError } from '../errors.ts'
import type { Flow } from '../flow.ts'
import { DEAD_LETTER, Pipeline, type PipelineParts, type PipelineState } from '../pipeline.ts'
import type { Checkpoint } from './checkpoint.ts'
import { DEAD, type Entry, MESSAGE, type MessageEntry, UNSYNCED } from './entry.ts'
import type { Journal } from './journal.ts'

/** What a checkpoint holds beside the windows. */
export interface CheckpointFacts {
  /** Of the journal whose entries it counts. */
  readonly journal: string
  readonly pipeline: PipelineState
  readonly deadLetters: unknown
  /** Other stages' state, by name. */
  readonly stages: Readonly<Record<string, unknown>>
}

export interface Recovered {
  readonly pipeline: Pipeline
  readonly stages: Readonly<Record<string, unknown>>
  /** Entries replayed, and those that could not be read. */
  readonly entries: number
  readonly skipped: number
  /** Messages whose replay did not give what was journaled; 0 unless something is wrong. */
  readonly differences: number
  /** The journal is not the one that the checkpoint counts: what came after the checkpoint is lost. */
  readonly begunAnew: boolean
}

export interface RecoveryParts {
  readonly journal: Pick<Journal, 'replay'> & { readonly log: { readonly epoch: string; readonly first: number } }
  readonly checkpoint: Checkpoint | null
  /** The config's; only used when there is no checkpoint. */
  readonly flow: Flow
  readonly parts: PipelineParts
  /** Gives the stages that watch the flow their state back, before the replay. */
  readonly restoreStages: (stages: Readonly<Record<string, unknown>>) => void
}

export async function recover({ journal, checkpoint, flow, parts, restoreStages }: RecoveryParts): Promise<Recovered> {
  const facts = checkpoint === null ? null : (checkpoint.facts as CheckpointFacts)
  // A journal that was lost is begun anew after all entries that a checkpoint or the outbox knows: it goes on from there.
  const follows = checkpoint !== null && journal.log.first > checkpoint.entry
  if (facts && facts.journal !== journal.log.epoch && !follows) {
    throw new StartError(
      'SLUICE_CHECKPOINT_FOREIGN',
      'the checkpoint belongs to another journal: put both back, or remove the checkpoints',
    )
  }
  const pipeline = new Pipeline(parts, facts?.pipeline.flow ?? flow)
  if (checkpoint && facts) {
    pipeline.restore(facts.pipeline, checkpoint.windows, checkpoint.entry)
    parts.deadLetters.restore(facts.deadLetters)
  }
  restoreStages(facts?.stages ?? {})
  let differences = 0
  const replayed = await journal.replay((checkpoint?.entry ?? 0) + 1, (entry, content) => {
    if (!replayEntry(pipeline, entry, content)) differences++
  })
  return {
    pipeline,
    stages: facts?.stages ?? {},
    ...replayed,
    differences,
    begunAnew: facts !== null && facts.journal !== journal.log.epoch,
  }
}

/** False when a message was understood otherwise than when it came. */
function replayEntry(pipeline: Pipeline, entry: number, content: Entry): boolean {
  if (content.kind === MESSAGE) return replayMessage(pipeline, entry, content)
  pipeline.control(entry, content.control)
  return true
}

function replayMessage(pipeline: Pipeline, entry: number, message: MessageEntry): boolean {
  const { topic, bytes, start, end, contentType, mark, received, flags, verdict } = message
  const ledger = pipeline.sources.ledger(pipeline.sources.nameOf(message.source))
  const route = pipeline.route(topic)
  const synced = (flags & UNSYNCED) === 0
  const readings = pipeline.message(entry, route, ledger, topic, bytes, start, end, contentType, received, synced)
  if (mark) pipeline.marked(mark)
  return readings === (flags & DEAD ? DEAD_LETTER : verdict)
}
