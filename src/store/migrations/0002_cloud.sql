-- Twilio's copies brought here, what they filled, and what an archive has shown back. Only adds,
-- so a program of version 1 may open the file.

alter table cloud_recordings add column frames integer;        -- samples of each channel, once here
alter table cloud_recordings add column rate_hz integer;       -- its rate, once here
alter table cloud_recordings add column origin_sample integer; -- where its first sample lies on the call's timeline (8 kHz); null until known
alter table cloud_recordings add column fetched_at_ms integer; -- when its file was whole here
alter table cloud_recordings add column split_at_ms integer;   -- when its channels became the call's

-- Gaps of the live files that hold the sound of Twilio's copy now.
create table fills (
    call_id integer not null references calls (id) on delete cascade,
    party text not null check (party in ('agent', 'technician')), -- as recorded; see calls.parties_swapped
    start_sample integer not null,           -- 8 kHz samples on the call's timeline
    end_sample integer not null check (end_sample > start_sample),
    recording_id integer not null references cloud_recordings (id), -- whose sound it is
    primary key (call_id, party, start_sample)
) strict, without rowid;

-- What the archive holds of a call. A row means: the archive has shown it back.
create table archive_objects (
    call_id integer not null references calls (id) on delete cascade,
    object_key text not null,                -- below the archive's prefix
    path text,                               -- the file it is a copy of, relative to the data folder; null for what is made
    size_bytes integer not null,
    sha256 text not null,                    -- hex
    etag text,                               -- the archive's own mark of it, when it was proven
    proven_at_ms integer not null,
    primary key (call_id, object_key)
) strict, without rowid;

create index outages_open on outages (id) where to_ms is null;

-- What version 1 heard of and could not fetch is due now; what Twilio never made is said to be so.
insert into stages (call_id, stage, status, next_attempt_at_ms, updated_at_ms)
select distinct call_id, 'fetch', 'pending', 0, max(updated_at_ms)
from cloud_recordings where call_id is not null and status = 'completed' and path is null
group by call_id;

insert into stages (call_id, stage, status, last_error, next_attempt_at_ms, updated_at_ms)
select call_id, 'fetch', 'failed', 'Twilio made no recording of this call', max(updated_at_ms), max(updated_at_ms)
from cloud_recordings where call_id is not null and status in ('absent', 'failed')
group by call_id on conflict do nothing;

-- A call's words follow from what is there: a file, else a recording at Twilio, else nothing yet.
update calls set recording_status = 'completed'
where exists (select 1 from tracks where call_id = calls.id and samples > 0)
   or exists (select 1 from cloud_recordings where call_id = calls.id and path is not null);

update calls set recording_status = 'recording'
where recording_status in ('pending', 'failed')
  and exists (select 1 from cloud_recordings
              where call_id = calls.id and status not in ('absent', 'failed', 'deleted'));

insert into stages (call_id, stage, status, next_attempt_at_ms, updated_at_ms)
select call_id, 'transcript', 'completed', created_at_ms, created_at_ms from transcripts where true
on conflict (call_id, stage) do update set status = 'completed', last_error = null, waiting_for = null
where status <> 'completed';

update calls set transcript_status = 'completed'
where exists (select 1 from transcripts where call_id = calls.id);
