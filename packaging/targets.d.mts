export interface Target {
  /** On npm, with version. */
  readonly package: string
  /** Of the package's archive. */
  readonly sha256: string
  /** ELF's e_machine. */
  readonly machine: number
  readonly bits: number
  readonly strip: { readonly program: string; readonly from: string }
  /** As in `process.arch`. */
  readonly nodeArch: string
  readonly debian: string
  readonly emulator?: { readonly program: string; readonly root: string; readonly from: string }
}
export const TARGETS: Readonly<Record<'x64' | 'arm64' | 'armhf', Target>>
export function executablePath(version: string, arch: string): string
