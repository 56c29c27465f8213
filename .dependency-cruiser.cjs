// The arrows: api and invalidator -> shared -> db; resources -> cache; the two services never meet.
const ours = '^(api|invalidator|db|shared|scripts|tests|bench)/'
const rule = (name, from, to, fromNot) => ({
  name,
  severity: 'error',
  from: fromNot ? { path: from, pathNot: fromNot } : { path: from },
  to,
})

module.exports = {
  forbidden: [
    { name: 'no-circles', severity: 'error', from: {}, to: { circular: true } },
    rule('db-stands-alone', '^db/', { path: ours, pathNot: '^db/' }),
    rule('shared-knows-only-db', '^shared/', { path: ours, pathNot: '^(shared|db)/' }),
    rule('engine-ignores-resources', '^shared/cache/', { path: '^shared/resources/' }),
    rule('services-never-meet', '^api/', { path: '^invalidator/' }),
    rule('services-never-meet-either', '^invalidator/', { path: '^api/' }),
    rule('production-ignores-tools', '^(api|invalidator|db|shared)/', {
      path: '^(tests|bench|scripts)/',
    }),
    // What proves the guarantees must not believe the program's own idea of them.
    rule(
      'the-checker-stands-alone',
      '^tests/consistency/',
      { path: '^(shared/cache|invalidator|db/event-log)/' },
      '^tests/consistency/stage/',
    ),
    rule('only-db-speaks-pg', ours, { path: 'node_modules/pg/' }, '^(db|tests|bench|scripts)/'),
    rule(
      'only-shared-speaks-redis',
      ours,
      { path: 'node_modules/ioredis/' },
      '^(shared|tests|bench|scripts)/',
    ),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
  },
}
