import { z } from 'zod'
import { findLeader, findTeam } from '../../db/queries/member.ts'
import { findProjectDocuments } from '../../db/queries/project-documents.ts'
import { findProjectYears } from '../../db/queries/project-years.ts'
import { projectStatistics, userProjects } from '../../shared/resources/index.ts'
import { projectDocument } from '../../shared/shapes/document.ts'
import { tinyMember } from '../../shared/shapes/member.ts'
import { projectRow } from '../../shared/shapes/project-row.ts'
import * as shapes from '../../shared/shapes/project-statistics.ts'
import { type Endpoint, get, getCached, idOf, user } from '../endpoints/index.ts'

/** Read-only data of projects. */
export const projectReadEndpoints: readonly Endpoint[] = [
  getCached('/users/:id/projects', {
    summary: 'List the projects of a user, each with the role of the user',
    access: user,
    params: { id: idOf('User') },
    answers: { 200: z.array(projectRow) },
    resource: userProjects,
    key: ({ id }) => ({ user_id: id }),
    variant: 'rows',
  }),
  getCached('/projects/statistics', {
    summary: 'Get the numbers of projects and documents',
    access: user,
    answers: { 200: shapes.projectStatistics },
    resource: projectStatistics,
    variant: 'all',
  }),
  get('/projects/listofyears', {
    summary: 'List the years of projects, newest first',
    access: user,
    answers: { 200: z.array(z.int()) },
    read: findProjectYears,
  }),
  get('/projects/:id/project_docs', {
    summary: 'List the documents of a project, newest first',
    access: user,
    params: { id: idOf('Project') },
    answers: { 200: z.array(projectDocument) },
    read: (trx, { id }) => findProjectDocuments(trx, id),
  }),
  get('/projects/:id/team', {
    summary: 'List the members of a project',
    access: user,
    params: { id: idOf('Project') },
    answers: { 200: z.array(tinyMember) },
    read: (trx, { id }) => findTeam(trx, id),
  }),
  get('/projects/project_members/:project/leader', {
    summary: 'Get the leader of a project; if it has several, the one who joined first',
    access: user,
    params: { project: idOf('Project') },
    answers: { 200: tinyMember },
    absent: ({ project }) => `Leader not found for project ${project}`,
    read: (trx, { project }) => findLeader(trx, project),
  }),
]
