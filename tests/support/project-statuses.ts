/** Groups of project statuses, defined independently of the product. */
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
