-- Who may come in. Only adds, so a program of version 1 may open the file; it lets in nobody from the
-- network, and everybody on a loopback address, as it always did.

create table users (
    id integer primary key,
    name text not null unique collate nocase,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    password_hash text not null,             -- PHC string, Argon2id
    created_at_ms integer not null
) strict;

create table sessions (
    token_sha256 blob not null primary key,  -- of what the browser's cookie says
    user_id integer not null references users (id) on delete cascade,
    began_at_ms integer not null,
    seen_at_ms integer not null              -- written down once a minute at most
) strict, without rowid;

create index sessions_by_user on sessions (user_id);

create table api_tokens (
    id integer primary key,
    name text not null unique collate nocase,
    token_sha256 blob not null unique,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    created_at_ms integer not null,
    expires_at_ms integer,                   -- null: never
    used_at_ms integer                       -- written down once a minute at most
) strict;
