// Reads the server's own OpenAPI and AsyncAPI documents and lays them out. Nothing comes from anywhere else.

import { h } from "../dom.js";

const main = document.getElementById("main");
const METHODS = ["get", "post", "put", "patch", "delete"];

start();

async function start() {
  try {
    const [api, sockets] = await Promise.all(["openapi", "asyncapi"].map(read));
    draw(api, sockets);
  } catch (error) {
    main.replaceChildren(h("p", { class: "lead" }, `The document cannot be read now (${error.message}). Try again in a moment.`));
  }
}

async function read(name) {
  const answer = await fetch(`/api/v1/${name}.json`);
  if (!answer.ok) throw new Error(answer.status);
  return answer.json();
}

function draw(api, sockets) {
  const parts = api.tags.map((tag) => [tag.name, part(tag, api)]);
  parts.push(["sockets", drawSockets(sockets)], ["problems", drawProblems(api)]);
  main.replaceChildren(h("h1", {}, "The API"), about(api.info.description), ...parts.map(([, section]) => section));
  document.getElementById("parts").replaceChildren(
    ...parts.map(([name]) => h("a", { href: `#${slug(name)}` }, name[0].toUpperCase() + name.slice(1))));
  document.getElementById("find").addEventListener("input", (event) => find(event.target.value));
  addEventListener("hashchange", open);
  open();
}

function open() {
  const place = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (place?.matches("details")) place.open = true;
  place?.scrollIntoView();
}

function find(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const section of main.querySelectorAll(".chapter")) {
    let shown = 0;
    for (const item of section.querySelectorAll("[data-words]")) {
      item.hidden = !words.every((word) => item.dataset.words.includes(word));
      shown += !item.hidden;
    }
    section.hidden = words.length > 0 && shown === 0;
  }
}

function part(tag, api) {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) => METHODS
    .filter((method) => methods[method]?.tags.includes(tag.name))
    .map((method) => operation(method, path, methods[method], api)));
  return h("section", { class: "chapter", id: slug(tag.name) }, h("h2", {}, tag.name), h("p", {}, tag.description), ...operations);
}

function operation(method, path, told, api) {
  const body = h("div", { class: "body" });
  const item = h("details", {
    class: told.deprecated ? "operation old" : "operation", id: told.operationId,
    "data-words": `${method} ${path} ${told.summary} ${told.tags}`.toLowerCase(),
    ontoggle: () => { if (item.open && !body.firstChild) body.append(...inside(method, path, told, api)); },
  }, h("summary", {}, h("span", { class: "method" }, method.toUpperCase()), h("span", { class: "path" }, path), h("span", { class: "gist" }, told.summary)), body);
  return item;
}

function* inside(method, path, told, api) {
  if (told["x-alias-of"]) yield h("p", { class: "note" }, "Another address of ", h("code", {}, told["x-alias-of"]), ".");
  if (told.description) yield h("p", {}, told.description);
  yield h("p", { class: "note" }, access(told));
  const parameters = told.parameters.map((parameter) => resolve(parameter, api));
  if (parameters.length) yield block("Parameters", table(parameters, api));
  const schema = told.requestBody?.content["application/json"]?.schema;
  if (schema) yield block(told.requestBody.required ? "Body" : "Body, may be absent", fields(schema, api));
  yield block("Answers", answers(told, api));
  yield block("On the command line", curl(method, path, told, parameters, api));
}

function access(told) {
  if (told["x-roles"]) return `For ${told["x-roles"].map((role) => role.replace("_", " ")).join(", ")}.`;
  return told.security.some((way) => !way.token) || !told.security.length ? "For everybody, with or without a token." : "For everybody with a token, guests too.";
}

function block(title, content) {
  return h("div", {}, h("h3", {}, title), content);
}

function table(parameters, api) {
  return h("div", { class: "table" }, h("table", {}, ...parameters.map((parameter) => h("tr", {},
    h("th", { scope: "row" }, h("code", {}, parameter.name), parameter.required ? h("span", { class: "must" }, "needed") : null),
    h("td", { class: "kind" }, kind(parameter.schema, api)),
    h("td", { class: "note" }, `in the ${parameter.in}. `, marked(parameter.description ?? ""))))));
}

function fields(schema, api, seen = []) {
  const whole = resolve(schema, api);
  if (whole.type === "array") return fields(whole.items, api, seen);
  const names = Object.entries(whole.properties ?? {});
  if (!names.length) return h("p", { class: "kind" }, kind(schema, api));
  return h("div", {}, whole.description ? h("p", { class: "note" }, marked(whole.description)) : null,
    h("div", { class: "fields" }, ...names.map(([name, value]) => field(name, value, whole.required?.includes(name), api, seen))));
}

function field(name, value, needed, api, seen) {
  const head = [h("code", {}, name), " ", h("span", { class: "kind" }, kind(value, api)), needed ? null : h("span", { class: "note" }, ", may be absent")];
  const about = value.description ? h("div", { class: "note" }, marked(value.description)) : null;
  const inner = target(value);
  if (!inner || seen.includes(inner) || !resolve({ $ref: inner }, api).properties) return h("div", {}, ...head, about);
  const more = h("details", { ontoggle: () => { if (more.open && !more.querySelector(".fields")) more.append(fields({ $ref: inner }, api, [...seen, inner])); } }, h("summary", {}, ...head), about);
  return more;
}

function target(value) {
  if (value.$ref) return value.$ref;
  if (value.items) return target(value.items);
  return (value.anyOf ?? []).map(target).find(Boolean);
}

