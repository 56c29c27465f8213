import { replaceScript } from './replace-script.ts'

/** A fill that is stored also when its lease was withdrawn. */
replaceScript('cacheFill', (lua) => lua.replace(/if not lease or .* end/, ''))
