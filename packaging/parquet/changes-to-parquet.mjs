#!/usr/bin/env node
// Turns the lines of `egret-cloud changes` (NDJSON, with or without --records, or --csv) into one Parquet file.
// Promises: every line is a row, in order; a record is kept byte for byte as it came, digits too; the file is there whole or
// not at all, for its owner alone (0600); memory is one row group. A line that is none ends it, with its number and no
// word of what is in it. Leaves to others: the feed (cloud/api/README.md, Changes), going on from a cursor.
import fs from 'node:fs'
import { ParquetWriter, fileWriter } from 'hyparquet-writer'

const USAGE = `Usage: egret-cloud changes [--records | --csv] [--after CURSOR] | changes-to-parquet FILE.parquet
Writes what comes on its standard input to FILE.parquet, which must not be there yet; without a line there is no file.
Prints rows and the last cursor, from which the next file goes on.
Examples: egret-cloud changes --records | changes-to-parquet all.parquet
          egret-cloud changes --csv --after "$CURSOR" | changes-to-parquet today.parquet
Exit codes: 0 written; 64 usage; 65 a line is not of the feed; 73 the file cannot be made; 74 it cannot be written.
`
const GROUP_ROWS = 20_000
const GROUP_BYTES = 32 * 1024 * 1024 // of text, before it is packed
const LINE_BYTES_MAX = 64 * 1024 * 1024
const CSV_HEAD = 'cursor,change,facility,kind,epoch,stream,seq,content_sha256'

// The declared schema: a column that is not said to be optional has a value in every row.
const text = (name, optional = false) => ({ name, type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' }, repetition_type: optional ? 'OPTIONAL' : 'REQUIRED' })
const COLUMNS = [
  text('cursor'), text('change'), text('facility'), text('kind', true), text('epoch'), text('stream'),
  { name: 'seq', type: 'INT64', converted_type: 'UINT_64', repetition_type: 'REQUIRED' },
  text('content_sha256', true),
  text('record', true), // JSON, as the agent's door takes it; with --records
  { name: 'body', type: 'BYTE_ARRAY', repetition_type: 'OPTIONAL' }, // of a schema that the region does not know
]
const SCHEMA = [{ name: 'change', num_children: COLUMNS.length }, ...COLUMNS]

class Refused extends Error {
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

// A row from a line of NDJSON. The numbers of a record are not read: JavaScript's would lose digits.
export function rowOfJson(line) {
  const at = line.indexOf(',"record":')
  const head = JSON.parse(at < 0 ? line : line.slice(0, at) + '}')
  const seq = /"seq":(\d{1,20})[,}]/.exec(line)
  if (seq === null) throw new SyntaxError('no seq')
  let record = null
  if (at >= 0) {
    record = line.slice(at + ',"record":'.length, -1)
    if (!line.endsWith('}')) throw new SyntaxError('no end')
    JSON.parse(record)
  }
  const body = head.body_hex === undefined ? null : bytesOf(head.body_hex)
  return checked({ ...head, kind: head.kind ?? null, content_sha256: head.content_sha256 ?? null, seq: BigInt(seq[1]), record, body })
}

// A row from a line of CSV: no value has a comma.
export function rowOfCsv(line) {
  const parts = line.split(',')
  if (parts.length !== 8 || !/^\d{1,20}$/.test(parts[6])) throw new SyntaxError('no line')
  const [cursor, change, facility, kind, epoch, stream, seq, hash] = parts
  return checked({ cursor, change, facility, kind: kind || null, epoch, stream, seq: BigInt(seq), content_sha256: hash || null, record: null, body: null })
}

function bytesOf(hex) {
  if (typeof hex !== 'string' || !/^([0-9a-f]{2})*$/.test(hex)) throw new SyntaxError('no bytes')
  return Uint8Array.from(Buffer.from(hex, 'hex'))
}

function checked(row) {
  for (const name of ['cursor', 'change', 'facility', 'epoch', 'stream']) {
    if (typeof row[name] !== 'string' || row[name] === '') throw new SyntaxError(name)
  }
  for (const name of ['kind', 'content_sha256']) {
    if (row[name] !== null && typeof row[name] !== 'string') throw new SyntaxError(name)
  }
  if (row.seq >= 1n << 64n) throw new SyntaxError('seq')
  return row
}

// Rows of one group, and then the file.
class ChangesFile {
  constructor(path) {
    fs.closeSync(fs.openSync(path, 'wx', 0o600))
    this.path = path
    this.out = fileWriter(path)
    this.writer = new ParquetWriter({ writer: this.out, schema: SCHEMA, createdBy: 'egret changes-to-parquet' })
    this.rows = 0
    this.begin()
  }

  begin() {
    this.group = COLUMNS.map(() => [])
    this.bytes = 0
  }

  add(row, size) {
    COLUMNS.forEach((column, i) => this.group[i].push(row[column.name]))
    this.rows++
    this.bytes += size
    if (this.group[0].length >= GROUP_ROWS || this.bytes >= GROUP_BYTES) this.end()
  }

  end() {
    const size = this.group[0].length
    if (size > 0) this.writer.write({ columnData: COLUMNS.map((column, i) => ({ name: column.name, data: this.group[i] })), rowGroupSize: size })
    this.begin()
  }

  close() {
    this.end()
    this.writer.finish()
    const fd = fs.openSync(this.path, 'r')
    fs.fsyncSync(fd)
    fs.closeSync(fd)
  }
}

// Lines as they are: nothing but a line feed ends one, and the last has one too. What is not there whole is not taken.
async function* linesOf(input) {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let parts = []
  let size = 0
  let number = 1
  for await (let chunk of input) {
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10)) {
      parts.push(chunk.subarray(0, end))
      chunk = chunk.subarray(end + 1)
      try {
        yield decoder.decode(Buffer.concat(parts))
      } catch (error) {
        throw error instanceof TypeError ? new Refused(65, `line ${number}: is not UTF-8`) : error
      }
      parts = []
      size = 0
      number++
    }
    parts.push(chunk)
    size += chunk.length
    if (size > LINE_BYTES_MAX) throw new Refused(65, `line ${number}: more than ${LINE_BYTES_MAX} bytes`)
  }
  if (size > 0) throw new Refused(65, `line ${number}: is cut off; the feed ended early`)
}

