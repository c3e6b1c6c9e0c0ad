// Joins src/ into dist/: one file as a module, for `import` and browsers, and one for `require`.
// It needs nothing but Node, since the sources only use `import { … } from "./NAME.js"` and `export`.

import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";

const source = new URL("src/", import.meta.url);
const target = new URL("dist/", import.meta.url);
const IMPORT = /^(?:import|export) \{[^}]*\} from "\.\/([a-z-]+)\.js";\n/gm;

const done = new Set();

/** Returns a module and what it imports, each once, without imports and exports. */
function joined(name) {
  if (done.has(name)) return "";
  done.add(name);
  const text = readFileSync(new URL(`${name}.js`, source), "utf8");
  const before = [...text.matchAll(IMPORT)].map(([, other]) => joined(other)).join("");
  return before + text.replace(IMPORT, "").replace(/^export /gm, "");
}

const code = joined("index");
const names = new Map();
for (const [, name] of code.matchAll(/^(?:async )?(?:function|class|const|let) (\w+)/gm)) {
  if (names.has(name)) throw new Error(`two modules have a ${name} of their own, which one file cannot`);
  names.set(name, true);
}
mkdirSync(target, { recursive: true });
writeFileSync(new URL("index.js", target), `${code}\nexport { EventLog };\n`);
writeFileSync(new URL("index.cjs", target), `"use strict";\n${code}\nexports.EventLog = EventLog;\n`);
for (const file of ["index.d.ts", "index.d.cts"]) copyFileSync(new URL("index.d.ts", source), new URL(file, target));
