-- What a call came to, in a few words, and what somebody said would be done. Only adds, so a
-- program of version 1 may open the file.

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
where ended_at_ms is not null and transcript_status in ('completed', 'skipped');

update calls set summary_status = 'pending';
