import { type Expression, expressionBuilder, sql } from 'kysely'
import type { Database } from '../../schema.ts'
import type { Audience } from './audience.ts'
import { businessArea } from './business-area.ts'
import { photo } from './project-photo.ts'
import { perthTime } from './perth-time.ts'
import { projectTag } from './project-tag.ts'

/** Selects the projects of a member, newest year first; callers add conditions. */
export const selectProjectRows = (userId: string, audience: Audience) =>
  expressionBuilder<Database>()
    .selectFrom('projects_projectmember as member')
    .innerJoin('projects_project as project', 'project.id', 'member.project_id')
    .leftJoin(
      'projects_externalprojectdetails as external',
      'external.project_id',
      'member.project_id',
    )
    .select((row) => [
      'project.id',
      'project.title',
      'member.role',
      projectTag({
        kind: row.ref('project.kind'),
        year: row.ref('project.year'),
        number: row.ref('project.number'),
      }).as('tag'),
      photo({ id: row.ref('project.id'), title: row.ref('project.title') }, audience).as('image'),
      'project.kind',
      perthTime(row.ref('project.created_at')).as('created_at'),
      'project.status',
      businessArea(row.ref('project.business_area_id'), audience).as('business_area'),
      sql`case
        when ${row.ref('project.kind')} is distinct from 'external' then ${row.ref('project.description')}
        when ${row.ref('external.id')} is null then ''
        else ${row.ref('external.description')}
      end`.as('description'),
      year(row.ref('project.start_date')).as('start_date'),
      year(row.ref('project.end_date')).as('end_date'),
    ])
    .where('member.user_id', '=', userId)
    .orderBy('project.year', 'desc')
    .orderBy('project.id')

const year = (date: Expression<Date | null>) => sql`extract(year from ${date})`
