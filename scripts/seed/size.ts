/** Numbers of rows that the seed creates. */
export interface Size {
  readonly users: number
  readonly staff: number
  readonly profiles: number
  readonly hiddenProfiles: number
  readonly projects: number
  readonly members: number
  readonly businessAreas: number
  readonly divisions: number
  readonly branches: number
  readonly affiliations: number
  readonly documents: number
  readonly caretakers: number
}

/** Returns the size of a real SPMS, multiplied by `scale`. */
export function sizeOf(scale: number): Size {
  const times = (count: number) => Math.max(1, Math.round(count * scale))
  return {
    users: times(1_200),
    staff: times(400),
    profiles: times(300),
    hiddenProfiles: times(50),
    projects: times(1_500),
    members: times(7_000),
    businessAreas: times(20),
    divisions: times(4),
    branches: times(60),
    affiliations: times(200),
    documents: times(6_000),
    caretakers: times(40),
  }
}
