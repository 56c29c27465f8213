import { replaceScript } from './replace-script.ts'

/** An invalidator that publishes watermarks and leaves the entries where they are. */
replaceScript('cacheAdvance', (lua) => lua.replace(/redis\.call\('UNLINK'.*?\)\)/, '1'))
