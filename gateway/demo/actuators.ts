/** Things of the demo that obey, each in its own way, so that every outcome of a command can be seen. */
import { type Answer, type Fields, round, type Thing } from './thing.ts'

const toggle = (name: string) => ({ kind: 'switch', name, args: { on: { type: 'boolean', optional: false } } }) as const
const slider = (name: string, min: number, max: number, unit: string) =>
  ({ kind: 'slider', name, args: { level: { type: 'number', min, max, unit, optional: false } } }) as const
const press = (name: string) => ({ kind: 'button', name }) as const

const DONE: Answer = { ok: true }

function lamp(id: string, name: string, room: string, on: boolean): Thing {
  const state = { on, level: 70 }
  return {
    id,
    description: {
      name,
      room,
      kind: 'lamp',
      units: { level: '%', power: 'W' },
      commands: { power: toggle('Light'), dim: slider('Brightness', 0, 100, '%') },
    },
    every: 2000,
    read: (): Fields => ({ ...state, power: round(state.on ? 0.4 + state.level * 0.086 : 0.3, 1) }),
    obey(command, { on, level }) {
      if (command === 'power') state.on = on === true
      else Object.assign(state, { level: Number(level), on: Number(level) > 0 })
      return DONE
    },
  }
}

/** Seconds from closed to open. */
const TRAVEL = 12

function shutter(id: string, name: string, room: string, position: number): Thing {
  const state = { position, target: position, at: 0 }
  const settle = (seconds: number) => {
    const way = state.target - state.position
    const most = ((seconds - state.at) * 100) / TRAVEL
    state.position += Math.sign(way) * Math.min(Math.abs(way), Math.max(0, most))
    state.at = seconds
  }
  return {
    id,
    description: {
      name,
      room,
      kind: 'shutter',
      units: { position: '%' },
      commands: {
        move: {
          kind: 'shutter',
          name: 'Shutter',
          args: { to: { type: 'text', oneOf: ['open', 'stop', 'close'], optional: false } },
        },
      },
    },
    every: 1000,
    read(seconds) {
      settle(seconds)
      const moving = state.position !== state.target
      return { position: Math.round(state.position), state: moving ? 'moving' : 'still' }
    },
    obey(_command, { to }, seconds) {
      settle(seconds)
      state.target = to === 'open' ? 100 : to === 'close' ? 0 : state.position
      return DONE
    },
  }
}

function fan(): Thing {
  const state = { on: false, speed: 'low' }
  const rpm = { low: 900, medium: 1400, high: 2100 }
  return {
    id: 'fan-bath',
    description: {
      name: 'Bathroom fan',
      room: 'Bathroom',
      kind: 'fan',
      units: { rpm: '1/min' },
      commands: {
        power: toggle('Fan'),
        speed: {
          kind: 'choice',
          name: 'Speed',
          args: { speed: { type: 'text', oneOf: ['low', 'medium', 'high'], optional: false } },
        },
      },
    },
    every: 2000,
    read: () => ({ ...state, rpm: state.on ? rpm[state.speed as 'low'] : 0 }),
    obey(command, { on, speed }) {
      if (command === 'power') state.on = on === true
      else state.speed = String(speed)
      return DONE
    },
  }
}

/** Refuses what would scald. */
function boiler(): Thing {
  const state = { level: 55 }
  return {
    id: 'boiler-1',
    description: {
      name: 'Boiler',
      room: 'Cellar',
      kind: 'boiler',
      units: { temperature: '°C', level: '°C' },
      commands: { set: slider('Target', 30, 80, '°C') },
    },
    every: 2000,
    read: (s) => ({ temperature: round(state.level - 2 + Math.sin(s / 9), 1), level: state.level }),
    obey(_command, { level }) {
      if (Number(level) > 65) return { ok: false, result: 'above 65 °C only the installer may go' }
      state.level = Number(level)
      return DONE
    },
  }
}

/** Takes the command and never answers: nobody knows whether it was done. */
function gate(): Thing {
  return {
    id: 'gate-1',
    description: { name: 'Garden gate', room: 'Garden', kind: 'gate', commands: { open: press('Open') } },
    every: 5000,
    read: (s) => ({ battery: round(3.1 - s / 1e5, 2) }),
    obey: () => undefined,
  }
}

/** Its radio is out of reach: what it is told expires. */
function gardenLamp(): Thing {
  return {
    id: 'lamp-garden',
    description: { name: 'Garden lamp', room: 'Garden', kind: 'lamp', commands: { power: toggle('Light') } },
  }
}

function bell(): Thing {
  let rings = 0
  return {
    id: 'bell-1',
    description: { name: 'Door bell', room: 'Living room', kind: 'bell', commands: { ring: press('Ring') } },
    every: 5000,
    read: () => ({ rings }),
    obey() {
      rings++
      return DONE
    },
  }
}

export function actuators(): Thing[] {
  return [
    lamp('lamp-living', 'Floor lamp', 'Living room', true),
    shutter('shutter-living', 'Terrace shutter', 'Living room', 100),
    bell(),
    lamp('lamp-kitchen', 'Counter lamp', 'Kitchen', false),
    lamp('lamp-study', 'Desk lamp', 'Study', true),
    shutter('shutter-study', 'Window shutter', 'Study', 40),
    lamp('lamp-bedroom', 'Reading lamp', 'Bedroom', false),
    shutter('shutter-bedroom', 'Window shutter', 'Bedroom', 0),
    fan(),
    boiler(),
    gate(),
    gardenLamp(),
  ]
}
