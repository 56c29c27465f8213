import { base, en, en_AU, Faker } from '@faker-js/faker'
import type { Random } from './random.ts'

/** Australian names and places, drawn from our own chance. */
export const createFaker = (random: Random): Faker =>
  new Faker({
    locale: [en_AU, en, base],
    randomizer: { next: () => random.next(), seed: () => {} },
  })
