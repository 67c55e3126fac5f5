import { value } from '../app/format.ts'
import { useNews } from '../app/live.ts'
import { useOperator } from '../app/session.ts'
import type { DeviceRow } from '../app/store.ts'
import { texts } from '../app/texts.ts'
import { CommandTable } from '../parts/command-table.tsx'
import { Controls, declared } from '../parts/controls.tsx'
import { SendForm } from '../parts/send-form.tsx'
import { Empty, Loading } from '../parts/table.tsx'

export function Control() {
  const { devices, commands, refreshed } = useNews()
  const operator = useOperator()
  const rooms = roomsOf([...devices.values()])
  if (!refreshed) return <Loading title={texts.pages.control} />
  return (
    <>
      <h1>{texts.pages.control}</h1>
      {!operator && <p class="quiet bar">{texts.control.viewer}</p>}
      {rooms.length === 0 && (
        <section class="card">
          <Empty title={texts.control.noneTitle} hint={texts.control.hint} />
        </section>
      )}
      <div class="rooms">
        {rooms.map((room) => (
          <RoomCard key={room.name} room={room} />
        ))}
      </div>
      {operator && <SendForm />}
      {commands.size > 0 && (
        <section class="card">
          <h2>{texts.control.history}</h2>
          <CommandTable commands={[...commands.values()]} />
        </section>
      )}
    </>
  )
}

interface Room {
  readonly name: string
  readonly steered: DeviceRow[]
  /** Those that only speak. */
  readonly sensors: DeviceRow[]
}

function RoomCard({ room: { name, steered, sensors } }: { room: Room }) {
  return (
    <section class="card room">
      <div class="head">
        <h2>{name}</h2>
        <span class="quiet small end">{climateOf(sensors)}</span>
      </div>
      <ul>
        {steered.map((row) => (
          <li key={row.id}>
            <Controls
              device={row}
              title={
                <h3 class="one-line">
                  <a href={`#/devices/${encodeURIComponent(row.id)}`}>{row.name ?? row.id}</a>
                </h3>
              }
            />
          </li>
        ))}
      </ul>
    </section>
  )
}

/** What the room's first sensor of warmth and humidity says, as far as it has units. */
function climateOf(sensors: readonly DeviceRow[]): string {
  const sensor = sensors.find(({ fields }) => 'temperature' in fields && 'humidity' in fields)
  const units = sensor?.units ?? {}
  const said = Object.entries(sensor?.fields ?? {}).filter(([field]) => units[field] !== undefined)
  return said
    .slice(0, 2)
    .map(([field, v]) => `${value(v)} ${units[field]}`)
    .join(' · ')
}

/** Rooms in which something can be steered. */
function roomsOf(rows: readonly DeviceRow[]): Room[] {
  const rooms = new Map<string, Room>()
  for (const row of rows) {
    const name = row.room ?? texts.control.elsewhere
    const room = rooms.get(name) ?? { name, steered: [], sensors: [] }
    rooms.set(name, room)
    if (declared(row).length > 0) room.steered.push(row)
    else if (row.room !== undefined) room.sensors.push(row)
  }
  return [...rooms.values()].filter(({ steered }) => steered.length > 0).sort((a, b) => a.name.localeCompare(b.name))
}
