-- migrate:up

-- How many syncs of an account ended on a day (UTC), once the syncs themselves are deleted: 90 days after their request.
-- No foreign key, because its check would wait for accounts that other transactions lock.
create table sync_days (
    account_id uuid not null,
    day        date not null,
    completed  integer not null default 0,
    partial    integer not null default 0,
    failed     integer not null default 0,
    primary key (account_id, day)
);
grant select, insert, update, delete on sync_days to butler_gateway;

-- The deletion of a sync looks for its row of a batch.
create index sync_batch_members_of_sync on sync_batch_members (sync_id);

-- migrate:down

drop index sync_batch_members_of_sync;
drop table sync_days;
