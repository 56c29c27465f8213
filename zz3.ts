import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import * as R from './shared/resources/index.ts'
import { findTinyProjects } from './db/queries/tiny-projects.ts'
import { findStaffProfile } from './db/queries/staff-profile.ts'
import { findStaffPage } from './db/queries/staff-page.ts'
import { findStaffProjects } from './db/queries/project-rows.ts'
const db=new Kysely<any>({dialect:{createAdapter:()=>new PostgresAdapter(),createDriver:()=>new DummyDriver(),createIntrospector:d=>new PostgresIntrospector(d),createQueryCompiler:()=>new PostgresQueryCompiler()}})
for (const [n,f] of Object.entries({mine:()=>findTinyProjects(db,'1'),full:()=>findStaffProfile(db,'1','full'),rows:()=>findStaffProjects(db,'1'),list:()=>findStaffPage(db,{page:1,pageSize:24})})) {
  for(let i=0;i<200;i++) await f().catch(()=>{})
  const t=process.cpuUsage(); for(let i=0;i<500;i++) await f().catch(()=>{})
  console.log(n,(process.cpuUsage(t).user/500/1000).toFixed(3),'ms cpu')
}
