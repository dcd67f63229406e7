-- migrate:up

-- A relay claims a message until `next_at`, publishes it outside of the transaction, and deletes it when the stream has
-- confirmed it. A message that was not confirmed waits until a later `next_at`; `attempts` says which claim is the last.
alter table outbox
    add column next_at  timestamptz not null default now(),
    add column attempts integer not null default 0;
create index outbox_due on outbox (stream, attempts, next_at, id);

-- migrate:down

drop index outbox_due;
alter table outbox drop column next_at, drop column attempts;
