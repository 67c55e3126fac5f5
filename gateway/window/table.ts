import type { SnapshotReader, SnapshotWriter } from './snapshot.ts'

/**
 * Rows of `stride` float64 columns in one array that grows, with a free list. Rows keep their number for life.
 * The first column of a free row holds the next free row, so it must be one that is set anew on use.
 */
export class Table {
  cells: Float64Array
  readonly stride: number
  /** Rows ever used; some of them may be free. */
  rows = 0
  used = 0
  #free = -1

  constructor(stride: number) {
    this.stride = stride
    this.cells = new Float64Array(stride * 16)
  }

  /** A row of zeros. */
  allocate(): number {
    this.used++
    const free = this.#free
    if (free >= 0) {
      this.#free = this.cells[free * this.stride] as number
      this.cells.fill(0, free * this.stride, (free + 1) * this.stride)
      return free
    }
    const row = this.rows++
    if ((row + 1) * this.stride > this.cells.length) this.#grow()
    return row
  }

  free(row: number): void {
    this.used--
    this.cells[row * this.stride] = this.#free
    this.#free = row
  }

  get(row: number, column: number): number {
    return this.cells[row * this.stride + column] as number
  }

  set(row: number, column: number, value: number): void {
    this.cells[row * this.stride + column] = value
  }

  save(writer: SnapshotWriter): void {
    writer.json([this.rows, this.used, this.#free])
    writer.floats(this.cells, this.rows * this.stride)
  }

  load(reader: SnapshotReader): void {
    const [rows, used, free] = reader.json() as [number, number, number]
    this.rows = rows
    this.used = used
    this.#free = free
    this.cells = reader.floats(Math.max(rows, 16) * this.stride)
  }

  /** By half, and by an eighth when there are many rows: then the unused part matters more than the copying. */
  #grow(): void {
    const spare = this.rows < 4096 ? this.rows >> 1 : this.rows >> 3
    const cells = new Float64Array((this.rows + spare + 16) * this.stride)
    cells.set(this.cells)
    this.cells = cells
  }
}
