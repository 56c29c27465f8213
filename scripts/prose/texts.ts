import ts from 'typescript'

/** A passage that people read, without markup and code. */
export interface Passage {
  /** Of its beginning, from 1. */
  readonly line: number
  readonly text: string
}

/** The passages of a file: comments, messages and titles of code, paragraphs of a document. */
export function passagesOf(path: string, content: string): readonly Passage[] {
  if (path.endsWith('.ts')) return passagesOfCode(content)
  if (path.endsWith('.md')) return passagesOfDocument(content)
  return passagesOfLines(content, path.endsWith('.sql') ? /^\s*-- ?(.*)$/ : /^\s*# ?(.*)$/)
}

function passagesOfCode(content: string): Passage[] {
  const source = ts.createSourceFile('a.ts', content, ts.ScriptTarget.Latest, true)
  const lineAt = (position: number) => source.getLineAndCharacterOfPosition(position).line + 1
  const comments = new Map<number, ts.CommentRange>()
  const passages: Passage[] = []
  const visit = (node: ts.Node): void => {
    for (const range of [
      ...(ts.getLeadingCommentRanges(content, node.pos) ?? []),
      ...(ts.getTrailingCommentRanges(content, node.end) ?? []),
    ])
      comments.set(range.pos, range)
    if (ts.isStringLiteralLike(node) || ts.isTemplateExpression(node)) {
      const text = ts.isStringLiteralLike(node)
        ? node.text
        : node.head.text + node.templateSpans.map(({ literal }) => `x${literal.text}`).join('')
      if (isSentence(text))
        passages.push({ line: lineAt(node.getStart()), text: withoutCode(text) })
    }
    node.forEachChild(visit)
  }
  visit(source)
  // JSDoc is a node of its own, whose ranges the compiler reports at the node that follows it.
  let last: { line: number; end: number; text: string } | undefined
  const found: Passage[] = []
  for (const { pos, end, kind } of [...comments.values()].toSorted((a, b) => a.pos - b.pos)) {
    const raw = content.slice(pos, end)
    if (kind === ts.SyntaxKind.SingleLineCommentTrivia) {
      const text = raw.replace(/^\/\/\s?/, '')
      // Lines below each other are one comment.
      if (last !== undefined && /^\s*$/.test(content.slice(last.end, pos))) {
        last.text += ` ${text}`
        last.end = end
      } else {
        last = { line: lineAt(pos), end, text }
        found.push(last)
      }
      continue
    }
    last = undefined
    const lines = raw
      .replace(/\*\/$/, '')
      .split('\n')
      .map((line) => line.replace(/^\s*\/?\*+ ?/, ''))
    found.push(...paragraphs(lines, lineAt(pos)))
  }
  return [...passages, ...found.map(({ line, text }) => ({ line, text: withoutCode(text) }))]
}

/** Code in a string, SQL, paths, patterns and single words are no sentences. */
const isSentence = (text: string) =>
  text.split(/\s+/).length >= 3 &&
  !text.includes('\n') &&
  /^[\w'"`“]/.test(text.trim()) &&
  !/^\s*(?:select|insert|update|delete|with|create|alter|drop|grant|revoke|begin|commit|set|lock|copy|merge|truncate|do|from|where|and|or|join|left|order|group|returning|values|exists|not|on|case|array|coalesce|rollback|prepare|listen|notify|execute|declare|fetch|comment|call|explain|analyze|vacuum|reset|show|security|language)\b/i.test(
    text,
  )

function passagesOfDocument(content: string): Passage[] {
  const lines: string[] = []
  let fenced = false
  for (const line of content.split('\n')) {
    if (/^\s*(?:```|~~~)/.test(line)) {
      fenced = !fenced
      lines.push('')
    } else lines.push(fenced ? '' : line)
  }
  const split = lines.flatMap((line, at) =>
    line.startsWith('|')
      ? line.split(/(?<!\\)\|/).map((cell) => ({ line: at + 1, lines: [cell.trim()] }))
      : [],
  )
  const prose = lines.map((line) => (line.startsWith('|') ? '' : line))
  return [
    ...split.map(({ line, lines: [text = ''] }) => ({ line, text })),
    ...paragraphs(prose, 1),
  ].map(({ line, text }) => ({ line, text: withoutCode(text) }))
}

function passagesOfLines(content: string, comment: RegExp): Passage[] {
  const lines = content.split('\n').map((line) => comment.exec(line)?.[1] ?? '')
  return paragraphs(lines, 1).map(({ line, text }) => ({ line, text: withoutCode(text) }))
}

/** Lines between empty ones; an item of a list, a tag and a heading begin a paragraph. */
function paragraphs(lines: readonly string[], first: number): Passage[] {
  const found: { line: number; text: string }[] = []
  let current: { line: number; text: string } | undefined
  for (const [at, line] of lines.entries()) {
    const begins = /^\s*(?:[-*+] |\d+\. |@\w+|#)/.test(line)
    if (line.trim() === '') current = undefined
    else if (current === undefined || begins) {
      current = { line: first + at, text: line.trim() }
      found.push(current)
    } else current.text += ` ${line.trim()}`
  }
  return found
}

const withoutCode = (text: string) =>
  text
    .replaceAll('**', '')
    .replaceAll(/`[^`]*`/g, 'x')
    .replaceAll(/\]\([^)]*\)/g, ']')
    .replaceAll(/https?:\/\/\S+/g, 'x')
    .replaceAll(/["“][^"”]*["”]/g, 'x')
