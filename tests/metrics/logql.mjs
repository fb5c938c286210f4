// Reads queries as a JSON array from stdin; prints, for each, where Grafana's grammar of LogQL finds an error.
// node logql.mjs NODE_MODULES
import { readFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const { parser } = await import(pathToFileURL(`${process.argv[2]}/@grafana/lezer-logql/index.es.js`));
const errors = JSON.parse(readFileSync(0, "utf8")).map((query) => {
  const found = [];
  parser.parse(query).iterate({ enter: (node) => { if (node.type.isError) found.push(node.from); } });
  return found;
});
console.log(JSON.stringify(errors));
