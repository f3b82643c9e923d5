-- Times that can be put right when the clock is: when things were by the clock that never jumps. Only
-- adds, so a program of version 1 may open the file.

alter table calls add column boot_id text;          -- which boot boot_ms counts from; null where created_at_ms is not by our own clock
alter table calls add column boot_ms integer;       -- since boot, at created_at_ms
alter table stream_tokens add column boot_id text;  -- which boot boot_ms counts from
alter table stream_tokens add column boot_ms integer; -- since boot, at issued_at_ms
alter table outages add column boot_id text;        -- which boot the next two count from
alter table outages add column from_boot_ms integer; -- since boot, at from_ms; null where that is right
alter table outages add column to_boot_ms integer;  -- since boot, at to_ms; null where that is right

create index calls_unsure on calls (boot_id) where clock_synced = 0;
create index outages_unsure on outages (boot_id) where from_boot_ms is not null or to_boot_ms is not null;
