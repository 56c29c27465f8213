/** How the commands appear in `pg_stat_activity` while they change the installation. */
export const INSTALLER = { applicationName: 'spms-install' } as const
