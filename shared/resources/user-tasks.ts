import { findPendingTasks } from '../../db/queries/admin-tasks.ts'
import { findPendingEndorsements } from '../../db/queries/endorsements.ts'
import { findPendingDocuments } from '../../db/queries/pending-documents.ts'
import { findViewer } from '../../db/queries/viewer.ts'
import { defineResource, type Rule } from '../cache/index.ts'
import { businessAreaRules } from './business-area-rules.ts'
import { byVariant } from './load.ts'
import {
  allUsers,
  anyOf,
  committee,
  entries,
  given,
  type Ids,
  leadersOfBusinessAreas,
  projectsOfBusinessAreas,
  projectsThatOwnDocuments,
  projectsPicturedBy,
  readersOfTasks,
  tasksAbout,
  tasksOfProjects,
  usersOfBusinessAreas,
  usersWhoAct,
} from './lookups.ts'

/** Users whose lists contain documents or endorsements of these projects. */
const usersWithDocumentsOf = (projects: Ids): Ids => anyOf(usersWhoAct(projects), committee)

const user = (ids: Ids) => entries('user_id', ids)

/** Rules of pending documents, and of pending endorsements with their documents. */
const documentRules: readonly Rule[] = [
  {
    table: 'documents_projectdocument',
    watch: [
      'created_at',
      'updated_at',
      'project_id',
      'creator_id',
      'modifier_id',
      'kind',
      'status',
      'project_lead_approval_granted',
      'business_area_lead_approval_granted',
      'directorate_approval_granted',
      'pdf_generation_in_progress',
    ],
    from: ['project_id'],
    query: user(usersWithDocumentsOf(given)),
  },
  {
    table: 'medias_projectdocumentpdf',
    watch: ['document_id', 'project_id', 'file'],
    from: ['document_id'],
    query: user(usersWithDocumentsOf(projectsThatOwnDocuments(given))),
  },
  {
    table: 'projects_project',
    watch: ['title', 'status', 'kind', 'year', 'number', 'business_area_id'],
    from: ['id'],
    query: user(usersWithDocumentsOf(given)),
  },
  {
    table: 'projects_project',
    watch: ['business_area_id'],
    from: ['business_area_id'],
    query: user(leadersOfBusinessAreas(given)),
  },
  {
    table: 'projects_projectmember',
    watch: ['project_id', 'user_id', 'is_leader'],
    key: { user_id: 'user_id' },
  },
  {
    table: 'medias_projectphoto',
    watch: ['project_id', 'file', 'uploader_id'],
    from: ['project_id'],
    query: user(usersWithDocumentsOf(given)),
  },
  {
    table: 'users_user',
    watch: ['username'],
    from: ['id'],
    query: user(usersWithDocumentsOf(projectsPicturedBy(given))),
  },
  { table: 'agencies_businessarea', watch: ['leader_id'], key: { user_id: 'leader_id' } },
  // Members of the business area `Directorate` decide for the directorate.
  {
    table: 'agencies_businessarea',
    watch: ['name'],
    from: ['id'],
    query: user(usersOfBusinessAreas(given)),
  },
  {
    table: 'users_userwork',
    watch: ['user_id', 'business_area_id'],
    key: { user_id: 'user_id' },
  },
  ...businessAreaRules('user', 'user_id', (areas) =>
    usersWithDocumentsOf(projectsOfBusinessAreas(areas)),
  ),
  {
    table: 'documents_endorsement',
    watch: ['project_plan_id', 'ae_endorsement_required', 'ae_endorsement_provided'],
    from: ['id'],
    query: user(committee),
  },
  {
    table: 'documents_projectplan',
    watch: [
      'document_id',
      'project_id',
      'background',
      'aims',
      'outcome',
      'knowledge_transfer',
      'listed_references',
      'operating_budget',
      'operating_budget_external',
      'related_projects',
    ],
    from: ['id'],
    query: user(committee),
  },
]

/** Rules of pending requests to administrators. */
const requestRules: readonly Rule[] = [
  {
    table: 'adminoptions_admintask',
    watch: [
      'created_at',
      'updated_at',
      'action',
      'status',
      'project_id',
      'requester_id',
      'primary_user_id',
      'secondary_users',
      'reason',
      'start_date',
      'end_date',
      'notes',
    ],
    from: ['id'],
    // A request lists users as JSON. Nothing leads to a user who was removed from the list, so a change
    // concerns all users. Requests are rare.
    query: user(allUsers),
  },
  {
    table: 'users_user',
    watch: ['display_first_name', 'display_last_name', 'email', 'username'],
    from: ['id'],
    query: user(readersOfTasks(tasksAbout(given))),
  },
  {
    table: 'medias_useravatar',
    watch: ['user_id', 'created_at', 'updated_at', 'file', 'size'],
    from: ['user_id'],
    query: user(readersOfTasks(tasksAbout(given))),
  },
  {
    table: 'projects_project',
    watch: ['title'],
    from: ['id'],
    query: user(readersOfTasks(tasksOfProjects(given))),
  },
]

/** The documents, endorsements and requests to administrators that wait for a user. */
export const userTasks = defineResource({
  name: 'user:tasks',
  version: 1,
  key: 'user:{user_id}:tasks',
  ttlMs: 5 * 60_000,
  // Rights decide what the lists contain.
  staleIfError: false,
  load: byVariant({
    documents: (trx, { user_id = '' }) => findPendingDocuments(trx, user_id),
    endorsements: (trx, { user_id = '' }) => findPendingEndorsements(trx, user_id),
    requests: async (trx, { user_id = '' }) =>
      findPendingTasks(trx, await findViewer(trx, user_id)),
  }),
  staleWhen: [
    { table: 'users_user', watch: ['is_superuser', 'is_aec'], key: { user_id: 'id' } },
    ...documentRules,
    ...requestRules,
  ],
})
