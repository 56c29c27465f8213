/** Who will read a shared shape. Names and e-mails of staff are for users only. */
export type Audience = 'anyone' | 'user'
