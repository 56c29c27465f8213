/** Groups of operations with their descriptions. */
export const TAGS = {
  adminoptions: 'Requests to administrators, and merging of users.',
  agencies: 'Agencies and their branches, divisions, services, business areas and affiliations.',
  caretakers: 'Users who act for other users.',
  docs: 'The OpenAPI document of this API.',
  documents: 'Documents of projects.',
  files: 'Images and PDFs that responses refer to.',
  health: 'Probes for orchestrators and monitors.',
  locations: 'Areas on the map.',
  projects: 'Projects, their members and their parts.',
  users: 'Users, their staff profiles, and sessions.',
} as const

/** Returns the group of a path such as `/api/v1/agencies/branches`: its first segment that is one. */
export function tagOf(path: string): keyof typeof TAGS {
  if (path.endsWith('/openapi.json')) return 'docs'
  const name = path.split('/').find(isTag)
  if (name !== undefined) return name
  throw new Error(`no tag for ${path}`)
}

const isTag = (name: string): name is keyof typeof TAGS => name in TAGS
