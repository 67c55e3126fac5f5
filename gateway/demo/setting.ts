/** The demo's config, written to a file so that people can read it, and change it on the settings page. */
import { stringify } from 'yaml'

export interface Setting {
  readonly data: string
  /** Ports on loopback, 0 for a free one. */
  readonly mqtt: number
  readonly http: number
  readonly upstream: number
}

/** The word in a rule for what happens; written out as a key it would make the rule look like a promise. */
const THEN = 'then'
const HEAD = `# The config of \`sluice demo\`: a house, a rack of modems, an upstream. It lasts as long as the demo does.
`

export function demoConfig({ data, mqtt, http, upstream }: Setting): string {
  const config = {
    gateway: { id: 'harbour-house' },
    data,
    mqtt: { listen: `127.0.0.1:${mqtt}` },
    http: { listen: `127.0.0.1:${http}` },
    decode: [{ topic: 'telemetry/{device}', time: 'ts' }],
    windows: {
      'per-device': { tumbling: '10s', by: ['device'], delay: '1s' },
      trend: {
        hopping: { size: '1m', slide: '15s' },
        by: ['device'],
        fields: ['temperature', 'power', 'cpuusage'],
        statistics: ['count', 'min', 'max', 'mean', 'p95'],
        delay: '1s',
      },
    },
    rules: {
      thawing: {
        where: { device: 'freezer-*' },
        when: { field: 'temperature', above: -15, hysteresis: 1 },
        for: '3s',
        severity: 'critical',
      },
      steam: {
        where: { device: 'climate-bath' },
        when: { field: 'humidity', above: 70, hysteresis: 8 },
        severity: 'info',
        [THEN]: ['alert', { command: { device: 'fan-bath', command: 'power', args: { on: true } } }],
        onClear: [{ command: { device: 'fan-bath', command: 'power', args: { on: false } } }],
      },
      busy: { on: 'per-device', when: { field: 'cpuusage.mean', above: 85, hysteresis: 5 } },
    },
    commands: { deadline: '6s' },
    upstreams: {
      cloud: { http: { url: `http://127.0.0.1:${upstream}/`, gzip: true }, batch: { age: '1s' } },
    },
    outbox: { retry: { max: '3s' } },
  }
  return HEAD + stringify(config, { flowCollectionPadding: true, lineWidth: 120 })
}
