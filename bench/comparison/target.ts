import { Client } from 'pg'
import { z } from 'zod'
import { fetchBytes } from '../arms.ts'
import { logIn } from '../log-in.ts'
import { findProfileIds, profilePath } from '../profiles.ts'
import type { Servers } from '../servers.ts'
import type { Service } from '../service.ts'

/** The name of one of the two compared responses. */
export type TargetName = 'profile' | 'projects'

/** A compared response, and how to change it. */
export interface Target {
  readonly name: TargetName
  readonly path: string
  /** Length of the response of the API. */
  readonly bytes: number
  /** Sent to each system; only the API reads the session in them. */
  readonly headers: Readonly<Record<string, string>>
  /** Changes the response by SQL, as psql or another application would. The new body contains `text`. */
  change(client: Client, text: string): Promise<unknown>
}

/** The compared responses, and profiles of which every system has cached none. */
export interface Targets {
  readonly all: readonly Target[]
  readonly userId: string
  readonly otherProfileIds: readonly string[]
}

const projectsSchema = z.array(z.object({ id: z.union([z.string(), z.number()]) })).min(1)

/** Returns the compared responses: a public profile, and the projects of the user of the example data. */
export async function findTargets(
  { databaseUrl, seeded }: Servers,
  api: Service,
): Promise<Targets> {
  const profileId = seeded.exampleProfileId
  const session = { Cookie: await logIn(api.origin, seeded.login) }
  const paths = { profile: profilePath(profileId), projects: '/api/v1/projects/mine' }
  const profile = await fetchBytes(api, paths.profile)
  const projects = await fetchBytes(api, paths.projects, session)
  const [project] = projectsSchema.parse(JSON.parse(projects.body.toString()))
  return {
    userId: await findUserId(databaseUrl, seeded.login.username),
    otherProfileIds: (await findProfileIds(databaseUrl)).filter((id) => id !== profileId),
    all: [
      {
        name: 'profile',
        path: paths.profile,
        bytes: profile.body.length,
        headers: {},
        change: (client, text) =>
          client.query('update users_publicstaffprofile set expertise = $1 where id = $2', [
            text,
            profileId,
          ]),
      },
      {
        name: 'projects',
        path: paths.projects,
        bytes: projects.body.length,
        headers: session,
        change: (client, text) =>
          client.query('update projects_project set title = $1 where id = $2', [text, project?.id]),
      },
    ],
  }
}

async function findUserId(databaseUrl: string, username: string): Promise<string> {
  const client = new Client({ connectionString: databaseUrl })
  await client.connect()
  try {
    const { rows } = await client.query<{ id: string }>(
      'select id::text from users_user where username = $1',
      [username],
    )
    return rows[0]?.id ?? ''
  } finally {
    await client.end()
  }
}
