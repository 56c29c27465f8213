import { expect } from 'chai'
import { findProse } from '../scripts/prose/find.ts'

const reasonsOf = (path: string, content: string) =>
  findProse(path, content).map(({ line, reason }) => `${line}: ${reason.split(' -> ')[0]}`)

describe('the prose check', () => {
  it('finds a forbidden name in code, SQL and documents', () => {
    expect(reasonsOf('a.ts', 'const forgetKeys = 1\n')).to.eql(['1: forget'])
    expect(reasonsOf('a.sql', "select set_config('invalidation.bell', 'off')\n")).to.eql([
      '1: bell',
    ])
    expect(reasonsOf('a.md', '| `begin_life()` |\n')).to.eql(['1: begin_life'])
  })

  it('finds personification in a comment, a message and a test title', () => {
    expect(reasonsOf('a.ts', '\n// The poll tells the reader.\n')).to.eql(['2: tells'])
    expect(reasonsOf('a.ts', '/**\n * A.\n *\n * The reader is told.\n */\nlet a\n')).to.eql([
      '4: told',
    ])
    expect(reasonsOf('a.ts', 'log(`the process ${id} hears nothing`)\n')).to.eql(['1: hears'])
    expect(reasonsOf('a.ts', "it('believes the proxy in front', f)\n")).to.eql(['1: believes'])
  })

  it('finds a clause that is a subject, but no question', () => {
    expect(reasonsOf('a.md', 'Who brings a token sees it.\n')).to.eql(['1: a clause as a subject'])
    expect(reasonsOf('a.md', 'Fine. What is stale is deleted.\n')).to.eql([
      '1: a clause as a subject',
    ])
    expect(reasonsOf('a.md', 'What is stale?\n')).to.eql([])
  })

  it('finds a sentence of more than 25 words, also over several lines of a comment', () => {
    const words = (count: number) => Array.from({ length: count }, () => 'word').join(' ')
    expect(reasonsOf('a.ts', `// ${words(13)}\n// ${words(13)}\nlet a\n`)).to.eql([
      '1: a sentence of 26 words',
    ])
    expect(reasonsOf('a.md', `${words(25)}. ${words(25)}.\n`)).to.eql([])
  })

  it('ignores code in documents, SQL in code, and quotations', () => {
    expect(reasonsOf('a.md', '```sh\nsay whatever\n```\n')).to.eql([])
    expect(reasonsOf('a.md', 'The label `told` counts.\n')).to.eql([])
    expect(reasonsOf('a.ts', "query('select things from said where told')\n")).to.eql([])
    expect(reasonsOf('a.md', 'The error is "who said that".\n')).to.eql([])
  })

  it('ignores a line that is marked as an exception', () => {
    expect(reasonsOf('a.ts', '// prose-ok: a name of Redis\nconst forget = 1\n')).to.eql([])
  })
})
