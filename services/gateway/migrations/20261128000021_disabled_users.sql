-- migrate:up

-- Users who may not sign in, refresh or use a token until an operator enables them. A table of its own: a new column of `users`
-- would break the prepared `select *` of every gateway that runs during the update.
create table disabled_users (
    user_id     uuid primary key references users on delete cascade,
    disabled_at timestamptz not null default now()
);

grant select, insert, update, delete on disabled_users to butler_gateway;

-- migrate:down

drop table disabled_users;
