import type { Random } from './random.ts'

const SPECIES = [
  '<em>Banksia prionotes</em>',
  'Carnaby’s cockatoo',
  'Gilbert’s potoroo',
  'quenda',
  'chuditch',
  'flatback turtles',
  'the western ringtail possum',
  'jarrah',
  'karri',
  'tuart',
  'seagrass meadows',
  'Ningaloo coral',
  'dugong',
  'the night parrot',
  'numbats',
  'malleefowl',
  'native orchids',
  'stromatolites',
  'feral cats',
  'the cane toad',
]
const PLACES = [
  'the Swan Coastal Plain',
  'the Kimberley',
  'the Pilbara',
  'Shark Bay',
  'the Stirling Range',
  'Dirk Hartog Island',
  'the Dryandra Woodland',
  'Jurien Bay',
  'the Great Western Woodlands',
  'the Wheatbelt',
  'Barrow Island',
  'Lake Clifton',
]
const METHODS = [
  'remote sensing',
  'camera traps',
  'environmental DNA',
  'long-term monitoring plots',
  'aerial survey',
  'genetic analysis',
  'acoustic recorders',
  'prescribed burning trials',
  'population viability models',
  'mark–recapture',
]
const TOPICS = [
  'fire ecology',
  'translocation success',
  'population genetics',
  'habitat condition',
  'salinity',
  'Phytophthora dieback',
  'marine park zoning',
  'predator control',
  'seed germination',
  'water quality & flow',
  'climate adaptation',
  'threatened flora recovery',
]
const VERBS = ['measures', 'describes', 'compares', 'predicts', 'maps', 'tests', 'reviews']
const RESULTS = [
  'and gives managers thresholds they can act on',
  'at more than 40 sites, some of them surveyed since 1974',
  'so that recovery actions can be ranked by cost',
  'and shows a decline of 12% since the last survey',
  'where summer temperatures exceed 40 °C',
  'together with Traditional Owners and local volunteers',
  'in plots burnt “early” and “late” in the season',
  'and publishes its data under an open licence',
]

const SHORTEST_PARAGRAPH = 50

/** Words for keyword tags and keywords. */
export const KEYWORDS = [...TOPICS, ...METHODS, 'taxonomy', 'botany', 'herpetology', 'mammals'].map(
  (word) => word.toLowerCase(),
)

/** Returns a sentence such as `This work maps fire ecology of karri in the Pilbara with ...`. */
function sentence(random: Random): string {
  const subject = random.pick(['This work', 'The project', 'Our team', 'A new study'])
  const core = `${random.pick(VERBS)} ${random.pick(TOPICS)} of ${random.pick(SPECIES)}`
  const where = `in ${random.pick(PLACES)} with ${random.pick(METHODS)}`
  return `${subject} ${core} ${where}, ${random.pick(RESULTS)}.`.replace('&', '&amp;')
}

/** Returns about `length` characters of HTML, in paragraphs. */
export function html(random: Random, length: number): string {
  const paragraphs: string[] = []
  let left = length
  do {
    const text = words(random, Math.min(left, random.int(250, 600)))
    const paragraph = `<p>${random.chance(0.1) ? `<strong>${text}</strong>` : text}</p>`
    paragraphs.push(paragraph)
    left -= paragraph.length
  } while (left > SHORTEST_PARAGRAPH)
  return paragraphs.join('')
}

/** Returns at most `length` characters: whole sentences if one fits, otherwise the beginning of one. */
export function words(random: Random, length: number): string {
  let text = sentence(random)
  if (text.length > length) {
    const start = text.slice(0, text.lastIndexOf(' ', length - 1))
    return `${start.replace(/( <em>[^<]*|,)$/, '')}.`
  }
  for (;;) {
    const longer = `${text} ${sentence(random)}`
    if (longer.length > length) return text
    text = longer
  }
}

/** Returns the title of a project: HTML as the editor writes it, or plain text as imports write it. */
export function title(random: Random): string {
  const plain = `${capitalise(random.pick(TOPICS))} of ${random.pick(SPECIES)} in ${random.pick(PLACES)}`
  return random.chance(0.5) ? `<p>${plain}</p>`.replace('&', '&amp;') : plain
}

/** Returns the text with an upper-case first letter. */
export const capitalise = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
