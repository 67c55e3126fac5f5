import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nearest, suggestion } from '../../gateway/config/suggest.ts'

const KEYS = ['tumbling', 'hopping', 'session', 'by', 'delay', 'maxKeys', 'whenFull', 'passwordFile']

test('finds the key that was meant', () => {
  assert.equal(nearest('tumbing', KEYS), 'tumbling')
  assert.equal(nearest('max_keys', KEYS), 'maxKeys')
  assert.equal(nearest('WHEN-FULL', KEYS), 'whenFull')
  assert.equal(nearest('password', KEYS), 'passwordFile')
  assert.equal(nearest('sesssion', KEYS), 'session')
})

test('suggests nothing that is far away', () => {
  assert.equal(nearest('retention', KEYS), undefined)
  assert.equal(nearest('xy', ['ab']), undefined)
})

test('names what there is when it is little', () => {
  assert.equal(suggestion('kafka', ['mqtt', 'http']), ': known here are `mqtt`, `http`')
  assert.equal(suggestion('kafka', []), '')
})
