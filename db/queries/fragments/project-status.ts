/** The statuses of projects that go on: neither closed nor suspended. */
export const ACTIVE_STATUSES = [
  'new',
  'pending',
  'active',
  'updating',
  'closure_requested',
  'closing',
  'final_update',
] as const
