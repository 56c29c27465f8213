// The arrows: api and invalidator -> shared -> db; resources -> cache; the two services never meet.
const ours = '^(api|invalidator|db|shared|scripts|tests|bench)/'
const engineFolders = ['db/event-log', 'shared/cache', 'invalidator']
const engine = `^(${engineFolders.join('|')})/`
// Tests and benchmarks of the engine's own files.
const whiteBox =
  '^tests/(cache|event-log|invalidator|process)/|^tests/support/invalidator\\.ts$|^bench/arms/windows\\.ts$'
// The process of this application in the folder of the invalidator.
const process = '^invalidator/(main|config)\\.ts$'
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
    rule('engine-ignores-the-application', engine, { path: ours, pathNot: engine }, process),
    rule('engine-ignores-its-process', engine, { path: process }, process),
    ...engineFolders.map((folder) =>
      rule(
        `${folder.split('/').pop()}-by-its-index`,
        ours,
        { path: `^${folder}/`, pathNot: `^${folder}/(index|config)\\.ts$` },
        `^${folder}/|${whiteBox}`,
      ),
    ),
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
    exclude: { path: '^invalidator/console/dist/' },
  },
}
