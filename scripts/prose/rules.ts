/** Words that have a standard term, and the term. `parts`: also inside identifiers and quoted names. */
export interface WordRule {
  readonly words: RegExp
  readonly instead: string
}

/** Not to be found anywhere: identifiers, file names, SQL, settings, text. */
export const NAMES: readonly WordRule[] = [
  {
    words: /forg[eo]t(?:s|ten|ting)?/i,
    instead: 'delete a key, invalidate an entry, flush a resource',
  },
  { words: /\bbell\b|(?<=[a-z_])Bell\b|_bell\b/, instead: 'wake-up, notify' },
  { words: /begin_?life|no_?life\b|own_?life\b/i, instead: 'incarnation' },
  // Except a part of the benchmark and its folder.
  { words: /(?<!bench -- |bench\/|\*\*)\brival|Rival/, instead: 'foreign watermark' },
  { words: /\bledger|Ledger/, instead: 'invalidation store' },
  { words: /slumber|keepHouse|letGo\b|\bchores?\b/i, instead: 'the standard term' },
  { words: /un-named|\bunnamed|UNNAMED/, instead: 'disabled' },
]

/** Not to be found in comments, documents, messages and titles of tests. */
export const WORDS: readonly WordRule[] = [
  { words: /\b(?:hears?|heard)\b/i, instead: 'receives, is connected' },
  { words: /\b(?:tells?|told)\b/i, instead: 'reports, logs, notifies, receives' },
  { words: /\b(?:says?|said)\b/i, instead: 'reports, states, means, contains' },
  { words: /\bbeliev\w*/i, instead: 'assumes, trusts' },
  { words: /\b(?:nobody|somebody|whoever|whatever)\b/i, instead: 'the component or role' },
  {
    words: /\b(?:rings?|rang)\b/i,
    instead: 'notifies; "ring of segments" only for the wrap-around',
  },
  { words: /\bthings?\b/i, instead: 'entity, or its name' },
  { words: /\bsomebody else\b/i, instead: 'another request, another process' },
  { words: /has had (?:its|their) time/i, instead: 'has expired' },
  { words: /\bstands? in (?:the|a|an|each|every)\b/i, instead: 'is in' },
]

/** A clause as a subject: "Who brings a token sees ..." */
export const CLAUSE_SUBJECT = /(?:^|[.!?]\s+)(?:Who|Whoever|Whatever|Whose|What)\s(?![^.!?]*\?)/

/** The longest sentence, in words. */
export const MAX_WORDS = 25
