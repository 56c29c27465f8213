/** The paths of the two measured responses, as in the API. */
export const PROFILE_PATH = '/api/v1/users/staffprofiles/:id'
export const PROJECTS_PATH = '/api/v1/projects/mine'

export const port = Number(process.env.PORT)
export const redisUrl = process.env.REDIS_URL
export const ttlS = Number(process.env.TTL_S)
