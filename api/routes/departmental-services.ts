import { z } from 'zod'
import {
  findDepartmentalService,
  findDepartmentalServices,
  findTinyDepartmentalService,
} from '../../db/queries/departmental-services.ts'
import {
  deleteDepartmentalService,
  insertDepartmentalService,
  updateDepartmentalService,
} from '../../db/writes/departmental-service.ts'
import {
  departmentalService,
  departmentalServiceDetail,
} from '../../shared/shapes/departmental-service.ts'
import { type Endpoint, get, user } from '../endpoints/index.ts'
import { reference, text } from './field.ts'
import { superuserRows } from './superuser-rows.ts'

const columns = <Sent extends { director?: string | null | undefined }>({
  director,
  ...rest
}: Sent) => ({ ...rest, director_id: director })

const serviceFields = z.object({ name: text(320).min(1), director: reference.nullish() })

/** Services of the department, to which projects belong. */
export const departmentalServiceEndpoints: readonly Endpoint[] = [
  get('/agencies/services', {
    summary: 'List all services of the department by name',
    access: user,
    answers: { 200: z.array(departmentalService) },
    read: findDepartmentalServices,
  }),
  ...superuserRows('/agencies/services', {
    table: 'agencies_departmentalservice',
    entity: 'Departmental service',
    summaries: {
      post: 'Add a service of the department',
      get: 'Get a service of the department',
      put: 'Change a service of the department',
      delete: 'Delete a service of the department',
    },
    shape: departmentalServiceDetail,
    find: findDepartmentalService,
    changed: { shape: departmentalService, find: findTinyDepartmentalService },
    added: serviceFields.transform(columns),
    patch: serviceFields.partial().transform(columns),
    insert: insertDepartmentalService,
    update: updateDepartmentalService,
    remove: deleteDepartmentalService,
  }),
]
