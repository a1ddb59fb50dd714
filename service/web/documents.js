// The sheet of documents: what a collection holds, and what is added to it and deleted from it.

import { authorization, call, json, place } from "./calls.js";
import { loadCollections, picker } from "./collections.js";
import { closable, failure, make } from "./elements.js";
import { openSource } from "./source.js";

const OFFICE = "application/vnd.openxmlformats-officedocument.";
const KINDS = {
  "text/plain": "text", "text/markdown": "Markdown", "text/html": "HTML", "application/pdf": "PDF", "text/csv": "CSV",
  "text/tab-separated-values": "TSV", "text/x-rst": "reStructuredText", "application/epub+zip": "EPUB",
  "application/x-ndjson": "JSON lines", "message/rfc822": "e-mail", [`${OFFICE}wordprocessingml.document`]: "Word",
  [`${OFFICE}presentationml.presentation`]: "PowerPoint", [`${OFFICE}spreadsheetml.sheet`]: "Excel",
};
const TYPES = {
  txt: "text/plain", text: "text/plain", md: "text/markdown", markdown: "text/markdown", html: "text/html", htm: "text/html",
  xhtml: "application/xhtml+xml", pdf: "application/pdf", docx: `${OFFICE}wordprocessingml.document`,
  pptx: `${OFFICE}presentationml.presentation`, xlsx: `${OFFICE}spreadsheetml.sheet`, xlsm: `${OFFICE}spreadsheetml.sheet`,
  csv: "text/csv", tsv: "text/tab-separated-values", rst: "text/x-rst", epub: "application/epub+zip",
  jsonl: "application/x-ndjson", ndjson: "application/x-ndjson", eml: "message/rfc822",
};

const sheet = document.getElementById("documents");
let nextDocuments = null;

async function listDocuments(cursor = null) {
  const list = document.getElementById("document-list");
  if (cursor === null) list.replaceChildren();
  try {
    const path = `${place(picker.value)}/documents?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ""}`;
    const { items, next_cursor } = await json(path);
    list.append(...items.map(documentItem));
    nextDocuments = next_cursor;
    document.getElementById("more-documents").hidden = next_cursor === null;
    tellDocuments();
  } catch (problem) {
    list.replaceChildren(make("li", {}, failure(problem)));
  }
}

function tellDocuments() {
  const shown = document.getElementById("document-list").childElementCount;
  document.getElementById("documents-count").textContent = `${shown}${nextDocuments ? " and more" : ""} in ${picker.value}`;
}

function documentItem(record) {
  const kind = KINDS[record.media_type] ?? record.media_type;
  const open = make("button", { type: "button", class: "open" }, make("span", { class: "title" }, record.title ?? record.document_id),
    make("span", { class: "quiet" }, `${record.document_id} · ${kind} · ${record.characters.toLocaleString("en")} characters · ${record.passages} ${record.passages === 1 ? "passage" : "passages"}`),
    ...record.warnings.map((warning) => make("span", { class: "quiet" }, ` · ${warning}`)));
  open.addEventListener("click", () => openSource(record));
  const item = make("li", {}, open);
  item.append(deleteButton(record, item));
  return item;
}

// Asks back on the button itself, until it is left.
function deleteButton(record, item) {
  const label = make("span", {}, "Delete");
  const button = make("button", { type: "button", class: "plain" }, label, make("span", { class: "unseen" }, ` ${record.title ?? record.document_id}`));
  const ask = (asks) => { label.textContent = asks ? "Really delete?" : "Delete"; button.classList.toggle("asks", asks); };
  button.addEventListener("blur", () => ask(false));
  button.addEventListener("click", async () => {
    if (!button.classList.contains("asks")) return ask(true);
    button.disabled = true;
    try {
      await call(`${place(record.collection)}/documents/${encodeURIComponent(record.document_id)}`, { method: "DELETE" });
      (item.nextElementSibling ?? item.previousElementSibling)?.querySelector(".open").focus();
      item.remove();
      tellDocuments();
      await loadCollections();
    } catch (problem) {
      button.disabled = false;
      item.append(failure(problem));
    }
  });
  return button;
}

// Adding files

function documentId(name) {
  if (/^[A-Za-z0-9._~-]{1,200}$/.test(name) && !/^\.{1,2}$/.test(name)) return name;
  let hash = 2166136261;
  for (const character of name) hash = Math.imul(hash ^ character.codePointAt(0), 16777619) >>> 0;
  const slug = name.normalize("NFKD").replace(/[^A-Za-z0-9._~-]+/g, "-").replace(/^[-.~]+|[-.~]+$/g, "").slice(0, 80);
  return [slug, hash.toString(16).padStart(8, "0")].filter(Boolean).join("-");
}

async function addFiles(files) {
  for (const file of files) await addFile(file);
  await Promise.all([listDocuments(), loadCollections()]);
}

async function addFile(file) {
  const type = TYPES[file.name.split(".").pop().toLowerCase()] ?? file.type;
  const state = make("span", { class: "quiet" }, "sending");
  const progress = make("progress", { max: 1, value: 0, ariaLabel: `Progress of ${file.name}` });
  const line = make("li", {}, make("span", {}, file.name), state, progress);
  document.getElementById("uploads").append(line);
  try {
    const receipt = await send(file, type, progress);
    const done = receipt.job_id ? await finished(receipt.job_id, progress, state) : receipt;
    state.textContent = done.unchanged ? "was already there" : "searchable";
    progress.remove();
    line.append(...done.warnings.map((warning) => make("p", { class: "quiet" }, warning)));
  } catch (problem) {
    state.textContent = "";
    progress.replaceWith(failure(problem));
  }
}

// XMLHttpRequest, since fetch does not tell how much of a body is sent.
function send(file, type, progress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("PUT", `${place(picker.value)}/documents/${documentId(file.name)}`);
    request.setRequestHeader("Content-Type", type || "application/octet-stream");
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = (event) => { if (event.lengthComputable) progress.value = event.loaded / event.total; };
    request.upload.onload = () => progress.removeAttribute("value");
    request.onload = () => (request.status < 300 ? resolve : reject)(request.response ?? { title: `The service answered ${request.status}.` });
    request.onerror = () => reject({ title: "The file could not be sent.", detail: "It may be too large, or the service has stopped." });
    request.send(file);
  });
}

async function finished(jobId, progress, state) {
  for (;;) {
    const job = await json(`/v1/jobs/${jobId}`);
    if (job.state === "succeeded") return { unchanged: false, warnings: job.items[0].warnings };
    if (job.state === "failed" || job.state === "cancelled") throw { title: `Not added: ${job.items[0]?.problem ?? job.state}` };
    state.textContent = "reading";
    if (job.total) progress.value = job.done / job.total;
    await new Promise((wake) => setTimeout(wake, 500));
  }
}

// What the hand does

closable(sheet);
document.getElementById("show-documents").addEventListener("click", () => {
  sheet.showModal();
  listDocuments();
});
document.getElementById("more-documents").addEventListener("click", () => listDocuments(nextDocuments));
document.getElementById("files").addEventListener("change", (event) => addFiles([...event.target.files]));
const drop = document.getElementById("drop");
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") addFiles([...event.dataTransfer.files]);
  });
}
