import type { Database } from '../../db/schema.ts'
import type * as definition from '../cache/definition/resource.ts'
import type * as loader from '../cache/read/loader.ts'
import type * as reader from '../cache/read/reader.ts'

// The types of the cache engine for the tables of this application.

export type Resource = definition.Resource<Database>
export type Load = definition.Load<Database>
export type Reader = reader.Reader<Database>
export type Loader = loader.Loader<Database>
export type LimitedLoader = loader.LimitedLoader<Database>
