// An independent reader of what the facade emitted: each line of the file is a resource; each must be valid FHIR R4.
//   node validate.mjs FILE.ndjson
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { Fhir } = createRequire(import.meta.url)("fhir");
const fhir = new Fhir();
let wrong = 0;
const counted = {};
for (const line of readFileSync(process.argv[2], "utf8").split("\n").filter(Boolean)) {
  const resource = JSON.parse(line);
  const { messages } = fhir.validate(resource, { errorOnUnexpected: true });
  counted[resource.resourceType] = (counted[resource.resourceType] ?? 0) + 1;
  for (const message of messages.filter((m) => m.severity === "error" || m.severity === "fatal")) {
    wrong += 1;
    console.error(`${resource.resourceType}/${resource.id}: ${message.location}: ${message.message}`);
  }
}
console.log(JSON.stringify(counted));
process.exit(wrong === 0 && Object.keys(counted).length > 0 ? 0 : 1);