async function convert(input, path) {
  const part = path + '.part'
  if (fs.existsSync(path)) throw new Refused(73, `${path}: is there already`)
  let file
  try {
    file = new ChangesFile(part)
  } catch (error) {
    throw new Refused(73, `${part}: cannot be made: ${error.code}`)
  }
  try {
    let number = 0
    let csv = false
    let last = null
    for await (const line of linesOf(input)) {
      number++
      if (number === 1 && line === CSV_HEAD) {
        csv = true
        continue
      }
      let row
      try {
        row = csv ? rowOfCsv(line) : rowOfJson(line)
      } catch {
        throw new Refused(65, `line ${number}: is no line of egret-cloud changes`)
      }
      file.add(row, line.length)
      last = row.cursor
    }
    // Without rows there is no file that every reader takes.
    if (file.rows === 0) return { rows: 0, cursor: null }
    file.close()
    // Not over a file that came meanwhile.
    fs.linkSync(part, path)
    return { rows: file.rows, cursor: last }
  } finally {
    fs.rmSync(part, { force: true })
  }
}

async function main(args) {
  if (args.length === 1 && (args[0] === '--help' || args[0] === '-h')) {
    process.stdout.write(USAGE)
    return 0
  }
  if (args.length !== 1 || args[0].startsWith('-')) {
    process.stderr.write(USAGE)
    return 64
  }
  try {
    process.stdout.write(JSON.stringify(await convert(process.stdin, args[0])) + '\n')
    return 0
  } catch (error) {
    // An error of the system has a path in it, and nothing of a line.
    process.stderr.write(`changes-to-parquet: ${error.message}\n`)
    return error instanceof Refused ? error.code : 74
  }
}

process.exitCode = await main(process.argv.slice(2))
