import { catalog } from './resources/index.ts'

/** Names of this application that the engine shows. */
export const APPLICATION = {
  title: 'SPMS',
  catalog,
  sessionPrefix: 'spms-',
  installCommand: 'npm run spms -- install',
  exampleCommand:
    `npm run spms -- sql "update users_publicstaffprofile set expertise = 'changed by SQL at ' || localtime(0) ` +
    `where id = (select min(id) from users_publicstaffprofile)"`,
} as const
