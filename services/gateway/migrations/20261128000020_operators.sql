-- migrate:up

-- People who operate the system, apart from its users. Only the owner of the database adds and revokes them: the gateway's role
-- may not, so that a stolen gateway makes no operator. A token is never stored, only the SHA-256 of its secret.
create table operators (
    id           uuid primary key,
    name         text not null unique check (name ~ '^[a-z0-9][a-z0-9.-]{0,62}$'),
    role         text not null check (role in ('viewer', 'operator')),
    token_hash   bytea not null check (length(token_hash) = 32),
    created_at   timestamptz not null default now(),
    revoked_at   timestamptz,
    last_used_at timestamptz
);

-- Every act of an operator, and refused tokens. A table of its own: the audit's lines belong to users, and its subjects are ids.
create table operator_acts (
    id          bigint generated always as identity primary key,
    at          timestamptz not null default now(),
    operator_id uuid,
    operator    text,
    action      text not null,
    subject     text,
    address     text,
    detail      jsonb not null default '{}'
);
create trigger operator_acts_append_only before update or delete or truncate on operator_acts
    for each statement execute function audit_is_append_only();

grant select on operators to butler_gateway;
grant update (last_used_at) on operators to butler_gateway;
grant select, insert on operator_acts to butler_gateway;

-- migrate:down

drop table operator_acts, operators;
