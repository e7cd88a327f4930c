// Builds the dashboard and writes it as C++ (assets.h): node build.mjs OUT.cpp. Needs node_modules beside package.json.
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const out = process.argv[2];
if (!out) {
  console.error('node build.mjs OUT.cpp');
  process.exit(2);
}

const made = await build({
  entryPoints: { app: 'src/main.tsx' },
  bundle: true,
  minify: true,
  write: false,
  outdir: 'assets',
  format: 'esm',
  target: ['chrome100', 'firefox100', 'safari15'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'eof',
  logLevel: 'warning',
});
const assets = [
  { path: '/', type: 'text/html; charset=utf-8', body: readFileSync('src/index.html') },
  ...made.outputFiles.map((file) => ({
    path: '/assets/' + file.path.split(/[\\/]/).pop(),
    type: file.path.endsWith('.css') ? 'text/css; charset=utf-8' : 'text/javascript; charset=utf-8',
    body: Buffer.from(file.contents),
  })),
];

// Bytes as C++.
function array(name, bytes) {
  let text = `constexpr unsigned char ${name}[] = {`;
  for (let at = 0; at < bytes.length; at += 32) text += '\n  ' + [...bytes.subarray(at, at + 32)].join(',') + ',';
  return text + '\n};\n';
}

let bytes = '';
let table = '';
let total = 0;
assets.forEach(({ path, type, body }, i) => {
  const packed = gzipSync(body, { level: 9 });
  total += packed.length;
  const tag = createHash('sha256').update(body).digest('hex').slice(0, 16);
  bytes += array(`kBody${i}`, body) + array(`kPacked${i}`, packed);
  table += `      {"${path}", "${type}", "\\"${tag}\\"", view(kBody${i}), view(kPacked${i})},\n`;
});
writeFileSync(
  out,
  `#include "cloud/dashboard/assets.h"

namespace egret::cloud {
namespace {

${bytes}
template <size_t n>
std::string_view view(const unsigned char (&bytes)[n]) {
  return {reinterpret_cast<const char*>(bytes), n};
}

}  // namespace

std::span<const DashboardAsset> dashboard_assets() {
  static const DashboardAsset all[] = {
${table}  };
  return all;
}

}  // namespace egret::cloud
`,
);
console.log(`dashboard: ${assets.length} files, ${total} bytes compressed`);
