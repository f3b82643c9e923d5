-- What was said and by whom, to be searched; and indexes that serve every list of calls however many
-- there are. Only adds, so a program of version 1 may open the file: what it writes is found too,
-- for the index is kept in step by triggers.

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

create trigger call_is_not_found_once_gone after delete on calls
begin
    delete from call_search where rowid = old.id;
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
