import { docker } from './compose.ts'

/** How long something took, in seconds with one decimal. */
export async function secondsOf(work: () => Promise<unknown>): Promise<string> {
  const began = performance.now()
  await work()
  return ((performance.now() - began) / 1000).toFixed(1)
}

/** `12.3 MB`, of a number of bytes. */
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

/** What a container holds in memory, as Docker says it: without files that the kernel keeps for it. */
export async function memoryOf(container: string): Promise<string> {
  const usage = await docker('stats', '--no-stream', '--format', '{{ .MemUsage }}', container)
  return usage.split(' / ')[0] ?? usage
}

/** What our layers add to the base image, newest first. */
export async function layersOf(image: string): Promise<string[]> {
  const format = '{{ .Size }} {{ .CreatedBy }}'
  const history = await docker('history', '--human=false', '--no-trunc', '--format', format, image)
  return [...history.matchAll(/^(\d+) .*\bCOPY .* (\S+?)\/?( # buildkit)? *$/gm)]
    .filter(([, , target = '']) => /^(node_modules|dist)$/.test(target))
    .map(([, bytes, target]) => `${target} ${megabytes(Number(bytes))}`)
}
