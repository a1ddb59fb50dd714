// Renders /openapi.json readably: calls by topic, with parameters, bodies, examples and answers.

import { make } from "./elements.js";

const METHODS = ["get", "post", "put", "delete"];

const table = (rows) =>
  make("table", {}, make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell) => make("td", {}, ...(typeof cell === "string" ? worded(cell) : [cell])))))));
const code = (text) => make("code", {}, text);
const block = (value) => make("pre", {}, make("code", {}, typeof value === "string" ? value : JSON.stringify(value, null, 2)));

// Only the code between backticks is set apart.
const worded = (text) => (text ?? "").split("`").map((part, index) => (index % 2 ? code(part) : part));

function typeOf(schema, schemas) {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.split("/").pop().replace(/(Model|Body)$/, "");
  if (schema.anyOf) return schema.anyOf.map((one) => typeOf(one, schemas)).join(" or ");
  if (schema.enum) return schema.enum.map((one) => JSON.stringify(one)).join(", ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeOf(schema.items, schemas) || "anything"}`;
  return schema.format ?? (Array.isArray(schema.type) ? schema.type.join(" or ") : schema.type) ?? "any value";
}

function rules(schema) {
  const bounds = [["minimum", "at least"], ["exclusiveMinimum", "more than"], ["maximum", "at most"], ["exclusiveMaximum", "less than"],
    ["maxLength", "characters at most"], ["maxItems", "items at most"], ["pattern", "like"]];
  const parts = [schema, ...(schema?.anyOf ?? [])];
  const told = bounds.flatMap(([name, words]) => parts.filter((one) => one?.[name] !== undefined && one[name] < 2 ** 53 - 1 || typeof one?.[name] === "string")
    .map((one) => `${words} ${one[name]}`));
  if (schema?.default !== undefined && schema.default !== null) told.push(`default ${JSON.stringify(schema.default)}`);
  return told.join("; ");
}

function fields(schema, schemas) {
  const resolved = schema?.$ref ? schemas[schema.$ref.split("/").pop()] : schema?.anyOf?.find((one) => one.$ref)
    ? schemas[schema.anyOf.find((one) => one.$ref).$ref.split("/").pop()] : schema;
  const required = new Set(resolved?.required ?? []);
  const rows = Object.entries(resolved?.properties ?? {}).map(([name, one]) => [
    code(name), `${typeOf(one, schemas)}${required.has(name) ? ", needed" : ""}`, [one.description, rules(one)].filter(Boolean).join(" — "),
  ]);
  return rows.length ? table(rows) : null;
}

function titled(title, ...content) {
  const shown = content.filter(Boolean);
  return shown.length ? [make("h3", {}, title), ...shown] : [];
}

function call(path, method, operation, schemas) {
  const parameters = (operation.parameters ?? []).map((one) => [
    code(one.name), `${typeOf(one.schema, schemas)}, in the ${one.in}`, [one.description, rules(one.schema)].filter(Boolean).join(" — "),
  ]);
  const body = operation.requestBody?.content ?? {};
  const json = body["application/json"];
  const answers = Object.entries(operation.responses).map(([status, one]) => [code(status), Object.keys(one.content ?? {}).join(", "), one.description]);
  const success = Object.values(operation.responses).map((one) => one.content?.["application/json"]).find(Boolean);
  return make("details", { class: "call", id: operation.operationId },
    make("summary", {}, make("span", { class: "verb" }, method.toUpperCase()), code(path), make("span", { class: "says" }, ...worded(operation.description))),
    make("div", {},
      ...titled("Parameters", parameters.length ? table(parameters) : null),
      ...titled(`Body: ${Object.keys(body).join(", ")}`, json ? fields(json.schema, schemas) : null),
      ...titled("For example", json?.example ? block(json.example) : null, success?.example ? block(success.example) : null),
      ...titled("Answer", success ? fields(success.schema, schemas) : null),
      ...titled("Statuses", table(answers))));
}

const shown = document.getElementById("calls");
try {
  const key = sessionStorage.loccitKey;
  const response = await fetch("/openapi.json", { headers: key ? { Authorization: `Bearer ${key}` } : {} });
  if (!response.ok) throw new Error("refused");
  const api = await response.json();
  const topics = new Map();
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const topic = item[method].tags?.[0] ?? "More";
      topics.set(topic, [...(topics.get(topic) ?? []), call(path, method, item[method], api.components.schemas)]);
    }
  }
  const paragraphs = api.info.description.trim().split("\n\n");
  document.getElementById("description").append(...paragraphs.map((text) => make("p", {}, ...worded(text))));
  shown.replaceChildren(...[...topics].flatMap(([topic, calls]) => [make("h2", {}, topic), ...calls]));
} catch {
  shown.replaceChildren(make("p", { class: "failed" }, "The description could not be loaded. It may need the key of this service."));
}
