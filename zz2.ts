import { openDatabase } from './db/database.ts'
import { migrate } from './db/migrate.ts'
import { sql } from 'kysely'
import { buildDenseWorld, worldEntries } from './tests/resources/dense-world.ts'
import { listMutations } from './tests/support/mutations.ts'
import { takeImage } from './tests/support/row-changes.ts'
const admin=openDatabase({url:'postgres://postgres@127.0.0.1:54391/postgres',poolSize:1,applicationName:'x'})
await sql`drop database if exists dense`.execute(admin); await sql`create database dense`.execute(admin); await admin.destroy()
const url='postgres://postgres@127.0.0.1:54391/dense'
await migrate(url)
const db=openDatabase({url,poolSize:1,applicationName:'x'})
await buildDenseWorld(db)
const w=new Set(worldEntries.flatMap(({resource})=>resource.staleWhen.map(r=>r.table)))
let t=performance.now(); const image=await takeImage(db,w); console.log('image',performance.now()-t)
t=performance.now(); await takeImage(db,w); console.log('image',performance.now()-t)
const m=await listMutations(db,image); console.log(m.length)
const by:any={}; for(const x of m){by[x.table]=(by[x.table]??0)+1}; console.log(by)
const bt:any={}; for(const x of m){bt[x.type]=(bt[x.type]??0)+1}; console.log(bt)
await db.transaction().execute(async trx=>{ for(let k=0;k<3;k++) for (const {resource,examples} of worldEntries){ t=performance.now(); for(const e of examples) await resource.load(trx,e.params,e.variant); console.log(resource.name, examples.length,(performance.now()-t).toFixed(1))}})
await db.destroy()
