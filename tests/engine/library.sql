-- Tables of another application, in a schema of their own: a uuid key, a composite key, and both.
create schema library;
create table library.author (
  id   uuid primary key,
  name text not null
);
create table library.book (
  author_id uuid not null references library.author,
  code      text not null,
  title     text not null,
  primary key (author_id, code)
);
create table library.loan (
  id        uuid primary key default gen_random_uuid(),
  author_id uuid not null,
  code      text not null,
  borrower  text not null,
  foreign key (author_id, code) references library.book on update cascade
);
