import { replaceScript } from './replace-script.ts'

/** A lease that is given to whoever asks, also while another has it. */
replaceScript('cacheLease', (lua) => lua.replace(/if until_ms > now and .*?\nend/s, ''))
