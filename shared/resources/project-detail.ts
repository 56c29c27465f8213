import { findProjectDetail } from '../../db/queries/project-detail.ts'
import { defineResource, type DirectRule, type LookupRule } from '../cache/index.ts'
import { businessAreaRules } from './business-area-rules.ts'
import { byVariant } from './load.ts'
import {
  anyOf,
  entries,
  given,
  type Ids,
  projectsInAreas,
  projectsOfBusinessAreas,
  projectsOfDocuments,
  projectsOfMembers,
  projectsOfServices,
  projectsPicturedBy,
  projectsThatName,
  usersCoveredBy,
  usersOfAffiliations,
} from './lookups.ts'

/** Returns a rule for rows that belong to one project each. */
const belonging = (table: string, ...watch: readonly string[]): DirectRule => ({
  table,
  watch: ['project_id', ...watch],
  key: { project_id: 'project_id' },
})

/** Returns a rule for rows from whose ids `projects` leads to projects. */
const reaching = (table: string, watch: readonly string[], projects: Ids): LookupRule => ({
  table,
  watch,
  from: ['id'],
  query: entries('project_id', projects),
})

/** Returns a rule for rows about a user, who may be a member of any project. */
const ofMember = (table: string, ...watch: readonly string[]): LookupRule => ({
  table,
  watch: ['user_id', ...watch],
  from: ['user_id'],
  query: entries('project_id', projectsOfMembers(given)),
})

/** A project as its pages show it: description, documents and members. */
export const projectDetail = defineResource({
  name: 'project:detail',
  version: 1,
  key: 'project:{project_id}:detail',
  ttlMs: 5 * 60_000,
  staleIfError: true,
  load: byVariant({ full: (trx, { project_id = '' }) => findProjectDetail(trx, project_id) }),
  staleWhen: [
    {
      table: 'projects_project',
      watch: [
        'created_at',
        'updated_at',
        'kind',
        'status',
        'year',
        'number',
        'title',
        'description',
        'tagline',
        'keywords',
        'start_date',
        'end_date',
        'business_area_id',
        'deletion_requested',
        'hidden_from_staff_profiles',
      ],
      key: { project_id: 'id' },
    },
    belonging('projects_projectarea', 'areas'),
    reaching('locations_area', ['name', 'area_type'], projectsInAreas(given)),
    belonging('adminoptions_admintask', 'action', 'status'),
    belonging('medias_projectphoto', 'file', 'uploader_id', 'created_at', 'updated_at', 'size'),
    ...businessAreaRules('user', 'project_id', projectsOfBusinessAreas),

    belonging(
      'projects_projectdetail',
      'creator_id',
      'modifier_id',
      'owner_id',
      'data_custodian_id',
      'site_custodian_id',
      'service_id',
      'created_at',
      'updated_at',
      'old_output_program_id',
    ),
    reaching('agencies_departmentalservice', ['name'], projectsOfServices(given)),
    reaching('users_user', ['username'], anyOf(projectsPicturedBy(given), projectsThatName(given))),
    belonging('projects_studentprojectdetails', 'level', 'organisation'),
    belonging(
      'projects_externalprojectdetails',
      'collaboration_with',
      'budget',
      'description',
      'aims',
    ),

    // A document is shown on the project of its text, even if its own row names another project.
    belonging('documents_conceptplan', 'document_id'),
    belonging('documents_projectplan', 'document_id'),
    belonging('documents_progressreport', 'document_id', 'year'),
    belonging('documents_studentreport', 'document_id'),
    belonging('documents_projectclosure', 'document_id'),
    reaching('documents_projectdocument', ['status'], projectsOfDocuments(given)),

    belonging('projects_projectmember', 'user_id', 'role', 'is_leader', 'position'),
    reaching(
      'users_user',
      ['display_first_name', 'display_last_name', 'email', 'is_active', 'is_staff'],
      projectsOfMembers(given),
    ),
    ofMember('users_userprofile', 'title'),
    ofMember('users_userwork', 'affiliation_id'),
    reaching(
      'agencies_affiliation',
      ['name', 'created_at', 'updated_at'],
      projectsOfMembers(usersOfAffiliations(given)),
    ),
    ofMember('caretakers_caretaker', 'caretaker_id', 'end_date'),
    reaching(
      'users_user',
      ['display_first_name', 'display_last_name', 'email'],
      projectsOfMembers(usersCoveredBy(given)),
    ),
  ],
})
