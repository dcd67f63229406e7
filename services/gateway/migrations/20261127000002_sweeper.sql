-- migrate:up

-- When the sweeper last wrote an outcome for a sync into the outbox. A table of its own: a new column of `syncs`
-- would break the prepared `select *` of every gateway that runs during the update.
create table sync_settlements (
    sync_id    uuid primary key,
    settled_at timestamptz not null default now(),
    times      integer not null default 1
);
create index on sync_settlements (settled_at);

grant select, insert, update, delete on sync_settlements to butler_gateway;

-- migrate:down

drop table sync_settlements;
