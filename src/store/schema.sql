CREATE VIEW call_documents as
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

CREATE TRIGGER audit_is_never_changed before update on audit
begin select raise(abort, 'the audit trail is append only'); end;

CREATE TRIGGER audit_is_never_deleted before delete on audit
begin select raise(abort, 'the audit trail is append only'); end;

CREATE TRIGGER call_counts_for_its_number after insert on calls
when new.parent_call_sid is null and new.other_number <> ''
begin
    insert into numbers (number, calls, first_at_ms, last_at_ms)
    values (new.other_number, 1, new.created_at_ms, new.created_at_ms)
    on conflict (number) do update set calls = calls + 1,
        first_at_ms = min(first_at_ms, excluded.first_at_ms), last_at_ms = max(last_at_ms, excluded.last_at_ms);
end;

CREATE TRIGGER call_counts_when_it_really_was after update of created_at_ms on calls
when new.parent_call_sid is null
begin
    update numbers set
        first_at_ms = (select min(created_at_ms) from calls where parent_call_sid is null and other_number = new.other_number),
        last_at_ms = (select max(created_at_ms) from calls where parent_call_sid is null and other_number = new.other_number)
    where number = new.other_number;
end;

CREATE TRIGGER call_does_not_count_once_gone after delete on calls
when old.parent_call_sid is null
begin
    delete from numbers where number = old.other_number;
    insert into numbers (number, calls, first_at_ms, last_at_ms)
    select other_number, count(*), min(created_at_ms), max(created_at_ms) from calls
    where parent_call_sid is null and other_number = old.other_number and other_number <> '' group by other_number;
end;

CREATE TRIGGER call_is_found_once_over after update of ended_at_ms, parties_swapped on calls
when new.ended_at_ms is not null and new.parent_call_sid is null
begin
    delete from call_search where rowid = new.id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents where id = new.id;
end;

CREATE TRIGGER call_is_not_found_once_gone after delete on calls
begin
    delete from call_search where rowid = old.id;
    insert or replace into meta (key, value) values ('search_forgets', '1');
end;

CREATE TRIGGER contact_is_found after insert on contacts
begin
    insert into contact_search (name, number) values (new.name, new.number);
end;

CREATE TRIGGER contact_is_found_by_its_new_name after update of name on contacts
begin
    update contact_search set name = new.name where number = old.number;
end;

CREATE TRIGGER contact_is_not_found_once_gone after delete on contacts
begin
    delete from contact_search where number = old.number;
end;

CREATE TRIGGER copies_are_counted after update of path on cloud_recordings
when new.path is not null and old.path is null begin
    insert into written_days (day, kind, size_bytes)
    values (strftime('%Y-%m-%d', new.fetched_at_ms / 1000, 'unixepoch'), 'cloud_copy', new.size_bytes)
    on conflict do update set size_bytes = size_bytes + excluded.size_bytes;
end;

CREATE TRIGGER note_is_found after insert on notes
begin
    delete from call_search where rowid = new.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = new.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

CREATE TRIGGER note_is_not_found_once_gone after delete on notes
begin
    delete from call_search where rowid = old.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = old.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

CREATE TRIGGER tracks_are_counted after insert on tracks begin
    insert into written_days (day, kind, size_bytes)
    values (strftime('%Y-%m-%d', new.sealed_at_ms / 1000, 'unixepoch'),
            iif(new.rate_hz = 16000, '16khz', iif(new.source = 'cloud', 'cloud_channel', '8khz')), new.size_bytes)
    on conflict do update set size_bytes = size_bytes + excluded.size_bytes;
end;

CREATE TRIGGER tracks_are_counted_again after update of sealed_at_ms on tracks
when new.sealed_at_ms <> old.sealed_at_ms begin
    insert into written_days (day, kind, size_bytes)
    values (strftime('%Y-%m-%d', new.sealed_at_ms / 1000, 'unixepoch'),
            iif(new.rate_hz = 16000, '16khz', iif(new.source = 'cloud', 'cloud_channel', '8khz')), new.size_bytes)
    on conflict do update set size_bytes = size_bytes + excluded.size_bytes;
end;

CREATE TRIGGER words_are_found_once_put_right after update of text on segments
begin
    delete from call_search where rowid = old.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = old.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

CREATE TRIGGER words_are_found_once_written after update of status on stages
when new.stage = 'transcript' and new.status = 'completed' and old.status <> 'completed'
begin
    delete from call_search where rowid = new.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = new.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

