-- migrate:up

-- How often a user or a client address did something in its window of time, which begins with the first time.
create table rate_limits (
    policy  text not null,
    subject text not null,
    used    integer not null,
    ends_at timestamptz not null,
    primary key (policy, subject)
);
create index on rate_limits (ends_at);

-- Logins in a row without success, also for addresses that nobody has registered: those stand here as a hash only.
create table login_failures (
    email_hash    bytea primary key,
    failures      integer not null,
    attempted_at  timestamptz not null,
    blocked_until timestamptz not null
);
create index on login_failures (attempted_at);

grant select, insert, update, delete on rate_limits, login_failures to butler_gateway;

-- migrate:down

drop table login_failures, rate_limits;
