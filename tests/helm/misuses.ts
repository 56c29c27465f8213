import { join } from 'node:path'
import ts from 'typescript'
import { root } from '../../scripts/paths.ts'
import type { Manifest } from './chart.ts'

const OPTIONS: ts.CompilerOptions = {
  module: ts.ModuleKind.NodeNext,
  strict: true,
  noEmit: true,
  skipLibCheck: true,
  exactOptionalPropertyTypes: true,
  lib: ['lib.es5.d.ts'],
  types: [],
}

/**
 * Returns fields that a Kubernetes API server would reject: unknown, missing or of another type.
 * The TypeScript compiler finds them in literals of the published types.
 */
export function findMisuses(manifests: readonly Manifest[]): string[] {
  const fileName = join(root, 'tests/helm/manifests.generated.ts')
  const text = manifests.map(toSource).join('\n')
  const host = ts.createCompilerHost(OPTIONS)
  const file = ts.createSourceFile(fileName, text, ts.ScriptTarget.ES2023)
  const program = ts.createProgram([fileName], OPTIONS, {
    ...host,
    fileExists: (name) => name === fileName || host.fileExists(name),
    getSourceFile: (name, ...rest) =>
      name === fileName ? file : host.getSourceFile(name, ...rest),
  })
  return ts.getPreEmitDiagnostics(program).map(({ start = 0, messageText }) => {
    const { line } = file.getLineAndCharacterOfPosition(start)
    return `${text.split('\n')[line]?.trim()}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
  })
}

/** `kubernetes-types/apps/v1` describes `apps/v1`; `kubernetes-types/core/v1` describes `v1`. */
function toSource(manifest: Manifest, at: number): string {
  const [version, group = 'core'] = manifest.apiVersion.split('/').toReversed()
  const module = `kubernetes-types/${group.replace('.k8s.io', '')}/${version}`
  const { kind, metadata } = manifest
  return [
    `import type { ${kind} as Kind${at} } from '${module}.d.ts'`,
    `// ${kind} ${metadata.name}`,
    `export const of${at}: Kind${at} = ${JSON.stringify(manifest, null, 1)}`,
  ].join('\n')
}
