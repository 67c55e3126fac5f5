/** 200 bytes of JSON as a modem would send it. @param time ms since the epoch. @param n counts the readings */
export function payload(device: number, time: number, n: number): Buffer {
  const body = JSON.stringify({
    deviceid: `dvc${device}`,
    model: n % 3 ? 'CG4000' : 'DX100',
    event_time: new Date(time).toISOString(),
    interfacestatus: n % 10 ? 'up' : 'down',
    cpuusage: 50 + ((n * 7) % 51),
    memoryusage: 1000 + ((n * 13) % 501),
    state: ['NSW', 'VIC', 'QLD', 'WA'][device % 4],
  })
  return Buffer.from(`${body.slice(0, -1)},"note":"${'x'.repeat(Math.max(0, 200 - body.length - 10))}"}`)
}
