import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'chai'
import { analyse } from 'scslre'
import ts from 'typescript'
import { z } from 'zod'
import { root } from '../../scripts/paths.ts'

/** A regular expression literal in a source file. */
interface Pattern {
  readonly place: string
  readonly source: string
  readonly flags: string
}

/** Returns every regular expression literal in the sources of a folder. */
function patternsOf(folder: string): Pattern[] {
  const files = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
  return files.flatMap((name) => {
    if (!name.endsWith('.ts')) return []
    const file = `${folder}/${name}`
    const text = readFileSync(join(root, file), 'utf8')
    const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest)
    const found: Pattern[] = []
    const visit = (node: ts.Node): void => {
      if (ts.isRegularExpressionLiteral(node)) {
        const end = node.text.lastIndexOf('/')
        const { line } = tree.getLineAndCharacterOfPosition(node.getStart(tree))
        found.push({
          place: `${file}:${line + 1}`,
          source: node.text.slice(1, end),
          flags: node.text.slice(end + 1),
        })
      }
      ts.forEachChild(node, visit)
    }
    visit(tree)
    return found
  })
}

/** Returns strings on which a pattern backtracks for more than linear time. */
const attacksOn = ({ source, flags }: Pick<Pattern, 'source' | 'flags'>): string[] =>
  analyse({ source, flags }).reports.map(({ character }) => character.pick)

describe('regular expressions that are applied to client input', () => {
  it('are detected by the check if they backtrack', () => {
    expect(attacksOn(/^\s*0*(\d+)\s*$/)).not.to.deep.equal([])
    expect(attacksOn(/^(a+)+$/)).not.to.deep.equal([])
    expect(attacksOn(/^\d+$/)).to.deep.equal([])
  })

  for (const folder of ['api', 'db', 'shared']) {
    it(`match in linear time in ${folder}/`, () => {
      const patterns = patternsOf(folder)
      expect(patterns.length).to.be.above(5)
      const slow = patterns
        .filter(({ source, flags }) => attacksOn({ source, flags }).length > 0)
        .map(({ place, source }) => `${place} ${source}`)
      expect(slow).to.deep.equal([])
    })
  }

  it('match in linear time in Zod, which parses requests', () => {
    const datetime = z.regexes.datetime({ offset: true, local: true })
    for (const pattern of [z.regexes.email, z.regexes.date, datetime]) {
      expect(attacksOn(pattern), pattern.source).to.deep.equal([])
    }
  })
})