CREATE TRIGGER words_are_not_found_once_gone after delete on transcripts
begin
    delete from call_search where rowid = old.call_id;
    insert into call_search (rowid, agent, technician, numbers, notes)
    select id, agent, technician, numbers, notes from call_documents
    where id = old.call_id and ended_at_ms is not null and parent_call_sid is null;
end;

CREATE TRIGGER words_let_go_are_forgotten after update of words_purged_at_ms on calls
when new.words_purged_at_ms is not null
begin
    insert or replace into meta (key, value) values ('search_forgets', '1');
end;

CREATE TABLE action_items (
    id integer primary key,
    call_id integer not null references calls (id) on delete cascade,
    text text not null,
    who text not null,                       -- 'agent', 'technician', 'agent technician' or '': not said
    due text,                                -- when, in the words it was said in
    places text not null,                    -- JSON: where it was said
    done_at_ms integer,                      -- null while it is open
    done_by text                             -- user or token
) strict;

CREATE TABLE announcements (
    call_id integer not null references calls (id) on delete cascade,
    at_ms integer not null,                  -- when Twilio was told to tell it
    place_ms integer not null,               -- where in the call: since the call's row
    leg text not null,                       -- whose ear: Twilio's name of the leg
    how text not null check (how in ('said', 'played')),
    sha256 text not null,                    -- of the text, or of the sound file, in hex
    language text,
    voice text,
    primary key (call_id, at_ms, leg)
) strict, without rowid;

CREATE TABLE api_tokens (
    id integer primary key,
    name text not null unique collate nocase,
    token_sha256 blob not null unique,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    created_at_ms integer not null,
    expires_at_ms integer,                   -- null: never
    used_at_ms integer                       -- written down once a minute at most
) strict;

CREATE TABLE archive_objects (
    call_id integer not null references calls (id) on delete cascade,
    object_key text not null,                -- below the archive's prefix
    path text,                               -- the file it is a copy of, relative to the data folder; null for what is made
    size_bytes integer not null,
    sha256 text not null,                    -- hex
    etag text,                               -- the archive's own mark of it, when it was proven
    proven_at_ms integer not null,
    primary key (call_id, object_key)
) strict, without rowid;

CREATE TABLE audit (
    id integer primary key,
    at_ms integer not null,
    actor text not null,                     -- user, token or 'local'
    action text not null,                    -- play, download, export, retry, swap, delete, ...
    call_sid text,
    detail text
) strict;

