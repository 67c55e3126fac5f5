import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress, isLoopback, parseAddress } from '../../gateway/config/address.ts'

test('an address is a host and a port', () => {
  assert.deepEqual(parseAddress('127.0.0.1:1883'), { host: '127.0.0.1', port: 1883 })
  assert.deepEqual(parseAddress('[::1]:1883'), { host: '::1', port: 1883 })
  assert.deepEqual(parseAddress('[::]:0'), { host: '::', port: 0 })
  assert.deepEqual(parseAddress(':1883'), { host: '0.0.0.0', port: 1883 })
  assert.deepEqual(parseAddress('gateway.local:8080'), { host: 'gateway.local', port: 8080 })
})

test('a port alone is refused, because nobody knows how wide it should listen', () => {
  const message = '1883 names no address: write 127.0.0.1:1883 for this machine only, 0.0.0.0:1883 for every interface'
  assert.throws(() => parseAddress(1883), { message })
  assert.throws(() => parseAddress('1883'), { message })
})

test('what is nearly an address is refused with the address that was probably meant', () => {
  assert.throws(() => parseAddress('::1'), /has no port: write \[::1\]:1883/)
  assert.throws(() => parseAddress('localhost'), /has no port: write localhost:1883/)
  assert.throws(() => parseAddress('localhost', '127.0.0.1:8080'), /has no port: write localhost:8080/)
  assert.throws(() => parseAddress('mqtt://0.0.0.0:1883'), /is a URL: an address to listen on is 0.0.0.0:1883/)
  assert.throws(() => parseAddress('127.0.0.1:99999'), /port 99999 of 127.0.0.1:99999 is above 65535/)
  assert.throws(() => parseAddress('127.0.0.300:1883'), /127.0.0.300 is not an IP address/)
  assert.throws(() => parseAddress('[lamp]:1883'), /lamp is not an IPv6 address/)
  assert.throws(() => parseAddress('a b:1'), /is not an address: write host:port/)
})

test('only loopback addresses are loopback', () => {
  const loopback = ['127.0.0.1:1', '127.8.8.8:1', '[::1]:1', 'localhost:1', '[::ffff:127.0.0.1]:1']
  const wide = [
    '0.0.0.0:1',
    ':1',
    '[::]:1',
    '192.168.0.4:1',
    'gateway.local:1',
    'localhost.example.com:1',
    '[::ffff:10.0.0.1]:1',
  ]
  assert.deepEqual(
    loopback.map((text) => parseAddress(text)).map(isLoopback),
    loopback.map(() => true),
  )
  assert.deepEqual(
    wide.map((text) => parseAddress(text)).map(isLoopback),
    wide.map(() => false),
  )
})

test('an address is written back as it was', () => {
  for (const text of ['127.0.0.1:1883', '[::1]:1883']) assert.equal(formatAddress(parseAddress(text)), text)
})
