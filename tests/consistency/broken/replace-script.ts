import { Redis } from 'ioredis'

/**
 * Replaces the Lua source of a Redis script when it is defined under this name later.
 * The definition throws if `replace` changes nothing.
 */
export function replaceScript(name: string, replace: (lua: string) => string): void {
  const define = Redis.prototype.defineCommand
  Redis.prototype.defineCommand = function (defined, definition) {
    if (defined !== name) return define.call(this, defined, definition)
    const lua = replace(definition.lua)
    if (lua === definition.lua) throw new Error(`nothing to replace in ${name}`)
    return define.call(this, defined, { ...definition, lua })
  }
}
