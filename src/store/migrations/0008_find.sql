-- What a call came to, what people add to it, and what is found in it. Only adds, so a program of
-- version 1 may open the file: what it writes is found too, for the index is kept in step by triggers.

-- Part 1: what a call came to, in a few words, and what somebody said would be done.

alter table transcripts add column changed_at_ms integer; -- when its words, or who said them, last changed; null: created_at_ms

create table summaries (
    call_id integer primary key references calls (id) on delete cascade,
    engine text not null check (engine in ('extractive', 'openai')),
    model text,                              -- the server's, as it names it; null for 'extractive'
    outcome text not null check (outcome in ('talked', 'cut-off', 'nobody-spoke', 'unclear',
        'no-answer', 'busy', 'failed', 'canceled', 'not-heard')),
    ended_by text check (ended_by in ('caller', 'office', 'recorder')), -- null where nobody can know
    text text not null,
    covers real not null check (covers between 0 and 1), -- how much of the call it was made from
    left_out integer not null default 0,     -- statements that the words of the call did not bear out
    statements text not null,                -- JSON: each one, by whom, and the places it rests on
    words_at_ms integer,                     -- which words it was made from (transcripts.changed_at_ms); null: there were none
    made_at_ms integer not null
) strict;

create table action_items (
    id integer primary key,
    call_id integer not null references calls (id) on delete cascade,
    text text not null,
    who text not null,                       -- 'agent', 'technician', 'agent technician' or '': not said
    due text,                                -- when, in the words it was said in
    places text not null,                    -- JSON: where it was said
    done_at_ms integer,                      -- null while it is open
    done_by text                             -- user or token
) strict;

create index action_items_of_call on action_items (call_id);
create index action_items_open on action_items (call_id) where done_at_ms is null;

-- Earlier versions made no summaries and said that there was nothing to do. Calls that are over are
-- due now: those with words, and those that will never have any.
delete from stages where stage = 'summary';

insert into stages (call_id, stage, status, next_attempt_at_ms, updated_at_ms)
select id, 'summary', 'pending', ended_at_ms, ended_at_ms from calls
where ended_at_ms is not null and transcript_status in ('completed', 'skipped') and words_purged_at_ms is null;

update calls set summary_status = iif(words_purged_at_ms is null, 'pending', 'skipped');

-- Part 2: notes, words put right, whose number it is; and what there is by number.

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

create trigger call_counts_when_it_really_was after update of created_at_ms on calls
when new.parent_call_sid is null
begin
    update numbers set
        first_at_ms = (select min(created_at_ms) from calls where parent_call_sid is null and other_number = new.other_number),
        last_at_ms = (select max(created_at_ms) from calls where parent_call_sid is null and other_number = new.other_number)
    where number = new.other_number;
end;

create trigger call_does_not_count_once_gone after delete on calls
when old.parent_call_sid is null
begin
    delete from numbers where number = old.other_number;
    insert into numbers (number, calls, first_at_ms, last_at_ms)
    select other_number, count(*), min(created_at_ms), max(created_at_ms) from calls
    where parent_call_sid is null and other_number = old.other_number and other_number <> '' group by other_number;
end;

-- Part 3: what was said and by whom, to be searched; and indexes that serve every list of calls
-- however many there are.

-- One document a call: both parties' words, the notes, and the numbers in the ways people write them. A phrase
-- may go on in the same party's next segment.
create view call_documents as
select id, parent_call_sid, ended_at_ms,
    (select group_concat(text, ' ') from (select text from segments where call_id = calls.id
        and party = iif(parties_swapped, 'technician', 'agent') order by start_ms, id)) as agent,
    (select group_concat(text, ' ') from (select text from segments where call_id = calls.id
        and party = iif(parties_swapped, 'agent', 'technician') order by start_ms, id)) as technician,
    from_number || ' ' || to_number
        || iif(from_number glob '+[0-9]*', ' ' || substr(from_number, -10) || ' ' || substr(from_number, -9)
            || ' ' || substr(from_number, -8) || ' ' || substr(from_number, -7) || ' ' || substr(from_number, -4), '')
        || iif(to_number glob '+[0-9]*', ' ' || substr(to_number, -10) || ' ' || substr(to_number, -9)
            || ' ' || substr(to_number, -8) || ' ' || substr(to_number, -7) || ' ' || substr(to_number, -4), '')
        as numbers,
    (select group_concat(text, ' ') from (select text from notes where call_id = calls.id order by id)) as notes
from calls;

-- Its rows are calls.id. The words themselves are not kept a second time.
create virtual table call_search using fts5 (
    agent, technician, numbers, notes,
    content = '', contentless_delete = 1, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);

create trigger call_is_found_once_over after update of ended_at_ms, parties_swapped on calls
when new.ended_at_ms is not null and new.parent_call_sid is null
begin
    delete from call_search where rowid = new.id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents where id = new.id;
end;

create trigger words_are_found_once_written after update of status on stages
when new.stage = 'transcript' and new.status = 'completed' and old.status <> 'completed'
begin
    delete from call_search where rowid = new.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = new.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

create trigger words_are_not_found_once_gone after delete on transcripts
begin
    delete from call_search where rowid = old.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = old.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

create trigger words_are_found_once_put_right after update of text on segments
begin
    delete from call_search where rowid = old.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = old.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

create trigger note_is_found after insert on notes
begin
    delete from call_search where rowid = new.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = new.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

create trigger note_is_not_found_once_gone after delete on notes
begin
    delete from call_search where rowid = old.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = old.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

-- What is deleted from the index is only marked in it: the words themselves go when it is put together
-- anew, bit by bit, while this row is there.
create trigger call_is_not_found_once_gone after delete on calls
begin
    delete from call_search where rowid = old.id;
    insert or replace into meta (key, value) values ('search_forgets', '1');
end;

create trigger words_let_go_are_forgotten after update of words_purged_at_ms on calls
when new.words_purged_at_ms is not null
begin
    insert or replace into meta (key, value) values ('search_forgets', '1');
end;

-- Calls that were over before there was an index are put into it bit by bit, the newest first: those
-- below this row are not in it yet.
insert into meta (key, value) select 'search_indexed_down_to', coalesce(max(id), 0) + 1 from calls;

drop index calls_by_from;
drop index calls_by_to;
create index calls_by_from on calls (from_number, created_at_ms desc, id desc) where parent_call_sid is null;
create index calls_by_to on calls (to_number, created_at_ms desc, id desc) where parent_call_sid is null;
create index calls_by_recording on calls (recording_status, created_at_ms desc, id desc) where parent_call_sid is null;
create index stages_done on stages (updated_at_ms) where status = 'completed';
