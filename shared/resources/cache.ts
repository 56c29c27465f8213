import type { Database } from '../../db/schema.ts'
import type * as cache from '../cache/index.ts'

// The types of the cache engine for the tables of this application.

export type Resource = cache.Resource<Database>
export type Load = cache.Load<Database>
export type Reader = cache.Reader<Database>
export type Loader = cache.Loader<Database>
export type LimitedLoader = cache.LimitedLoader<Database>
