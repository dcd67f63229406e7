// Validates foreign resources (a JSON list on standard input) by the schemas of their projects; prints what is not valid.
"use strict";
const { readFileSync } = require("node:fs");
const { join } = require("node:path");

const PACKAGES = {
  "cert-manager.io": "cert-manager",
  "gateway.networking.k8s.io": "gateway-api",
  "keda.sh": "keda",
  "monitoring.coreos.com": "prometheus-operator",
};
const wrong = [];
for (const each of JSON.parse(readFileSync(0, "utf8"))) {
  const group = each.apiVersion.split("/")[0];
  // By its path, because one of the packages does not export it by name.
  const path = join(process.argv[2], "@kubernetes-models", PACKAGES[group], each.apiVersion, `${each.kind}.js`);
  const kind = require(path)[each.kind];
  try {
    new kind(each).validate();
  } catch (error) {
    wrong.push(`${each.kind}/${each.metadata.name}: ${error.message}`);
  }
}
process.stdout.write(JSON.stringify(wrong));
