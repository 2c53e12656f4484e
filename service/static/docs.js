/** Renders /openapi.json: every route with its parameters, bodies, answers and a line to try it with. */

import { get } from "./api.js";
import { explain } from "./words.js";

const SAMPLES = { // what to send as a body, by media type, in the order of preference
  "multipart/form-data": (schema) => `-F ${Object.keys(schema.properties)[0]}=@seven.png`,
  "application/json": (schema, example) => `-H 'Content-Type: application/json' -d '${JSON.stringify(example)}'`,
  "application/octet-stream": () => "-H 'Content-Type: application/octet-stream' --data-binary @body.bin",
};

let schemas = {};

/** An element with properties and children; text goes in as text. */
function el(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.flat().filter((child) => child != null));
  return element;
}

/** Map.groupBy, which browsers have only had since 2024. */
function groupBy(items, key) {
  const groups = new Map();
  for (const item of items) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return groups;
}

const code = (text) => el("code", {}, text);
const prose = (text = "") => text.split(/`([^`]*)`/).map((part, index) => (index % 2 ? code(part) : part));
const anchor = (method, path) => `${method}${path.replace(/\W+/g, "-")}`;

function resolve(schema = {}) {
  return schema.$ref ? resolve(schemas[schema.$ref.split("/").pop()]) : schema;
}

/** The name of a type, as a reader would say it. */
function type(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.anyOf) return schema.anyOf.map(type).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(", ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${type(schema.items)}`;
  return schema.format === "binary" ? "file" : (schema.type ?? "any");
}

/** An example of a schema: its own, or one put together of its members'. */
function example(schema, depth = 0) {
  const resolved = resolve(schema);
  const own = schema?.example ?? schema?.examples?.[0] ?? resolved.example ?? resolved.examples?.[0] ?? resolved.default;
  if (own !== undefined) return own;
  if (depth > 6) return null;
  const options = resolved.anyOf;
  if (options) return example(options.find(({ type }) => type !== "null") ?? options[0], depth + 1);
  if (resolved.enum) return resolved.enum[0];
  if (resolved.properties) {
    return Object.fromEntries(Object.entries(resolved.properties).map(([name, member]) => [name, example(member, depth + 1)]));
  }
  if (resolved.type === "array") return [example(resolved.items, depth + 1)];
  return { string: "…", integer: 0, number: 0, boolean: true, object: {} }[resolved.type] ?? null;
}

function table(label, rows) {
  const body = rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row" }, ...[first].flat()), rest.map((cell) => el("td", {}, cell))));
  const scroll = el("div", { className: "scroll", tabIndex: 0 });
  scroll.setAttribute("role", "group");
  scroll.setAttribute("aria-label", label);
  scroll.append(el("table", {}, el("tbody", {}, body)));
  return scroll;
}

function section(title, content) {
  return content && [el("h3", {}, title), content];
}

function parameters({ parameters = [] }) {
  if (!parameters.length) return null;
  return table("Parameters", parameters.map((parameter) => [code(parameter.name), type(parameter.schema), description(parameter)]));
}

function description({ required, description: text, schema = {} }) {
  const fallback = schema.default === undefined ? null : [" Default: ", code(JSON.stringify(schema.default)), "."];
  return [...prose(text ?? schema.description), required ? " Required." : null, ...(fallback ?? [])];
}

function members(name) {
  const { properties, description: text } = schemas[name] ?? {};
  if (!properties) return null;
  const rows = Object.entries(properties).map(([member, schema]) => [code(member), type(schema), prose(schema.description)]);
  return el("details", {}, el("summary", {}, name), text ? el("p", {}, prose(text)) : null, table(name, rows));
}

/** The schemas that a schema names, and those that they name. */
function named(schema, found = new Set()) {
  for (const [, name] of JSON.stringify(schema ?? {}).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
    if (!found.has(name)) named(schemas[name], found.add(name));
  }
  return [...found];
}

function requestBody({ requestBody: body }) {
  if (!body) return null;
  const alike = groupBy(Object.entries(body.content), ([, { schema }]) => JSON.stringify(schema));
  const rows = [...alike.values()].map((entries) => {
    const [, { schema }] = entries[0];
    return [entries.map(([media]) => el("div", {}, code(media))), fields(schema) || type(schema)];
  });
  return el("div", {}, el("p", {}, prose(body.description)), table("Bodies", rows), named(body).map(members));
}

function fields(schema) {
  const names = Object.keys(schema?.properties ?? {});
  return names.length ? [names.length > 1 ? "fields " : "field ", names.map((name) => code(name))].flat() : "";
}

function responses({ responses: all }) {
  const rows = Object.entries(all).map(([status, { description: text, content }]) => [status, Object.keys(content ?? {}).join(", "), prose(text)]);
  const schema = all[200]?.content?.["application/json"]?.schema;
  const answer = schema && el("details", {}, el("summary", {}, "Example of an answer"), el("pre", { tabIndex: 0 }, JSON.stringify(example(schema), null, 2)));
  return el("div", {}, table("Answers", rows), answer, named(schema).map(members));
}

function curl(method, path, { requestBody: body }) {
  const address = new URL(`.${path}`, document.baseURI).href;
  const media = Object.keys(SAMPLES).find((each) => body?.content[each]);
  const verb = method === "get" || media ? "" : `-X ${method.toUpperCase()} `;
  const { schema, example: own } = body?.content[media] ?? {};
  const sample = media ? `${SAMPLES[media](resolve(schema), own ?? example(schema))} ` : "";
  return el("pre", { tabIndex: 0 }, `curl ${verb}${sample}${address}`);
}

function route(path, method, operation) {
  return el("section", { className: "route", id: anchor(method, path) },
    el("h2", {}, el("span", { className: "method" }, method), path),
    el("p", {}, prose(operation.summary)),
    operation.description ? el("p", {}, prose(operation.description)) : null,
    section("Try it", curl(method, path, operation)),
    section("Query", parameters(operation)),
    section("Body", requestBody(operation)),
    section("Answers", responses(operation)),
  );
}

function show(document_) {
  schemas = document_.components?.schemas ?? {};
  document.getElementById("version").textContent = document_.info.version;
  const operations = Object.entries(document_.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })));
  const groups = groupBy(operations, ({ operation }) => operation.tags?.at(-1) ?? "other");
  for (const [tag, all] of groups) {
    const links = all.map(({ path, method }) => el("a", { href: `#${anchor(method, path)}` }, path));
    document.getElementById("contents").append(el("h2", {}, tag), ...links);
  }
  const routes = document.getElementById("routes");
  routes.append(...[...groups.values()].flat().map(({ path, method, operation }) => route(path, method, operation)));
  routes.setAttribute("aria-busy", "false");
  if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
}

try {
  show(await get("openapi.json"));
} catch (error) {
  const [headline, text] = explain(error);
  document.getElementById("problem").append(el("strong", {}, headline), ` ${text}`);
}
