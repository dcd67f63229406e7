// Reads an AsyncAPI document from stdin as AsyncAPI's own parser does, and tells what it found.
const { readFileSync } = require('node:fs');
const { Parser } = require('@asyncapi/parser');

const LATEST_VERSION = 'asyncapi-latest-version';

new Parser().parse(readFileSync(0, 'utf8')).then(({ document, diagnostics }) => {
  const found = diagnostics.filter(({ code }) => code !== LATEST_VERSION);
  console.log(JSON.stringify({
    diagnostics: found.map(({ code, message, path }) => `${code} at ${path.join('.')}: ${message}`),
    version: document && document.version(),
    addresses: document ? document.channels().all().map((channel) => channel.address()) : [],
  }));
});
