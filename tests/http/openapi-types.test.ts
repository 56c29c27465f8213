import { expect } from 'chai'
import openapiTS, { astToString, type OpenAPI3 } from 'openapi-typescript'
import ts from 'typescript'
import { readOpenApiDocument } from '../../scripts/openapi.ts'

/** A client that uses the generated types. */
const CLIENT = `
import type { components, paths } from './api.ts'
export const branch: components['schemas']['Branch'] = { id: 1, name: 'x', agency: null, manager: null }
type Body = NonNullable<
  paths['/api/v1/agencies/branches/{id}']['put']['requestBody']
>['content']['application/json']
export const patch: Body = { name: 'New' }
`

describe('the types that openapi-typescript generates from the OpenAPI document', function () {
  this.timeout(60_000)

  it('compile without errors, together with a client that uses them', async () => {
    const document: OpenAPI3 = JSON.parse(await readOpenApiDocument())
    const files: Readonly<Record<string, string>> = {
      '/api.ts': astToString(await openapiTS(document)),
      '/client.ts': CLIENT,
    }
    const options: ts.CompilerOptions = {
      strict: true,
      noEmit: true,
      module: ts.ModuleKind.NodeNext,
      target: ts.ScriptTarget.ES2023,
      allowImportingTsExtensions: true,
      types: [],
    }
    const host = ts.createCompilerHost(options)
    const { getSourceFile, fileExists, readFile } = host
    host.getSourceFile = (name, version, ...rest) => {
      const text = files[name]
      return text === undefined
        ? getSourceFile.call(host, name, version, ...rest)
        : ts.createSourceFile(name, text, version)
    }
    host.fileExists = (name) => name in files || fileExists.call(host, name)
    host.readFile = (name) => files[name] ?? readFile.call(host, name)
    const program = ts.createProgram(Object.keys(files), options, host)
    const messages = ts
      .getPreEmitDiagnostics(program)
      .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    expect(messages).to.deep.equal([])
  })
})