CREATE VIRTUAL TABLE call_search using fts5 (
    agent, technician, numbers, notes,
    content = '', contentless_delete = 1, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TABLE 'call_search_config'(k PRIMARY KEY, v) WITHOUT ROWID;

CREATE TABLE 'call_search_data'(id INTEGER PRIMARY KEY, block BLOB);

CREATE TABLE 'call_search_docsize'(id INTEGER PRIMARY KEY, sz BLOB, origin INTEGER);

CREATE TABLE 'call_search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;

CREATE TABLE calls (
    id integer primary key,
    call_sid text not null unique,           -- Twilio's name of this leg
    parent_call_sid text,                    -- the leg that dialled this one; null for a call of its own
    direction text not null check (direction in ('inbound', 'outbound')),
    origin text not null check (origin in ('number', 'client', 'rest')),
    from_number text not null,               -- as Twilio sent it: E.164, client:name, sip: or free text
    to_number text not null,
    call_status text not null,               -- Twilio's word, never moved back
    end_reason text check (end_reason in ('completed', 'interrupted', 'busy', 'failed', 'no-answer', 'canceled')),
    created_at_ms integer not null,          -- when this row was written
    started_at_ms integer,                   -- when the first sample was heard
    ended_at_ms integer,                     -- null while the call is live
    clock_synced integer not null check (clock_synced in (0, 1)), -- was the wall clock right at created_at_ms
    duration_s integer,                      -- whole seconds, at least 1 if there was sound
    duration_source text check (duration_source in ('twilio', 'timestamps', 'created_at')),
    recording_status text not null default 'pending'
        check (recording_status in ('pending', 'recording', 'completed', 'failed')),
    transcript_status text not null default 'pending'
        check (transcript_status in ('pending', 'processing', 'completed', 'failed', 'skipped')),
    summary_status text not null default 'pending'
        check (summary_status in ('pending', 'processing', 'completed', 'failed', 'skipped')),
    archive_status text not null default 'pending'
        check (archive_status in ('pending', 'processing', 'completed', 'failed', 'skipped')),
    last_error text,                         -- these three: of the earliest stage not completed
    retry_count integer not null default 0,
    waiting_for text check (waiting_for in ('network', 'disk', 'twilio', 'recording', 'model', 'clock')),
    parties_swapped integer not null default 0 check (parties_swapped in (0, 1)),
    hold integer not null default 0 check (hold in (0, 1)), -- never purged or deleted anywhere while 1
    folder text,                             -- recordings/YYYY/MM/DD/<CallSid>, fixed when the first sound came
    live_copy integer not null default 1 check (live_copy in (0, 1)), boot_id text, boot_ms integer, hold_note text, sound_purged_at_ms integer, words_purged_at_ms integer, erasing text, declined_at_ms integer, other_number text
    generated always as (iif(direction = 'inbound', from_number, to_number)) virtual, -- 0: answered without a stream (too many calls)
    check ((duration_s is null) = (duration_source is null))
) strict;

CREATE TABLE cloud_recordings (
    id integer primary key,
    call_id integer references calls (id) on delete cascade, -- null until its call is known here
    call_sid text not null,                  -- as Twilio said: the parent leg
    recording_sid text not null unique,
    status text not null,                    -- Twilio's word, never moved back from a final one
    channels integer,
    duration_s integer,
    source text,                             -- Twilio's word
    track text,                              -- Twilio's word
    started_at_ms integer,
    error_code text,
    path text unique,                        -- relative to the data folder, once here
    size_bytes integer,
    sha256 text,
    twilio_deleted_at_ms integer,
    created_at_ms integer not null,
    updated_at_ms integer not null
, frames integer, rate_hz integer, origin_sample integer, fetched_at_ms integer, split_at_ms integer, purged_at_ms integer) strict;

CREATE VIRTUAL TABLE contact_search using fts5 (
    name, number unindexed, prefix = '2 3', tokenize = 'unicode61 remove_diacritics 2'
);

CREATE TABLE 'contact_search_config'(k PRIMARY KEY, v) WITHOUT ROWID;

CREATE TABLE 'contact_search_content'(id INTEGER PRIMARY KEY, c0, c1);

CREATE TABLE 'contact_search_data'(id INTEGER PRIMARY KEY, block BLOB);

CREATE TABLE 'contact_search_docsize'(id INTEGER PRIMARY KEY, sz BLOB);

CREATE TABLE 'contact_search_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;

CREATE TABLE contacts (
    number text primary key,                 -- E.164
    name text not null,
    imported_at_ms integer not null
) strict, without rowid;

CREATE TABLE corrections (
    id integer primary key,
    call_id integer not null references calls (id) on delete cascade,
    party text not null check (party in ('agent', 'technician')), -- as recorded; see calls.parties_swapped
    start_ms integer not null,               -- of the segment, on the call's timeline
    original text not null,                  -- what was heard
    text text not null,                      -- what was said
    author text not null,
    at_ms integer not null
) strict;

CREATE TABLE erased_calls (
    call_sid text primary key,
    erasure_id text not null references erasures (id),
    erased_at_ms integer not null
) strict, without rowid;

CREATE TABLE erasure_items (
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

CREATE TABLE erasures (
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

CREATE TABLE fills (
    call_id integer not null references calls (id) on delete cascade,
    party text not null check (party in ('agent', 'technician')), -- as recorded; see calls.parties_swapped
    start_sample integer not null,           -- 8 kHz samples on the call's timeline
    end_sample integer not null check (end_sample > start_sample),
    recording_id integer not null references cloud_recordings (id), -- whose sound it is
    primary key (call_id, party, start_sample)
) strict, without rowid;

CREATE TABLE gaps (
    call_id integer not null references calls (id) on delete cascade,
    party text not null check (party in ('agent', 'technician')),
    source text not null check (source in ('stream', 'microphone', 'browser')),
    start_sample integer not null,           -- 8 kHz samples on the call's timeline
    end_sample integer not null check (end_sample > start_sample),
    reason text not null check (reason in ('lost', 'disconnected', 'disk', 'paused')),
    primary key (call_id, party, source, start_sample)
) strict, without rowid;

CREATE TABLE garbage (
    path text primary key,                   -- relative to the data folder
    reason text not null,
    created_at_ms integer not null
) strict, without rowid;

CREATE TABLE heard_windows (
    call_id integer not null references calls (id) on delete cascade,
    path text not null,                      -- of the track, relative to the data folder
    from_sample integer not null,            -- 16 kHz samples of the track
    to_sample integer not null check (to_sample >= from_sample), -- where the next window begins
    manner text not null,                    -- by which model and settings, from which files
    found text not null,                     -- JSON: what was said
    primary key (call_id, path, from_sample)
) strict, without rowid;

CREATE TABLE legs (
    call_sid text primary key,               -- Twilio's name of this leg
    parent_call_sid text not null,           -- the leg that dialled it
    call_id integer references calls (id) on delete cascade, -- null until its call is known here
    from_number text not null,
    to_number text not null,
    call_status text not null,               -- Twilio's word, never moved back
    began_at_ms integer not null,            -- when it was first told of
    answered_at_ms integer,
    ended_at_ms integer,
    duration_s integer                       -- Twilio's, once over
) strict, without rowid;

CREATE TABLE meta (
    key text primary key,                    -- 'min_reader': the oldest schema version whose program may open this file
    value text not null
) strict, without rowid;

CREATE TABLE notes (
    id integer primary key,
    call_id integer not null references calls (id) on delete cascade,
    at_ms integer not null,
    author text not null,                    -- user, token or 'local'
    text text not null
) strict;

CREATE TABLE numbers (
    number text primary key,
    calls integer not null,
    first_at_ms integer not null,
    last_at_ms integer not null
) strict, without rowid;

CREATE TABLE orders (
    call_id integer primary key references calls (id) on delete cascade,
    first_sid text not null unique,          -- what the call was called here before Twilio named it
    order_key text not null unique,          -- what the addresses carry that Twilio was given with the order
    fate text not null check (fate in ('asked', 'unanswered', 'placed', 'failed')), -- unanswered: not known whether it rang
    asked_at_ms integer not null,
    boot_id text,                            -- which boot boot_ms counts from
    boot_ms integer not null                 -- since boot, at asked_at_ms
) strict;

CREATE TABLE outages (
    id integer primary key,
    from_ms integer not null,
    to_ms integer,                           -- null while it lasts
    cause text not null,
    calls_recovered integer not null default 0,
    recordings_recovered integer not null default 0
, boot_id text, from_boot_ms integer, to_boot_ms integer) strict;

CREATE TABLE pauses (
    stage text primary key check (stage in ('all', 'fetch', 'split', 'transcript', 'summary', 'archive', 'delete')),
    since_ms integer not null,
    actor text not null                      -- as in audit
) strict, without rowid;

CREATE TABLE segments (
    id integer primary key,
    call_id integer not null references transcripts (call_id) on delete cascade,
    party text not null check (party in ('agent', 'technician')),
    start_ms integer not null,               -- on the call's timeline
    end_ms integer not null check (end_ms >= start_ms),
    text text not null,
    confidence real not null,                -- exp(mean log-probability of its tokens)
    avg_logprob real not null,
    no_speech_prob real not null
, words text, original text) strict;

CREATE TABLE sessions (
    token_sha256 blob not null primary key,  -- of what the browser's cookie says
    user_id integer not null references users (id) on delete cascade,
    began_at_ms integer not null,
    seen_at_ms integer not null              -- written down once a minute at most
) strict, without rowid;

CREATE TABLE stages (
    call_id integer not null references calls (id) on delete cascade,
    stage text not null check (stage in ('fetch', 'split', 'transcript', 'summary', 'archive', 'delete')),
    status text not null check (status in ('pending', 'processing', 'completed', 'failed', 'skipped')),
    attempts integer not null default 0,     -- counted when claimed, so a job that kills the process counts too
    last_error text,                         -- in words for a person; kept until the next success
    waiting_for text check (waiting_for in ('network', 'disk', 'twilio', 'recording', 'model', 'clock')),
    next_attempt_at_ms integer not null,     -- not before this
    updated_at_ms integer not null,
    primary key (call_id, stage)
) strict, without rowid;

CREATE TABLE stream_tokens (
    token_hash text primary key,             -- SHA-256 in hex
    call_id integer not null references calls (id) on delete cascade,
    issued_at_ms integer not null,
    spent_at_ms integer                      -- good once
, boot_id text, boot_ms integer) strict, without rowid;

CREATE TABLE streams (
    id integer primary key,
    call_id integer not null references calls (id) on delete cascade,
    stream_sid text not null unique,
    verified integer not null check (verified in (0, 1)), -- 0: signature right, but without our token
    started_at_ms integer not null,          -- wall clock
    boot_ms integer not null,                -- since boot, never jumps
    boot_id text not null,                   -- which boot
    clock_synced integer not null check (clock_synced in (0, 1)),
    origin_sample integer,                   -- where this stream's first sound lies on the call's timeline
    stopped_at_ms integer,
    frames integer not null default 0,       -- media messages taken
    frames_skipped integer not null default 0, -- late, repeated or unreadable ones
    error text                               -- Twilio's own words, from its stream-error callback
) strict;

CREATE TABLE summaries (
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

CREATE TABLE tracks (
    id integer primary key,
    call_id integer not null references calls (id) on delete cascade,
    party text not null check (party in ('agent', 'technician')), -- as recorded; see calls.parties_swapped
    source text not null check (source in ('stream', 'cloud', 'microphone', 'browser')),
    rate_hz integer not null check (rate_hz in (8000, 16000)),
    part_no integer not null default 1,      -- 2 and up: begun anew after an interruption
    path text not null unique,               -- relative to the data folder
    origin_sample integer not null,          -- where its first sample lies on the call's timeline, in 8 kHz samples
    samples integer not null,                -- at its own rate
    size_bytes integer not null,
    sha256 text,                             -- hex, once known
    salvaged integer not null default 0 check (salvaged in (0, 1)), -- 1: closed at start after a crash
    sealed_at_ms integer not null,
    unique (call_id, party, source, rate_hz, part_no)
) strict;

CREATE TABLE transcripts (
    call_id integer primary key references calls (id) on delete cascade,
    source text not null check (source in ('cloud', 'stream')), -- which copy it was made from
    language text not null,
    model text not null,
    dropped integer not null default 0,      -- stretches the model was too unsure of to keep
    created_at_ms integer not null
, changed_at_ms integer) strict;

CREATE TABLE users (
    id integer primary key,
    name text not null unique collate nocase,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    password_hash text not null,             -- PHC string, Argon2id
    created_at_ms integer not null
) strict;

CREATE TABLE written_days (
    day text not null,                       -- YYYY-MM-DD
    kind text not null check (kind in ('16khz', '8khz', 'cloud_channel', 'cloud_copy', 'device')),
    size_bytes integer not null,
    primary key (day, kind)
) strict, without rowid;

CREATE INDEX action_items_of_call on action_items (call_id);

CREATE INDEX action_items_open on action_items (call_id) where done_at_ms is null;

CREATE INDEX calls_by_from on calls (from_number, created_at_ms desc, id desc) where parent_call_sid is null;

CREATE INDEX calls_by_other on calls (other_number, created_at_ms desc, id desc) where parent_call_sid is null;

CREATE INDEX calls_by_recording on calls (recording_status, created_at_ms desc, id desc) where parent_call_sid is null;

CREATE INDEX calls_by_time on calls (created_at_ms desc, id desc) where parent_call_sid is null;

CREATE INDEX calls_by_to on calls (to_number, created_at_ms desc, id desc) where parent_call_sid is null;

CREATE INDEX calls_erasing on calls (id) where erasing is not null;

CREATE INDEX calls_held on calls (id) where hold = 1;

CREATE INDEX calls_live on calls (id) where ended_at_ms is null;

CREATE INDEX calls_unsure on calls (boot_id) where clock_synced = 0;

CREATE INDEX cloud_recordings_by_call_sid on cloud_recordings (call_sid);

CREATE INDEX cloud_recordings_of_call on cloud_recordings (call_id);

CREATE INDEX corrections_of_call on corrections (call_id);

CREATE INDEX erasure_items_pending on erasure_items (place, next_attempt_at_ms) where status = 'pending';

CREATE INDEX erasures_untold on erasures (id) where told_at_ms is null;

CREATE INDEX legs_of_call on legs (call_id);

CREATE INDEX legs_of_parent on legs (parent_call_sid) where call_id is null;

CREATE INDEX notes_of_call on notes (call_id);

CREATE INDEX numbers_by_time on numbers (last_at_ms desc, number desc);

CREATE INDEX orders_open on orders (call_id) where fate in ('asked', 'unanswered');

CREATE INDEX outages_open on outages (id) where to_ms is null;

CREATE INDEX outages_unsure on outages (boot_id) where from_boot_ms is not null or to_boot_ms is not null;

CREATE INDEX segments_of_call on segments (call_id, start_ms);

CREATE INDEX sessions_by_user on sessions (user_id);

CREATE INDEX stages_done on stages (updated_at_ms) where status = 'completed';

CREATE INDEX stages_due on stages (stage, next_attempt_at_ms) where status = 'pending';

CREATE INDEX stages_failed on stages (stage) where status = 'failed';

CREATE INDEX stages_processing on stages (stage) where status = 'processing';

CREATE INDEX streams_of_call on streams (call_id);
