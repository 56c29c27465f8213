import { replaceScript } from './replace-script.ts'

/** Makes the invalidator advance watermarks without deleting entries. */
replaceScript('cacheAdvance', (lua) => lua.replace(/redis\.call\('UNLINK'.*?\)\)/, '1'))
