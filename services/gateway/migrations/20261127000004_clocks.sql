-- migrate:up

-- A store may come late by what clocks differ: eight seconds for the broker's keys, eight until its deadline,
-- fifteen that the broker allows, and the time that it takes and takes back.
alter table credentials alter column destroy_at set default now() + interval '45 seconds';

-- migrate:down

alter table credentials alter column destroy_at set default now() + interval '15 seconds';
