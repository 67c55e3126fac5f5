/**
 * Objects of OMA's public registry that sensors and actuators of today have: names, types, units.
 *
 * One line an object: its number, its name, and a set of resources it shares with others; then lines of its own
 * resources: number, name, type, `!` when it is what the object is there to measure, and the unit (SenML's, RFC 8428 §12.1).
 */

export type ValueType = 'text' | 'integer' | 'float' | 'boolean' | 'opaque' | 'time' | 'link' | 'none'

export interface ResourceDefinition {
  readonly name: string
  /** `none`: it is executed. */
  readonly type: ValueType
  /** It is observed when nothing else is asked for. */
  readonly measured: boolean
  readonly unit: string | undefined
}

export interface ObjectDefinition {
  readonly name: string
  readonly resources: ReadonlyMap<number, ResourceDefinition>
}

/** A copy to which definitions can be added. */
export function standardObjects(): Map<number, ObjectDefinition> {
  const objects = new Map<number, ObjectDefinition>()
  for (const [head, ...lines] of blocksOf(CORE)) addObject(objects, head as string, lines)
  for (const [head, ...lines] of blocksOf(IPSO)) addObject(objects, head as string, lines)
  for (const line of linesOf(SENSORS)) {
    const [id, name, unit = ''] = line.split(' ')
    const measured = [`5700 sensor_value float ! ${unit}`]
    const bounds = [
      '5601 min_measured_value',
      '5602 max_measured_value',
      '5603 min_range_value',
      '5604 max_range_value',
    ]
    addObject(objects, `${id} ${name}`, [
      ...measured,
      ...bounds.map((b) => `${b} float ${unit}`),
      ...linesOf(OF_SENSORS),
    ])
  }
  return objects
}

function addObject(objects: Map<number, ObjectDefinition>, head: string, lines: readonly string[]): void {
  const [id, name = ''] = head.split(' ')
  const resources = new Map<number, ResourceDefinition>()
  for (const line of lines) {
    const [number, resource = '', type, ...rest] = line.trim().split(' ')
    const measured = rest[0] === '!'
    const unit = rest[measured ? 1 : 0]
    resources.set(Number(number), { name: resource, type: type as ValueType, measured, unit: unit || undefined })
  }
  objects.set(Number(id), { name, resources })
}

function linesOf(text: string): string[] {
  return text.trim().split('\n')
}

function blocksOf(text: string): string[][] {
  return text
    .trim()
    .split('\n\n')
    .map((block) => block.split('\n'))
}

/** The Security object has no resource here but names nobody reads over the air: servers may not. */
const CORE = `
0 security

1 server
  0 short_server_id integer
  1 lifetime integer s
  2 default_minimum_period integer s
  3 default_maximum_period integer s
  4 disable none
  5 disable_timeout integer s
  6 notification_storing boolean
  7 binding text
  8 registration_update_trigger none

2 access_control
  0 object_id integer
  1 object_instance_id integer
  2 acl integer
  3 access_control_owner integer

3 device
  0 manufacturer text
  1 model_number text
  2 serial_number text
  3 firmware_version text
  4 reboot none
  5 factory_reset none
  6 available_power_sources integer
  7 power_source_voltage integer mV
  8 power_source_current integer mA
  9 battery_level integer %
  10 memory_free integer KiB
  11 error_code integer
  12 reset_error_code none
  13 current_time time s
  14 utc_offset text
  15 timezone text
  16 supported_binding text
  17 device_type text
  18 hardware_version text
  19 software_version text
  20 battery_status integer
  21 memory_total integer KiB
  22 external_device_info link

4 connectivity_monitoring
  0 network_bearer integer
  1 available_network_bearer integer
  2 radio_signal_strength integer dBm
  3 link_quality integer
  4 ip_addresses text
  5 router_ip_addresses text
  6 link_utilization integer %
  7 apn text
  8 cell_id integer
  9 smnc integer
  10 smcc integer
  11 signal_snr integer dB
  12 lac integer

5 firmware_update
  0 package opaque
  1 package_uri text
  2 update none
  3 state integer
  5 update_result integer
  6 package_name text
  7 package_version text
  8 supported_protocols integer
  9 delivery_method integer

6 location
  0 latitude float ! lat
  1 longitude float ! lon
  2 altitude float ! m
  3 radius float ! m
  4 velocity opaque
  5 timestamp time s
  6 speed float ! m/s

7 connectivity_statistics
  0 sms_tx_counter integer
  1 sms_rx_counter integer
  2 tx_data integer KiB
  3 rx_data integer KiB
  4 max_message_size integer B
  5 average_message_size integer B
  6 start none
  7 stop none
  8 collection_period integer s
`

/** Numeric sensors, all with the resources of 3300: object, name, usual unit. */
const SENSORS = `
3300 generic_sensor
3301 illuminance lx
3303 temperature Cel
3304 humidity %RH
3315 barometer Pa
3316 voltage V
3317 current A
3318 frequency Hz
3319 depth m
3320 percentage %
3321 altitude m
3322 load kg
3323 pressure Pa
3324 loudness dB
3325 concentration ppm
3326 acidity pH
3327 conductivity S/m
3328 power W
3329 power_factor
3330 distance m
3346 rate 1/s
`

const OF_SENSORS = `
5518 timestamp time s
5605 reset_min_max none
5701 sensor_units text
5750 application_type text
5821 current_calibration float
6042 measurement_quality_indicator integer
6049 measurement_quality_level integer
6050 fractional_timestamp float s
`