function kind(schema, api) {
  if (!schema || !Object.keys(schema).length) return "anything";
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map((option) => kind(option, api)).join(" | ");
  if (schema.type === "array") return `[${kind(schema.items, api)}]`;
  const bounds = [["minimum", "≥"], ["maximum", "≤"], ["minLength", "length ≥"], ["maxLength", "length ≤"], ["default", "default"]]
    .filter(([name]) => name in schema).map(([name, sign]) => `${sign} ${JSON.stringify(schema[name])}`);
  return [schema.format ?? schema.type ?? "object", ...bounds].join(", ");
}

function answers(told, api) {
  return h("div", {}, ...Object.entries(told.responses).map(([status, answer]) => {
    const [type, content] = Object.entries(answer.content ?? {})[0] ?? [];
    const problem = type === "application/problem+json";
    return h("div", { class: "status" }, h("b", {}, status), problem ? codes(answer.description)
      : h("div", {}, content ? fields(content.schema, api) : h("span", { class: "note" }, answer.description)));
  }));
}

function codes(description) {
  return h("ul", { class: "codes" }, ...description.split("\n").map((line) => {
    const [, code, sentence] = line.match(/^\* `(\w+)`: (.*)$/) ?? [null, line, ""];
    return h("li", {}, h("code", {}, code), " ", h("span", {}, sentence));
  }));
}

function curl(method, path, told, parameters, api) {
  const lines = [`curl -X ${method.toUpperCase()} ${location.origin}${path}`];
  if (told.security.some((way) => way.token)) lines.push("-H \"Authorization: Bearer $TOKEN\"");
  if (parameters.some((parameter) => parameter.name === "Idempotency-Key")) lines.push("-H \"Idempotency-Key: $(uuidgen)\"");
  const schema = told.requestBody?.content["application/json"]?.schema;
  if (schema) lines.push("-H \"Content-Type: application/json\"", `-d '${JSON.stringify(example(schema, api, 0))}'`);
  const text = lines.join(" \\\n  ");
  const copy = h("button", { class: "plain", type: "button", onclick: async () => { await navigator.clipboard.writeText(text); copy.textContent = "Copied"; } }, "Copy");
  return h("div", { class: "ask" }, h("pre", { tabindex: "0" }, text), copy);
}

function example(schema, api, depth) {
  const whole = resolve(schema, api);
  if (whole.examples) return whole.examples[0];
  if ("default" in whole && whole.default !== null) return whole.default;
  if (whole.enum) return whole.enum[0];
  if ("const" in whole) return whole.const;
  if (whole.anyOf) return example(whole.anyOf[0], api, depth);
  if (whole.type === "array") return depth > 3 ? [] : [example(whole.items, api, depth + 1)];
  if (whole.properties) {
    const needed = whole.required ?? Object.keys(whole.properties).slice(0, 2);
    return Object.fromEntries(needed.map((name) => [name, example(whole.properties[name], api, depth + 1)]));
  }
  return { integer: whole.minimum ?? 1, number: 1, boolean: true, object: {} }[whole.type] ?? "…";
}

function resolve(thing, api) {
  if (!thing?.$ref) return thing ?? {};
  const found = thing.$ref.slice(2).split("/").reduce((inner, name) => inner?.[name], api) ?? {};
  return { ...found, ...thing, $ref: undefined };
}

function drawSockets(doc) {
  const channels = Object.entries(doc.channels).map(([name, channel]) => h("details", { class: "operation", id: `socket-${name}`, "data-words": `websocket ${channel.address} ${Object.keys(channel.messages).join(" ")}` },
    h("summary", {}, h("span", { class: "method" }, "WS"), h("span", { class: "path" }, channel.address), h("span", { class: "gist" }, channel.description)),
    h("div", { class: "body" },
      block("The server says", messages(doc, doc.operations[`${name}_tells`])),
      block("You say", messages(doc, doc.operations[`${name}_hears`])))));
  return h("section", { class: "chapter", id: "sockets" }, h("h2", {}, "sockets"), about(doc.info.description), ...channels);
}

function messages(doc, operation) {
  return h("div", {}, ...operation.messages.map((ref) => {
    const message = resolve(resolve(ref, doc), doc);
    return h("div", { class: "status" }, h("b", {}, ""), h("div", {}, h("code", {}, message.name), fields(message.payload, doc)));
  }));
}

function drawProblems(api) {
  const all = new Map();
  for (const methods of Object.values(api.paths)) for (const told of Object.values(methods)) for (const [status, answer] of Object.entries(told.responses)) {
    if (!answer.content?.["application/problem+json"]) continue;
    for (const line of answer.description.split("\n")) all.set(line, status);
  }
  const rows = [...all].sort(([a, x], [b, y]) => x - y || a.localeCompare(b)).map(([line, status]) => {
    const item = h("div", { class: "status", "data-words": `${status} ${line}`.toLowerCase() }, h("b", {}, status), codes(line));
    return item;
  });
  return h("section", { class: "chapter", id: "problems" }, h("h2", {}, "problems"), h("p", {}, "Every code, its status and what it means."), ...rows);
}

function about(text) {
  return h("div", { class: "about" }, ...text.trim().split("\n\n").map((paragraph) => h("p", {}, marked(paragraph.replaceAll("\n", " ")))));
}

// The little Markdown that descriptions use: code, strong words and links of this site.
function marked(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[^\]]+\]\(\/[^)]+\))/).map((piece) => {
    if (piece.startsWith("`")) return h("code", {}, piece.slice(1, -1));
    if (piece.startsWith("**")) return h("strong", {}, piece.slice(2, -2));
    const link = piece.match(/^\[([^\]]+)\]\((\/[^)]+)\)$/);
    return link ? h("a", { href: link[2] }, link[1]) : piece;
  });
}

function slug(name) {
  return name.replaceAll(" ", "-");
}
