/** One file of the dashboard as the build embeds it. */
export interface BundledFile {
  /** As asked for, e.g. `/` or `/assets/app-1a2b3c4d.js`. */
  readonly path: string
  readonly type: string
  /** The content, gzip, as base64. */
  readonly gzip: string
}

/** The build puts the dashboard's files in place of this module; run from source the gateway has none. */
export const bundled: readonly BundledFile[] = []
