// Reads a Parquet file with another implementation than the one that wrote it (Arrow's in Rust, as WebAssembly), and prints
// its schema and its rows as lines of JSON; numbers as text, bytes as hex.
import fs from 'node:fs'
import { tableFromIPC } from 'apache-arrow'
import { readParquet } from 'parquet-wasm/node'

const table = tableFromIPC(readParquet(new Uint8Array(fs.readFileSync(process.argv[2]))).intoIPCStream())
const out = [JSON.stringify(table.schema.fields.map(f => [f.name, String(f.type), f.nullable]))]
for (const row of table) {
  const shown = {}
  for (const [name, value] of row) shown[name] = typeof value === 'bigint' ? String(value) : value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value
  out.push(JSON.stringify(shown))
}
fs.writeFileSync(1, out.join('\n') + '\n')
