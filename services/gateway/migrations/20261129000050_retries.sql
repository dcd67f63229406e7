-- migrate:up

-- When the exchange may answer again after a sync that failed because it is closed or limits us. A table of its own: a new column of
-- `syncs` would break the prepared `select *` of every gateway that runs during the update.
create table sync_retries (
    sync_id  uuid primary key references syncs on delete cascade,
    retry_at timestamptz not null
);
grant select, insert, update, delete on sync_retries to butler_gateway;

-- migrate:down

drop table sync_retries;