const IPSO = `
3200 digital_input
  5500 digital_input_state boolean !
  5501 digital_input_counter integer !
  5502 digital_input_polarity boolean
  5503 digital_input_debounce integer ms
  5504 digital_input_edge_selection integer
  5505 digital_input_counter_reset none
  5750 application_type text
  5751 sensor_type text

3201 digital_output
  5550 digital_output_state boolean
  5551 digital_output_polarity boolean
  5750 application_type text

3202 analog_input
  5600 analog_input_current_value float !
  5601 min_measured_value float
  5602 max_measured_value float
  5603 min_range_value float
  5604 max_range_value float
  5605 reset_min_max none
  5750 application_type text
  5751 sensor_type text

3203 analog_output
  5650 analog_output_current_value float
  5603 min_range_value float
  5604 max_range_value float
  5750 application_type text

3302 presence
  5500 digital_input_state boolean !
  5501 digital_input_counter integer !
  5505 digital_input_counter_reset none
  5751 sensor_type text
  5903 busy_to_clear_delay integer ms
  5904 clear_to_busy_delay integer ms

3305 power_measurement
  5800 instantaneous_active_power float ! W
  5801 min_measured_active_power float W
  5802 max_measured_active_power float W
  5803 min_range_active_power float W
  5804 max_range_active_power float W
  5805 cumulative_active_power float ! Wh
  5810 instantaneous_reactive_power float ! var
  5815 cumulative_reactive_power float ! varh
  5820 power_factor float !
  5821 current_calibration float
  5822 reset_cumulative_energy none
  5605 reset_min_max none

3306 actuation
  5850 on_off boolean
  5851 dimmer integer %
  5852 on_time integer s
  5853 multi_state_output text
  5750 application_type text

3308 set_point
  5900 set_point_value float
  5701 sensor_units text
  5706 colour text
  5750 application_type text

3310 load_control
  5823 event_identifier text
  5824 start_time time s
  5825 duration_in_min integer min
  5826 criticality_level integer
  5827 avg_load_adj_pct integer %
  5828 duty_cycle integer %

3311 light_control
  5850 on_off boolean
  5851 dimmer integer %
  5852 on_time integer s
  5805 cumulative_active_power float Wh
  5820 power_factor float
  5706 colour text
  5701 sensor_units text
  5750 application_type text

3312 power_control
  5850 on_off boolean
  5851 dimmer integer %
  5852 on_time integer s
  5805 cumulative_active_power float Wh
  5820 power_factor float
  5750 application_type text

3313 accelerometer
  5702 x_value float !
  5703 y_value float !
  5704 z_value float !
  5603 min_range_value float
  5604 max_range_value float
  5701 sensor_units text

3314 magnetometer
  5702 x_value float !
  5703 y_value float !
  5704 z_value float !
  5705 compass_direction float ! deg
  5701 sensor_units text

3331 energy
  5805 cumulative_active_power float ! Wh
  5701 sensor_units text
  5822 reset_cumulative_energy none
  5750 application_type text

3332 direction
  5705 compass_direction float ! deg
  5601 min_measured_value float deg
  5602 max_measured_value float deg
  5605 reset_min_max none
  5750 application_type text

3333 time
  5506 current_time time s
  5507 fractional_time float s
  5750 application_type text

3334 gyrometer
  5702 x_value float !
  5703 y_value float !
  5704 z_value float !
  5603 min_range_value float
  5604 max_range_value float
  5701 sensor_units text

3335 colour
  5706 colour text !
  5701 sensor_units text
  5750 application_type text

3336 gps_location
  5514 latitude text !
  5515 longitude text !
  5516 uncertainty text
  5517 velocity opaque
  5518 timestamp time s
  5705 compass_direction float ! deg
  5750 application_type text

3337 positioner
  5536 current_position float ! %
  5537 transition_time float s
  5538 remaining_time float s
  5601 min_measured_value float
  5602 max_measured_value float
  5519 min_limit float
  5520 max_limit float
  5750 application_type text

3338 buzzer
  5850 on_off boolean
  5548 level float %
  5521 delay_duration float s
  5525 minimum_off_time float s
  5750 application_type text

3339 audio_clip
  5522 clip opaque
  5523 trigger none
  5548 level float %
  5524 duration float s
  5750 application_type text

3340 timer
  5521 delay_duration float s
  5538 remaining_time float s
  5525 minimum_off_time float s
  5523 trigger none
  5850 on_off boolean
  5501 digital_input_counter integer
  5544 cumulative_time float s
  5543 digital_state boolean
  5534 counter integer
  5526 timer_mode integer
  5750 application_type text

3341 addressable_text_display
  5527 text text
  5528 x_coordinate integer
  5529 y_coordinate integer
  5530 clear_display none
  5548 level float %
  5531 contrast float %
  5750 application_type text

3342 on_off_switch
  5500 digital_input_state boolean !
  5501 digital_input_counter integer !
  5852 on_time integer s
  5854 off_time integer s
  5750 application_type text

3343 dimmer
  5548 level float ! %
  5852 on_time integer s
  5854 off_time integer s
  5750 application_type text

3344 up_down_control
  5532 increase_input_state boolean !
  5533 decrease_input_state boolean !
  5541 up_counter integer !
  5542 down_counter integer !
  5750 application_type text

3345 multiple_axis_joystick
  5500 digital_input_state boolean !
  5501 digital_input_counter integer !
  5702 x_value float !
  5703 y_value float !
  5704 z_value float !
  5750 application_type text

3347 push_button
  5500 digital_input_state boolean !
  5501 digital_input_counter integer !
  5750 application_type text

3348 multi_state_selector
  5547 multi_state_input integer !
  5750 application_type text

3349 bitmap
  5910 bitmap_input integer !
  5911 bitmap_input_reset none
  5912 element_description text
  5750 application_type text

3350 stopwatch
  5544 cumulative_time float ! s
  5850 on_off boolean
  5501 digital_input_counter integer
  5750 application_type text
`
