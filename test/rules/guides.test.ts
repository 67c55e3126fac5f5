import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'yaml'
import { commandsSection } from '../../gateway/config/sections/commands.ts'
import { devicesSection } from '../../gateway/config/sections/devices.ts'
import { rulesSection } from '../../gateway/config/sections/rules.ts'
import { tryRules } from '../../gateway/rules/trial.ts'

/** Indented examples of a guide that begin with one of these keys. */
function examples(guide: string, ...keys: string[]): Record<string, object>[] {
  const path = fileURLToPath(new URL(`../../docs/guides/${guide}`, import.meta.url))
  const blocks = readFileSync(path, 'utf8').split(/\n(?=\S|\n\S)/)
  return blocks
    .map((block) => block.replace(/^\n+/, '').replace(/^ {4}/gm, ''))
    .flatMap((block) => {
      const at = block.search(new RegExp(`^(${keys.join('|')}):`, 'm'))
      return at < 0 ? [] : [parse(block.slice(at)) as Record<string, object>]
    })
}

test('the examples of the guides are right', () => {
  const rules = examples('rules.md', 'rules')
  assert.equal(rules.length, 2)
  for (const { rules: section } of rules) assert.deepEqual(tryRules(rulesSection.parse(section)), [])
  const commands = examples('commands.md', 'commands', 'devices')
  assert.equal(commands.length, 1)
  for (const { commands: section, devices } of commands) {
    assert.ok(commandsSection.parse(section))
    assert.ok(devicesSection.parse(devices))
  }
})
