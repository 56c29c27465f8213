import { expect } from 'chai'
import { concerns } from '../../invalidator/pattern.ts'

describe('flush pattern', () => {
  const detail = { name: 'project:detail', key: 'project:{project_id}:detail' }
  const list = { name: 'staff:list', key: 'staff:list' }
  const profile = { name: 'staff:profile', key: 'staff:profile:{profile_id}' }

  for (const [pattern, resource, expected] of [
    // Resource names.
    ['staff:profile', profile, true],
    ['staff:list', profile, false],
    ['project:detail', detail, true],
    // Globs over entry keys.
    ['project:*', detail, true],
    ['project:*', profile, false],
    ['*', detail, true],
    ['*', list, true],
    ['', list, false],
    ['*:detail', detail, true],
    ['*:list', detail, false],
    ['project:*:detail', detail, true],
    ['project:*:team', detail, false],
    ['staff:*', list, true],
    ['staff:l*t', list, true],
    ['staff:l*x', list, false],
    ['staff:list*', list, true],
    ['staff:list?', list, false],
    // A single entry flushes the whole resource.
    ['project:42:detail', detail, true],
    ['project:42:*', detail, true],
    ['project:42', detail, false],
    ['staff:profile:42', profile, true],
    ['staff:profile:4*', profile, true],
    ['staff:profile:*2', profile, true],
    // A parameter value contains no colon.
    ['project:4:2:detail', detail, false],
    ['staff:profile:4:2', profile, false],
    // A star also matches colons.
    ['*a*', detail, true],
    ['p*l', detail, true],
  ] as const) {
    it(`"${pattern}" matches ${resource.name}: ${expected}`, () => {
      expect(concerns(pattern, resource)).to.equal(expected)
    })
  }

  it('is matched in linear time', function () {
    this.timeout(1_000)
    expect(concerns(`${'*'.repeat(200)}!`, detail)).to.be.false
    expect(concerns(`${'*a'.repeat(100)}*`, detail)).to.be.true
    expect(concerns(`${'*a'.repeat(100)}!`, detail)).to.be.false
  })
})
