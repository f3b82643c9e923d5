-- Calls that the office places, the legs of calls, and what people were told before they were recorded.
-- Only adds, so a program of version 1 may open the file.

alter table calls add column declined_at_ms integer; -- when somebody said that they are not to be recorded

create table orders (
    call_id integer primary key references calls (id) on delete cascade,
    first_sid text not null unique,          -- what the call was called here before Twilio named it
    order_key text not null unique,          -- what the addresses carry that Twilio was given with the order
    fate text not null check (fate in ('asked', 'unanswered', 'placed', 'failed')), -- unanswered: not known whether it rang
    asked_at_ms integer not null,
    boot_id text,                            -- which boot boot_ms counts from
    boot_ms integer not null                 -- since boot, at asked_at_ms
) strict;

create index orders_open on orders (call_id) where fate in ('asked', 'unanswered');

create table legs (
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

create index legs_of_call on legs (call_id);
create index legs_of_parent on legs (parent_call_sid) where call_id is null;

create table announcements (
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
