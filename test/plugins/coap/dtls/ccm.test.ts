import assert from 'node:assert/strict'
import { createCipheriv, randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { createCcm } from '../../../../plugins/coap/dtls/ccm.ts'
import { createCipherPool, type PooledKey } from '../../../../plugins/coap/dtls/cipher-pool.ts'
import { createRandom } from '../network.ts'

test('gives what OpenSSL gives, message after message, for every length', () => {
  for (const tagLength of [8, 16]) {
    const key = randomBytes(16)
    const ccm = createCcm(key, tagLength)
    const random = createRandom(3610)
    for (let length = 1; length < 300; length++) {
      const nonce = randomBytes(12)
      const additional = randomBytes(1 + Math.floor(random() * 60))
      const plain = randomBytes(length)
      const cipher = createCipheriv('aes-128-ccm', key, nonce, { authTagLength: tagLength })
      cipher.setAAD(additional, { plaintextLength: length })
      const text = cipher.update(plain)
      cipher.final()
      const expected = Buffer.concat([text, cipher.getAuthTag()])
      const sealed = Buffer.alloc(expected.length)
      ccm.seal(nonce, additional, plain, sealed, 0)
      assert.ok(sealed.equals(expected), `${length}`)
      assert.ok(ccm.open(nonce, additional, sealed)?.equals(plain))
      const at = Math.floor(random() * sealed.length)
      sealed[at] = (sealed[at] as number) ^ (1 << Math.floor(random() * 8))
      assert.equal(ccm.open(nonce, additional, sealed), undefined)
      additional[0] = (additional[0] as number) ^ 1
      assert.equal(ccm.open(nonce, additional, expected), undefined)
    }
  }
})

test('keeps a bounded number of ciphers, for the keys that are used', () => {
  const pool = createCipherPool(4)
  const keys: PooledKey[] = Array.from({ length: 20 }, () => ({
    block: randomBytes(16),
    keyAt: 0,
    ready: undefined,
    uses: 0,
  }))
  const busy = keys[0] as PooledKey
  for (let round = 0; round < 100; round++)
    for (const key of keys) {
      pool.of(key, 8)
      pool.of(busy, 8)
      assert.ok(keys.filter((k) => k.ready).length <= 4)
    }
  assert.ok(busy.ready)
})
