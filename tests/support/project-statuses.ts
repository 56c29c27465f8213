/** What tests take projects of these statuses for, whatever the product says. */
export const ACTIVE = [
  'new',
  'pending',
  'active',
  'updating',
  'closure_requested',
  'closing',
  'final_update',
]
export const CLOSED = ['completed', 'terminated']
export const STOPPED = ['suspended', ...CLOSED]
