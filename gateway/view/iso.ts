/** ms since the epoch as ISO 8601 UTC. */
export function iso(time: number): string {
  return new Date(time).toISOString()
}
