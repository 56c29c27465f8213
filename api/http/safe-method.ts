const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS'])

/** Whether the method of a request is safe (RFC 9110): it only reads. */
export const isSafe = ({ method }: { readonly method?: string | undefined }): boolean =>
  SAFE_METHODS.has(method ?? '')
