-- migrate:up

-- Parts of an account that no wallet contains, such as loans, as a sync found them last, with the code of a later look that failed.
-- `listed` is null if none succeeded. No amount of it is in any total.
create table uncovered (
    account_id  uuid not null references accounts on delete cascade,
    part        text not null,
    name        text not null,
    sync_number bigint not null,
    as_of       timestamptz,
    error_code  text,
    listed      jsonb,
    primary key (account_id, part)
);
grant select, insert, update, delete on uncovered to butler_gateway;

-- A trigger deletes them with their account, because a gateway of the version before, which does not know them, deletes accounts, too.
create function forget_uncovered() returns trigger language plpgsql as $$
begin
    delete from uncovered where account_id = new.id;
    return null;
end
$$;
create trigger account_uncovered_forgotten after update of deleted_at on accounts
    for each row when (new.deleted_at is not null) execute function forget_uncovered();

-- migrate:down

drop trigger account_uncovered_forgotten on accounts;
drop function forget_uncovered;
drop table uncovered;
