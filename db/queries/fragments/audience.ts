/** The readers of a shared shape. Names and e-mail addresses of staff are for users only. */
export type Audience = 'anyone' | 'user'
