import { docker } from './compose.ts'

/** Returns the duration of `work` in seconds, with one decimal. */
export async function secondsOf(work: () => Promise<unknown>): Promise<string> {
  const began = performance.now()
  await work()
  return ((performance.now() - began) / 1000).toFixed(1)
}

/** Formats a number of bytes as `12.3 MB`. */
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

/** Returns the memory of a container as reported by `docker stats`, without the page cache. */
export async function memoryOf(container: string): Promise<string> {
  const usage = await docker('stats', '--no-stream', '--format', '{{ .MemUsage }}', container)
  return usage.split(' / ')[0] ?? usage
}

/** Returns the sizes of the layers on top of the base image, newest first. */
export async function layersOf(image: string): Promise<string[]> {
  const format = '{{ .Size }} {{ .CreatedBy }}'
  const history = await docker('history', '--human=false', '--no-trunc', '--format', format, image)
  return [...history.matchAll(/^(\d+) .*\bCOPY .* (\S+?)\/?( # buildkit)? *$/gm)]
    .filter(([, , target = '']) => /^(node_modules|dist)$/.test(target))
    .map(([, bytes, target]) => `${target} ${megabytes(Number(bytes))}`)
}
