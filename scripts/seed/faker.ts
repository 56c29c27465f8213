import { base, en, en_AU, Faker } from '@faker-js/faker'
import type { Random } from './random.ts'

/** Returns a generator of Australian names and places that draws from `random`. */
export const createFaker = (random: Random): Faker =>
  new Faker({
    locale: [en_AU, en, base],
    randomizer: { next: () => random.next(), seed: () => {} },
  })
