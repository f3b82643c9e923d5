-- What people add to a call: notes, words put right, whose number it is; and what there is by number.
-- Only adds, so a program of version 1 may open the file.

create table notes (
    id integer primary key,
    call_id integer not null references calls (id) on delete cascade,
    at_ms integer not null,
    author text not null,                    -- user, token or 'local'
    text text not null
) strict;

create index notes_of_call on notes (call_id);

alter table segments add column original text; -- what was heard, where a person has put it right; null: as it stands

-- Every time that somebody put words right. They stay when the call is written down anew.
create table corrections (
    id integer primary key,
    call_id integer not null references calls (id) on delete cascade,
    party text not null check (party in ('agent', 'technician')), -- as recorded; see calls.parties_swapped
    start_ms integer not null,               -- of the segment, on the call's timeline
    original text not null,                  -- what was heard
    text text not null,                      -- what was said
    author text not null,
    at_ms integer not null
) strict;

create index corrections_of_call on corrections (call_id);

create table contacts (
    number text primary key,                 -- E.164
    name text not null,
    imported_at_ms integer not null
) strict, without rowid;

create virtual table contact_search using fts5 (
    name, number unindexed, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);

create trigger contact_is_found after insert on contacts
begin
    insert into contact_search (name, number) values (new.name, new.number);
end;

create trigger contact_is_found_by_its_new_name after update of name on contacts
begin
    update contact_search set name = new.name where number = old.number;
end;

create trigger contact_is_not_found_once_gone after delete on contacts
begin
    delete from contact_search where number = old.number;
end;

-- The number or name of the other side, the one in the field.
alter table calls add column other_number text
    generated always as (iif(direction = 'inbound', from_number, to_number)) virtual;

create index calls_by_other on calls (other_number, created_at_ms desc, id desc) where parent_call_sid is null;

-- How often each of them called or was called, and when last.
create table numbers (
    number text primary key,
    calls integer not null,
    first_at_ms integer not null,
    last_at_ms integer not null
) strict, without rowid;

create index numbers_by_time on numbers (last_at_ms desc, number desc);

insert into numbers (number, calls, first_at_ms, last_at_ms)
select other_number, count(*), min(created_at_ms), max(created_at_ms) from calls
where parent_call_sid is null and other_number <> '' group by other_number;

create trigger call_counts_for_its_number after insert on calls
when new.parent_call_sid is null and new.other_number <> ''
begin
    insert into numbers (number, calls, first_at_ms, last_at_ms)
    values (new.other_number, 1, new.created_at_ms, new.created_at_ms)
    on conflict (number) do update set calls = calls + 1,
        first_at_ms = min(first_at_ms, excluded.first_at_ms), last_at_ms = max(last_at_ms, excluded.last_at_ms);
end;

create trigger call_does_not_count_once_gone after delete on calls
when old.parent_call_sid is null
begin
    delete from numbers where number = old.other_number;
    insert into numbers (number, calls, first_at_ms, last_at_ms)
    select other_number, count(*), min(created_at_ms), max(created_at_ms) from calls
    where parent_call_sid is null and other_number = old.other_number and other_number <> '' group by other_number;
end;
