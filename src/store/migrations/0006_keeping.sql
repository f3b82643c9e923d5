-- What is kept and how long, what is erased, and what a person has stopped. Only adds, so a program
-- of version 1 may open the file.

alter table calls add column hold_note text;             -- why it is held, in the words of whoever did it
alter table calls add column sound_purged_at_ms integer; -- when the last of its sound went from this disk
alter table calls add column words_purged_at_ms integer; -- when its transcript went from this ledger
alter table calls add column erasing text;               -- the erasure that takes it: nothing of it is begun any more
alter table cloud_recordings add column purged_at_ms integer; -- when its file went from this disk; it is not fetched again

create index calls_held on calls (id) where hold = 1;
create index calls_erasing on calls (id) where erasing is not null;

-- Stages in which nothing is begun, because a person said so. Recording knows nothing of it.
create table pauses (
    stage text primary key check (stage in ('all', 'fetch', 'split', 'transcript', 'summary', 'archive', 'delete')),
    since_ms integer not null,
    actor text not null                      -- as in audit
) strict, without rowid;

-- What a person had erased, here and elsewhere: the ledger's half of a certificate.
create table erasures (
    id text primary key,                     -- the certificate's number
    asked_at_ms integer not null,
    clock_synced integer not null check (clock_synced in (0, 1)), -- was the wall clock right then
    actor text not null,                     -- as in audit
    what text not null check (what in ('call', 'number')),
    subject text not null,                   -- the call's name, or a number's last four digits
    finished_at_ms integer,                  -- null while anything of it is pending
    changed_at_ms integer not null,
    told_at_ms integer                       -- when the certificate's file was written; null: not as it stands
) strict, without rowid;

create index erasures_untold on erasures (id) where told_at_ms is null;

-- Each thing that an erasure takes, and what became of it.
create table erasure_items (
    id integer primary key,
    erasure_id text not null references erasures (id),
    call_sid text not null,
    place text not null check (place in ('here', 'archive', 'twilio')),
    kind text not null check (kind in ('call', 'transcript', 'file', 'folder', 'journal', 'object', 'recording')),
    name text not null,                      -- a path, a key, a name at Twilio; never a telephone number
    size_bytes integer,
    sha256 text,                             -- hex, of what it was
    status text not null check (status in ('pending', 'done', 'absent', 'kept')),
    note text,                               -- why it is pending or kept, or what else is to be known
    attempts integer not null default 0,
    next_attempt_at_ms integer not null,
    done_at_ms integer,
    unique (erasure_id, place, kind, name)
) strict;

create index erasure_items_pending on erasure_items (place, next_attempt_at_ms) where status = 'pending';

-- Calls that were erased: no late callback, list or stray file makes them known again.
create table erased_calls (
    call_sid text primary key,
    erasure_id text not null references erasures (id),
    erased_at_ms integer not null
) strict, without rowid;

-- Bytes written on a day (UTC), per kind of file, and by everybody on the disk ('device').
create table written_days (
    day text not null,                       -- YYYY-MM-DD
    kind text not null check (kind in ('16khz', '8khz', 'cloud_channel', 'cloud_copy', 'device')),
    size_bytes integer not null,
    primary key (day, kind)
) strict, without rowid;

create trigger tracks_are_counted after insert on tracks begin
    insert into written_days (day, kind, size_bytes)
    values (strftime('%Y-%m-%d', new.sealed_at_ms / 1000, 'unixepoch'),
            iif(new.rate_hz = 16000, '16khz', iif(new.source = 'cloud', 'cloud_channel', '8khz')), new.size_bytes)
    on conflict do update set size_bytes = size_bytes + excluded.size_bytes;
end;

create trigger tracks_are_counted_again after update of sealed_at_ms on tracks
when new.sealed_at_ms <> old.sealed_at_ms begin
    insert into written_days (day, kind, size_bytes)
    values (strftime('%Y-%m-%d', new.sealed_at_ms / 1000, 'unixepoch'),
            iif(new.rate_hz = 16000, '16khz', iif(new.source = 'cloud', 'cloud_channel', '8khz')), new.size_bytes)
    on conflict do update set size_bytes = size_bytes + excluded.size_bytes;
end;

create trigger copies_are_counted after update of path on cloud_recordings
when new.path is not null and old.path is null begin
    insert into written_days (day, kind, size_bytes)
    values (strftime('%Y-%m-%d', new.fetched_at_ms / 1000, 'unixepoch'), 'cloud_copy', new.size_bytes)
    on conflict do update set size_bytes = size_bytes + excluded.size_bytes;
end;

insert into written_days (day, kind, size_bytes)
select strftime('%Y-%m-%d', sealed_at_ms / 1000, 'unixepoch'),
       iif(rate_hz = 16000, '16khz', iif(source = 'cloud', 'cloud_channel', '8khz')), sum(size_bytes)
from tracks group by 1, 2;

insert into written_days (day, kind, size_bytes)
select strftime('%Y-%m-%d', fetched_at_ms / 1000, 'unixepoch'), 'cloud_copy', sum(size_bytes)
from cloud_recordings where path is not null and fetched_at_ms is not null group by 1;
