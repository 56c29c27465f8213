import { replaceScript } from './replace-script.ts'

/** Grants a lease to every request, even while another request holds it. */
replaceScript('cacheLease', (lua) => lua.replace(/if until_ms > now and .*?\nend/s, ''))
