/** Things of the demo that only speak. */
import { type Fields, follow, round, type Thing, wave, within } from './thing.ts'

function climate(id: string, room: string, phase: number): Thing {
  return {
    id,
    description: {
      name: `${room} climate`,
      room,
      kind: 'climate',
      units: { temperature: '°C', humidity: '%' },
    },
    every: 1000,
    read: (s) => ({
      temperature: round(20.5 + 1.6 * wave(s, 180, phase) + 0.15 * wave(s, 11, phase * 2), 2),
      humidity: round(45 + 5 * wave(s, 240, phase) + 0.4 * wave(s, 17, phase), 1),
    }),
  }
}

/** Somebody showers every two minutes, and the rule `steam` runs the fan. */
function bathroom(): Thing {
  const humidity = follow(48, 0.12, (s) => (within(s, 120, 5, 24) ? 88 : 46))
  return {
    ...climate('climate-bath', 'Bathroom', 2),
    read: (s) => ({ temperature: round(22.5 + 0.8 * wave(s, 120, -1), 2), humidity: round(humidity(s), 1) }),
  }
}

/** Somebody leaves the door open every now and then, and the rule `thawing` raises an alert. */
function freezer(): Thing {
  const temperature = follow(-19, 0.08, (s) => (within(s, 90, 6, 20) ? -2 : -19.5))
  return {
    id: 'freezer-1',
    description: { name: 'Freezer', room: 'Cellar', kind: 'freezer', units: { temperature: '°C' } },
    every: 1000,
    read: (s) => ({
      temperature: round(temperature(s) + 0.1 * wave(s, 9, 0), 2),
      door: within(s, 90, 6, 20) ? 'open' : 'closed',
    }),
  }
}

function meter(id: string, name: string, room: string, read: (seconds: number) => Fields): Thing {
  return {
    id,
    description: { name, room, kind: 'meter', units: { power: 'W', voltage: 'V' } },
    every: 250,
    read,
  }
}

/** As a fleet of modems reports; the fifth is the busy one. */
function modem(i: number): Thing {
  return {
    id: `dvc${3001 + i}`,
    description: {
      name: `Modem ${i + 1}`,
      room: 'Rack',
      kind: 'modem',
      units: { cpuusage: '%', memoryusage: 'MB' },
    },
    every: 500,
    read: (s) => ({
      cpuusage: Math.round(55 + (i === 4 ? 15 : 0) + 22 * wave(s, 75, i) + 6 * wave(s, 6, i * 3)),
      memoryusage: Math.round(1250 + 180 * wave(s, 200, i)),
      interfacestatus: within(s + i * 41, 400, 0, 12) ? 'down' : 'up',
    }),
  }
}

function weather(): Thing {
  return {
    id: 'weather-1',
    description: {
      name: 'Weather station',
      room: 'Garden',
      kind: 'weather',
      units: { temperature: '°C', humidity: '%', wind: 'm/s' },
    },
    every: 1000,
    read: (s) => ({
      temperature: round(11 + 2.5 * wave(s, 300, 1), 1),
      humidity: round(72 + 6 * wave(s, 260, 2), 1),
      wind: round(Math.max(0, 3.5 + 2 * wave(s, 34, 0) + 1.4 * wave(s, 5, 1)), 1),
    }),
  }
}

export function sensors(): Thing[] {
  return [
    climate('climate-living', 'Living room', 0),
    climate('climate-kitchen', 'Kitchen', 1.2),
    climate('climate-study', 'Study', 2.4),
    climate('climate-bedroom', 'Bedroom', 3.6),
    bathroom(),
    freezer(),
    weather(),
    meter('meter-main', 'Main meter', 'Cellar', (s) => ({
      power: round(620 + 380 * wave(s, 80, 0) ** 2 + 25 * wave(s, 4, 0), 1),
      voltage: round(230 + 1.5 * wave(s, 50, 0), 1),
    })),
    meter('meter-oven', 'Oven socket', 'Kitchen', (s) => ({
      power: round(within(s, 60, 0, 34) ? 1800 + 40 * wave(s, 7, 0) : 3 + wave(s, 5, 0), 1),
      voltage: round(229.5 + 1.2 * wave(s, 50, 0.4), 1),
    })),
    meter('solar-1', 'Solar roof', 'Roof', (s) => ({
      power: round(1400 + 900 * wave(s, 150, 1) + 60 * wave(s, 8, 1), 1),
    })),
    ...Array.from({ length: 12 }, (_, i) => modem(i)),
  ]
}
