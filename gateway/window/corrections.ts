import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'

/** Revision of a result that was never corrected. A window that closed without a result counts as one. */
const FIRST_REVISION = 1

export interface CorrectionsState {
  readonly waiting: readonly (readonly [row: number, starts: readonly number[]])[]
  readonly revisions: readonly (readonly [row: number, revisions: readonly (readonly [number, number])[]])[]
}

/** Which closed windows, by key and start, late readings have changed since the last flush; and their revisions. */
export class Corrections {
  #waiting = new Map<number, Set<number>>()
  #revisions = new Map<number, Map<number, number>>()

  /** @param start of the window, ms since the epoch */
  note(row: number, start: number): void {
    const starts = this.#waiting.get(row)
    if (starts) starts.add(start)
    else this.#waiting.set(row, new Set([start]))
  }

  /** Keys with a correction waiting. */
  get waiting(): number {
    return this.#waiting.size
  }

  /** Those keys, in the order in which they got it. */
  rows(): number[] {
    return [...this.#waiting.keys()]
  }

  waitsFor(row: number): boolean {
    return this.#waiting.has(row)
  }

  /** The windows of a key that wait, earliest first; they wait no longer. */
  take(row: number): number[] {
    const starts = [...(this.#waiting.get(row) ?? [])].sort((a, b) => a - b)
    this.#waiting.delete(row)
    return starts
  }

  /** The revision that the next correction of this window carries. */
  revise(row: number, start: number): number {
    const revisions = this.#revisions.get(row) ?? new Map<number, number>()
    this.#revisions.set(row, revisions)
    const revision = (revisions.get(start) ?? FIRST_REVISION) + 1
    revisions.set(start, revision)
    return revision
  }

  /** Windows of the key that start within `from` … `to` can no longer be corrected. */
  expire(row: number, from: number, to: number): void {
    const revisions = this.#revisions.get(row)
    if (!revisions) return
    for (const start of revisions.keys()) if (start >= from && start <= to) revisions.delete(start)
    if (revisions.size === 0) this.#revisions.delete(row)
  }

  forget(row: number): void {
    this.#waiting.delete(row)
    this.#revisions.delete(row)
  }

  save(writer: SnapshotWriter): void {
    writer.list([...this.#waiting].map(([row, starts]) => [row, [...starts]]))
    writer.list([...this.#revisions].map(([row, revisions]) => [row, [...revisions]]))
  }

  static read(reader: SnapshotReader): CorrectionsState {
    return { waiting: reader.list(), revisions: reader.list() }
  }

  restore(state: CorrectionsState): void {
    this.#waiting = new Map(state.waiting.map(([row, starts]) => [row, new Set(starts)]))
    this.#revisions = new Map(state.revisions.map(([row, revisions]) => [row, new Map(revisions)]))
  }
}
