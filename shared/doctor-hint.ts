/** Appended to log messages about missing permissions of Redis. */
export const DOCTOR_HINT = 'npm run spms -- doctor lists all missing permissions'
