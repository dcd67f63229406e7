-- migrate:up

-- The span that wrote a message (W3C Trace Context), so that its publication continues the trace; null without tracing, and
-- from gateways of the version before.
alter table outbox add column traceparent text;

-- migrate:down

alter table outbox drop column traceparent;
