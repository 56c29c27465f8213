import { CLAUSE_SUBJECT, MAX_WORDS, NAMES, WORDS } from './rules.ts'
import { passagesOf } from './texts.ts'

export interface Finding {
  readonly line: number
  /** The passage, shortened. */
  readonly text: string
  /** The standard term, or the rule that the passage breaks. */
  readonly reason: string
}

/** Excepts its own line and the next one, for quotations and names of other systems. */
const EXCEPTION = 'prose-ok'
/** The rules and their test contain the forbidden words. */
const EXCEPT = /^(?:scripts\/prose\/rules|tests\/prose)/

/** Returns the passages of a file that break a rule of `rules.ts`, in the order of their lines. */
export function findProse(path: string, content: string): readonly Finding[] {
  if (EXCEPT.test(path)) return []
  const lines = content.split('\n')
  const isExcepted = (line: number) =>
    [lines[line - 1], lines[line - 2]].some((text) => text?.includes(EXCEPTION))
  const findings: Finding[] = []
  for (const [at, text] of lines.entries()) {
    for (const { words, instead } of NAMES) {
      const [word] = words.exec(text) ?? []
      if (word !== undefined)
        findings.push({ line: at + 1, text: cut(text.trim()), reason: `${word} -> ${instead}` })
    }
  }
  for (const { line, text } of passagesOf(path, content)) {
    for (const { words, instead } of WORDS) {
      const [word] = words.exec(text) ?? []
      if (word !== undefined)
        findings.push({ line, text: cut(text), reason: `${word} -> ${instead}` })
    }
    if (CLAUSE_SUBJECT.test(text))
      findings.push({ line, text: cut(text), reason: 'a clause as a subject' })
    for (const sentence of text.split(/(?<=[.!?:;])\s+/)) {
      const count = sentence.split(/\s+/).filter((word) => /\w/.test(word)).length
      if (count > MAX_WORDS)
        findings.push({ line, text: cut(sentence), reason: `a sentence of ${count} words` })
    }
  }
  return findings.filter(({ line }) => !isExcepted(line)).toSorted((a, b) => a.line - b.line)
}

const cut = (text: string) => (text.length > 160 ? `${text.slice(0, 157)}...` : text)
