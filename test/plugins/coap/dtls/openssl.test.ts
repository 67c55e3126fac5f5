// OpenSSL's own client against our DTLS server: every suite, large and renegotiated.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { systemClock } from '../../../../gateway/clock.ts'
import { createDtlsServer } from '../../../../plugins/coap/dtls/server.ts'
import { bindUdp } from '../../../../plugins/coap/udp.ts'
import { missing, run } from '../peers.ts'

const KEY = '00112233445566778899aabbccddeeff'

describe('openssl s_client', { concurrency: 4, skip: missing('openssl') }, () => {
  for (const [cipher, more] of [
    ['PSK-AES128-CCM8', []],
    ['PSK-AES128-CCM', []],
    ['PSK-AES128-GCM-SHA256', []],
    ['PSK-AES128-CCM8', ['-mtu', '256']],
  ] as const)
    test(`speaks ${[cipher, ...more].join(' ')}`, async (t) => {
      const lower = await bindUdp({ host: '127.0.0.1', port: 0 })
      const dtls = createDtlsServer({
        clock: systemClock,
        lower,
        keyOf: (identity) => (identity === 'Client 7' ? Buffer.from(KEY, 'hex') : undefined),
      })
      t.after(() => dtls.close())
      const gone: unknown[] = []
      dtls.attach({
        datagram: (data, peer) => dtls.send(Buffer.from(`${peer.identity} said ${data}`), peer),
        gone: (peer) => void gone.push(peer),
        moved() {},
      })
      const { out } = await run(
        'openssl',
        // biome-ignore format: a command line
        ['s_client', '-dtls1_2', '-quiet', '-no_ign_eof', '-psk', KEY, '-psk_identity', 'Client 7', '-cipher', `${cipher}:@SECLEVEL=0`,
          ...more, '-connect', `127.0.0.1:${dtls.port}`],
        { bytes: Buffer.from('hello'), until: /said hello/ },
      )
      assert.match(out, /Client 7 said hello/)
      assert.equal(gone.length, 1, 'its close_notify was heard')
    })

  test('is refused without a suite in common', async (t) => {
    const lower = await bindUdp({ host: '127.0.0.1', port: 0 })
    const dtls = createDtlsServer({ clock: systemClock, lower, keyOf: () => Buffer.from(KEY, 'hex') })
    t.after(() => dtls.close())
    dtls.attach({ datagram() {}, gone() {}, moved() {} })
    const connect = ['-connect', `127.0.0.1:${dtls.port}`]
    const { err } = await run('openssl', [
      's_client',
      '-dtls1_2',
      '-psk',
      KEY,
      '-cipher',
      'PSK-AES256-GCM-SHA384',
      ...connect,
    ])
    assert.match(err, /handshake failure/)
  })

  test('is told that there is no renegotiation', async (t) => {
    const lower = await bindUdp({ host: '127.0.0.1', port: 0 })
    const dtls = createDtlsServer({ clock: systemClock, lower, keyOf: () => Buffer.from(KEY, 'hex') })
    t.after(() => dtls.close())
    dtls.attach({ datagram() {}, gone() {}, moved() {} })
    const connect = ['-connect', `127.0.0.1:${dtls.port}`]
    const { err } = await run(
      'openssl',
      ['s_client', '-dtls1_2', '-psk', KEY, '-cipher', 'PSK-AES128-CCM8:@SECLEVEL=0', ...connect],
      {
        bytes: Buffer.from('R\n'),
        until: /no renegotiation/,
      },
    )
    assert.match(err, /RENEGOTIATING/)
    assert.match(err, /no renegotiation/)
  })
})
