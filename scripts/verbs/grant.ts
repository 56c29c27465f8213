import { grant } from '../../db/grant.ts'

/** Grants the roles of the services the rights that they need. */
export async function runGrant(url: string): Promise<void> {
  await grant(url)
  console.log('granted the required rights to spms_api and spms_invalidator')
}
