import { seed } from '../seed/seed.ts'

/**
 * Fills an empty database with example data. `scale` multiplies the usual size. Pictures are drawn below
 * `mediaRoot`, if it is given.
 */
export async function runSeed(
  url: string,
  scale: number | undefined,
  mediaRoot: string | undefined,
): Promise<void> {
  const { users, login, memberLogin, alreadyThere } = await seed(url, {
    ...(scale !== undefined && { scale }),
    mediaRoot,
  })
  console.log(`${users} users ${alreadyThere ? 'exist already' : 'created'}`)
  for (const { username, password } of [login, memberLogin]) {
    console.log(`log in as ${username} with password ${password}`)
  }
}
