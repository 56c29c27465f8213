const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether a request only asks, and so changes nothing. */
export const isSafe = ({ method }: { readonly method?: string | undefined }): boolean =>
  SAFE_METHODS.has(method ?? '')
