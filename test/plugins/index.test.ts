import assert from 'node:assert/strict'
import { test } from 'node:test'
import { allPlugins, plugins } from '../../plugins/index.ts'

test('what the list says of a plugin before it is loaded is what the plugin says', async () => {
  const said = plugins.map(({ name, roles }) => ({ name, roles }))
  const loaded = (await allPlugins()).map(({ name, roles }) => ({ name, roles }))
  assert.deepEqual(said, loaded)
})
