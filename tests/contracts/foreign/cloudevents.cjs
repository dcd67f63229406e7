// Reads messages ([{headers, body}]) from stdin by the NATS binding (binary mode), and holds each to the
// JSON Schema of CloudEvents that the CloudEvents SDK has compiled in.
const { readFileSync } = require('node:fs');
const { CloudEvent } = require('cloudevents');

const PREFIX = 'ce-';

function event({ headers, body }) {
  const attributes = {};
  for (const [name, value] of Object.entries(headers)) {
    if (name.toLowerCase().startsWith(PREFIX)) {
      attributes[name.slice(PREFIX.length).toLowerCase()] = decodeURIComponent(value);
    }
  }
  return new CloudEvent({ ...attributes, data: JSON.parse(body) }, true);
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map((message) => {
  try {
    return { read: event(message).toJSON() };
  } catch (error) {
    return { refused: `${error.message} ${JSON.stringify(error.errors ?? '')}` };
  }
})));
