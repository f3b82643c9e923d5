-- How far a transcript under way has come, and where each word lies. Only adds, so a program of
-- version 1 may open the file.

alter table segments add column words text;  -- JSON: where each word lies; null where that is not known

-- What was heard of a call's tracks so far: a transcript that is cut off goes on from here. Gone
-- when it is written down.
create table heard_windows (
    call_id integer not null references calls (id) on delete cascade,
    path text not null,                      -- of the track, relative to the data folder
    from_sample integer not null,            -- 16 kHz samples of the track
    to_sample integer not null check (to_sample >= from_sample), -- where the next window begins
    manner text not null,                    -- by which model and settings, from which files
    found text not null,                     -- JSON: what was said
    primary key (call_id, path, from_sample)
) strict, without rowid;
