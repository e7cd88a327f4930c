// Two FHIR clients of others do their round against the facade.
//   node clients.mjs BASE TOKEN PATIENT
import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { Client } from "fhir-kit-client";

const { FhirClient } = createRequire(import.meta.url)("fhirclient");
const [base, token, patient] = process.argv.slice(2);
const isMatch = (entry) => entry.search.mode === "match";

async function kit() {
  const client = new Client({ baseUrl: base, bearerToken: token });
  const statement = await client.capabilityStatement();
  assert.equal(statement.fhirVersion, "4.0.1");
  const made = await client.create({ resourceType: "Patient", body: { resourceType: "Patient", identifier: [{ system: "urn:kit", value: "1" }], gender: "female" } });
  const read = await client.read({ resourceType: "Patient", id: made.id });
  assert.deepEqual(read, made);
  const updated = await client.update({ resourceType: "Patient", id: made.id, body: { ...read, gender: "male" } });
  assert.equal(updated.meta.versionId, "2");
  assert.equal((await client.vread({ resourceType: "Patient", id: made.id, version: "1" })).gender, "female");
  const patched = await client.patch({ resourceType: "Patient", id: made.id, jsonPatch: [{ op: "replace", path: "/gender", value: "other" }] });
  assert.equal(patched.gender, "other");
  assert.equal((await client.resourceHistory({ resourceType: "Patient", id: made.id })).total, 3);
  assert.ok((await client.typeHistory({ resourceType: "Patient" })).entry.length >= 3);
  const searchParams = { identifier: "urn:kit|1" };
  for (const options of [{}, { postSearch: true }]) {
    const found = await client.search({ resourceType: "Patient", searchParams, options });
    assert.deepEqual(found.entry.map((entry) => entry.resource.id), [made.id]);
  }
  let seen = 0;
  for (let page = await client.search({ resourceType: "Observation", searchParams: { patient, _count: 1 } }); page; page = await client.nextPage({ bundle: page })) {
    seen += (page.entry ?? []).filter(isMatch).length;
  }
  assert.equal(seen, 3);
  const fullUrl = "urn:uuid:00000000-0000-4000-8000-000000000001";
  const transaction = await client.transaction({ body: { resourceType: "Bundle", type: "transaction", entry: [
    { fullUrl, resource: { resourceType: "Patient", active: true }, request: { method: "POST", url: "Patient" } },
    { resource: { resourceType: "Observation", status: "final", code: { text: "pulse" }, subject: { reference: fullUrl } }, request: { method: "POST", url: "Observation" } }] } });
  assert.deepEqual(transaction.entry.map((entry) => entry.response.status), ["201 Created", "201 Created"]);
  await assert.rejects(client.read({ resourceType: "Patient", id: "nobody" }), (error) => JSON.stringify(error.response ?? error).includes("OperationOutcome"));
}

async function smart() {
  const client = new FhirClient(base);
  client.getRequestDefaults = async () => ({ headers: { authorization: `Bearer ${token}`, accept: "application/json" } });
  let seen = 0;
  for await (const page of client.pages(`Observation?patient=${patient}&_count=1&_include=Observation:device`)) {
    seen += (page.entry ?? []).filter(isMatch).length;
  }
  assert.equal(seen, 3);
  const made = await client.create({ resourceType: "Patient", identifier: [{ system: "urn:smart", value: "1" }] });
  const updated = await client.update({ ...made, gender: "female" });
  assert.equal(updated.meta.versionId, "2");
  assert.equal((await client.fhirRequest(`Patient/${made.id}`)).gender, "female");
  await assert.rejects(client.fhirRequest("Patient/nobody"));
}

await kit();
await smart();
console.log("ok");
