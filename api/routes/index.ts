import type { Endpoint } from '../endpoints/index.ts'
import { adminTaskEndpoints } from './admin-tasks.ts'
import { affiliationEndpoints } from './affiliations.ts'
import { agencyEndpoints } from './agencies.ts'
import { businessAreaEndpoints } from './business-areas.ts'
import { caretakerReadEndpoints } from './caretaker-reads.ts'
import { caretakerEndpoints } from './caretakers.ts'
import { departmentalServiceEndpoints } from './departmental-services.ts'
import { divisionEndpoints } from './divisions.ts'
import { documentEndpoints } from './documents.ts'
import { locationEndpoints } from './locations.ts'
import { profileEntryEndpoints } from './profile-entries.ts'
import { projectCreationEndpoints } from './project-creation.ts'
import { projectDownloadEndpoints } from './project-downloads.ts'
import { projectMemberEndpoints } from './project-members.ts'
import { projectPartEndpoints } from './project-parts.ts'
import { projectReadEndpoints } from './project-reads.ts'
import { projectSearchEndpoints } from './project-search.ts'
import { projectEndpoints } from './projects.ts'
import { sessionEndpoints, type SessionEndpointsDeps } from './session.ts'
import { staffProfileEndpoints } from './staff-profiles.ts'
import { createTimeFields } from './time-field.ts'
import { userCreationEndpoints } from './user-creation.ts'
import { userDetailEndpoints } from './user-details.ts'
import { userExistsEndpoints } from './user-exists.ts'
import { userProfileEndpoints } from './user-profile.ts'
import { userSearchEndpoints } from './user-search.ts'
import { userEndpoints } from './users.ts'

interface EndpointsDeps extends SessionEndpointsDeps {
  /** The zone of dates in requests, and of times without an offset. */
  readonly timeZone: string
}

/** Returns all endpoints below `/api/v1` but those of the documentation. The busiest come first. */
export function createEndpoints(deps: EndpointsDeps): readonly Endpoint[] {
  const times = createTimeFields(deps.timeZone)
  return [
    ...staffProfileEndpoints,
    ...userEndpoints(deps),
    ...sessionEndpoints(deps),
    ...caretakerReadEndpoints,
    ...documentEndpoints,
    ...projectSearchEndpoints,
    ...userExistsEndpoints,
    ...userSearchEndpoints,
    ...projectPartEndpoints,
    ...adminTaskEndpoints(times),
    ...caretakerEndpoints(times),
    ...affiliationEndpoints,
    ...businessAreaEndpoints,
    ...departmentalServiceEndpoints,
    ...divisionEndpoints,
    ...locationEndpoints,
    ...userCreationEndpoints,
    ...userDetailEndpoints,
    ...userProfileEndpoints,
    ...profileEntryEndpoints,
    ...agencyEndpoints,
    ...projectReadEndpoints,
    ...projectDownloadEndpoints,
    ...projectCreationEndpoints(times),
    ...projectMemberEndpoints,
    ...projectEndpoints,
  ]
}
