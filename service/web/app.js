// The page. Texts of documents reach it as text only: nothing here makes markup of them.

const question = document.getElementById("question");
const picker = document.getElementById("collection");
const result = document.getElementById("result");
const announced = document.getElementById("status");
const sourceSheet = document.getElementById("source");
const documentsSheet = document.getElementById("documents");

const CONTEXT = 1500;
const LONG = 120;
const REASONS = {
  empty_collection: "This collection is still empty. Add some documents, then ask again.",
  no_passages: "Nothing in these documents comes near this question.",
  filtered_out: "The filter leaves no document to look at.",
  low_confidence: "I looked, but these documents don’t seem to answer this. Here is what comes closest.",
  unsupported_language: "I can’t read this question’s script. Another model can: see LOCCIT_ENCODER in the settings. Here is what comes closest.",
};
const OFFICE = "application/vnd.openxmlformats-officedocument.";
const KINDS = {
  "text/plain": "text", "text/markdown": "Markdown", "text/html": "HTML", "application/pdf": "PDF", "text/csv": "CSV",
  "text/tab-separated-values": "TSV", "text/x-rst": "reStructuredText", "application/epub+zip": "EPUB",
  "application/x-ndjson": "JSON lines", "message/rfc822": "e-mail", [`${OFFICE}wordprocessingml.document`]: "Word",
  [`${OFFICE}presentationml.presentation`]: "PowerPoint", [`${OFFICE}spreadsheetml.sheet`]: "Excel",
};
const EXAMPLES = {
  "000_3757811314cd9546.txt": "What do the technological transformation projects in Longhu cost in total?",
  "001_ada726a98d9a6ca7.txt": "How many provincial, municipal and county level complexes has the province built?",
  "003_982224acd634366a.txt": "When was the Science City Park approved?",
  "004_12f09d1236171b8d.txt": "When did the Qingdao delegation arrive in Shenzhen?",
};

function make(tag, properties = {}, ...children) {
  const { class: classes, ...rest } = properties;
  const made = Object.assign(document.createElement(tag), rest);
  if (classes) made.className = classes;
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const authorization = () => (sessionStorage.loccitKey ? { Authorization: `Bearer ${sessionStorage.loccitKey}` } : {});

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { ...options.headers, ...authorization() } });
  } catch {
    throw { title: "The service does not answer.", detail: "Is it still running? Then try again." };
  }
  if (response.ok) return response;
  if (response.status === 401) {
    await askForKey();
    return call(path, options);
  }
  throw await response.json().catch(() => ({ title: `The service answered ${response.status}.`, detail: "" }));
}

let keyGiven = null;

// Several calls may find out at once that a key is needed: they wait for the same answer.
function askForKey() {
  keyGiven ??= new Promise((resolve) => {
    const dialog = document.getElementById("key");
    const field = document.getElementById("key-value");
    field.value = "";
    dialog.addEventListener("close", () => {
      sessionStorage.loccitKey = field.value;
      keyGiven = null;
      resolve();
    }, { once: true });
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.showModal();
  });
  return keyGiven;
}

const json = async (path, body) =>
  (await call(path, body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) })).json();

const place = (collection) => `/v1/collections/${encodeURIComponent(collection)}`;
const failure = (problem) =>
  make("div", { class: "failed", role: "alert" }, make("p", {}, problem.title ?? "Something went wrong."),
    problem.detail ? make("p", {}, problem.detail) : null);

// Offsets of the service count code points; strings here count UTF-16 units.
function cut(text, ...offsets) {
  const points = Array.from(text);
  const bounds = [0, ...offsets.map((offset) => Math.min(Math.max(offset, 0), points.length)), points.length];
  return bounds.slice(1).map((bound, index) => points.slice(bounds[index], bound).join(""));
}

// Asking

async function ask(asked) {
  document.getElementById("examples").hidden = true;
  result.replaceChildren(make("div", { class: "card waiting", ariaHidden: "true" }, make("i"), make("i"), make("i")));
  announced.textContent = "Looking through the documents.";
  const send = document.getElementById("send");
  send.disabled = true;
  try {
    const answer = await json("/v1/ask", { question: asked, collection: picker.value });
    result.replaceChildren(...shownAnswer(answer));
    announced.textContent = answer.answered ? `Answer: ${answer.answer}` : "No answer was found.";
  } catch (problem) {
    result.replaceChildren(failure(problem));
    announced.textContent = "";
  } finally {
    send.disabled = false;
  }
}

function shownAnswer(answer) {
  const heading = make("p", { class: "asked" }, answer.question_used === answer.question ? answer.question : `Understood as: ${answer.question_used}`);
  if (!answer.answered) {
    return [
      make("article", { class: "card" }, heading, make("p", { class: "answer" }, "I don’t know."),
        make("p", { class: "quiet" }, REASONS[answer.no_answer_reason] ?? "")),
      answer.passages.length ? part("The closest passages", passageList(answer.passages.slice(0, 4))) : null,
    ].filter(Boolean);
  }
  return [
    make("article", { class: "card" }, heading, answerLine(answer), certainty(answer.confidence)),
    part(answer.citations.length === 1 ? "Where it stands" : "Where they stand",
      make("ol", { class: "citations" }, ...answer.citations.map((citation) => make("li", {}, citationButton(citation))))),
    make("details", {}, make("summary", {}, `All ${answer.passages.length} passages that were found`), passageList(answer.passages)),
  ];
}

function answerLine(answer) {
  const line = make("p", { class: answer.answer.length > LONG ? "answer long" : "answer" });
  let reached = 0;
  for (const claim of answer.claims) {
    const [, before, text] = cut(answer.answer, reached, claim.start, claim.end);
    line.append(before, text);
    for (const number of claim.citations) {
      const jump = make("button", { type: "button", ariaLabel: `Show source ${number}` }, String(number));
      jump.addEventListener("click", () => openSource(answer.citations[number - 1]));
      line.append(make("sup", {}, jump));
    }
    reached = claim.end;
  }
  line.append(cut(answer.answer, reached)[1]);
  return line;
}

function certainty(confidence) {
  const percent = Math.round(confidence * 100);
  return make("p", { class: "certainty quiet" }, make("meter", { min: 0, max: 1, value: confidence, ariaLabel: "Confidence" }), `${percent} % sure`);
}

function part(title, content) {
  return make("section", {}, make("h2", { class: "part" }, title), content);
}

function marked(quote, from, to) {
  if (from === null || from === undefined) return [quote];
  const [before, inside, after] = cut(quote, from, to);
  return [before, make("mark", { class: before || after ? "" : "whole" }, inside), after];
}

function citationButton(citation) {
  const spans = citation.answer_start === null ? [] : [citation.answer_start - citation.start, citation.answer_end - citation.start];
  return sourceButton(citation, citation.number, marked(citation.quote, ...spans));
}

function passageList(passages) {
  const shown = passages.map((one) => make("li", {}, sourceButton({ ...one, quote: one.text, answer_start: null }, one.rank, [one.text])));
  return make("ol", { class: "passages" }, ...shown);
}

function sourceButton(cited, number, quote) {
  const button = make("button", { type: "button", class: "citation" }, make("span", { class: "number" }, String(number)),
    make("q", {}, ...quote), placeLine(cited));
  button.addEventListener("click", () => openSource(cited));
  return button;
}

function placeLine(cited) {
  const headings = cited.headings.filter((heading) => heading !== cited.title);
  const rest = [...headings, cited.page ? `page ${cited.page}` : null, `characters ${cited.start}–${cited.end}`];
  return make("span", { class: "place quiet" }, make("span", { class: "title" }, cited.title ?? cited.document_id),
    ` · ${rest.filter(Boolean).join(" · ")}`);
}

// The source

async function openSource(cited) {
  document.getElementById("source-title").textContent = cited.title ?? cited.document_id;
  document.getElementById("source-place").replaceChildren(
    `${cited.document_id} · version ${cited.version}` + (cited.quote === undefined ? "" : ` · characters ${cited.start}–${cited.end}`),
    ...pageLink(cited));
  const paper = document.getElementById("source-text");
  paper.replaceChildren();
  if (!sourceSheet.open) sourceSheet.showModal();
  await showText(paper, cited, Math.max(0, (cited.start ?? 0) - CONTEXT), (cited.end ?? 0) + CONTEXT);
}

function pageLink(cited) {
  // Whoever put the document chose its address: anything but a page of the web is no link.
  if (!/^(https?:\/\/|\/v1\/)/.test(cited.page_url ?? "")) return [];
  return [" · ", make("a", { href: cited.page_url, target: "_blank", rel: "noreferrer" }, `page ${cited.page} of the original`)];
}

async function showText(paper, cited, from, to) {
  try {
    const path = `${place(cited.collection)}/documents/${cited.document_id}/text?version=${cited.version}`;
    const text = await (await call(`${path}&start=${from}&end=${to}`)).text();
    const length = Array.from(text).length;
    const widen = (label, start, end) => {
      const button = make("button", { type: "button", class: "plain" }, label);
      button.addEventListener("click", () => showText(paper, cited, start, end));
      return button;
    };
    paper.replaceChildren(...(from > 0 ? [widen("↑ Show more before", Math.max(0, from - 4 * CONTEXT), to)] : []),
      ...highlighted(text, cited, from), ...(length === to - from ? [widen("↓ Show more after", from, to + 4 * CONTEXT)] : []));
    paper.querySelector(".quote")?.scrollIntoView({ block: "center" });
  } catch (problem) {
    paper.replaceChildren(failure(problem));
  }
}

function highlighted(text, cited, from) {
  if (cited.quote === undefined) return [text];
  const [before, quote, after] = cut(text, cited.start - from, cited.end - from);
  const spans = cited.answer_start === null ? [] : [cited.answer_start - cited.start, cited.answer_end - cited.start];
  return [before, make("span", { class: "quote" }, ...marked(quote, ...spans)), after];
}

// Collections and documents

async function loadCollections() {
  const { items } = await json("/v1/collections?limit=1000");
  const chosen = picker.value || new URLSearchParams(location.search).get("collection") || "default";
  picker.replaceChildren(...items.map((one) => make("option", { value: one.collection, selected: one.collection === chosen },
    one.title ? `${one.title} (${one.collection})` : one.collection)));
  document.getElementById("pick").hidden = items.length < 2;
  showSize(items.find((one) => one.collection === picker.value));
}

function showSize(collection) {
  const count = collection?.documents ?? 0;
  document.getElementById("size").textContent = count === 1 ? "1 document" : `${count} documents`;
}

async function showExamples() {
  const { items } = await json(`${place(picker.value)}/documents?limit=20`);
  const questions = items.map((one) => EXAMPLES[one.document_id]).filter(Boolean);
  const shown = document.getElementById("examples");
  shown.hidden = !questions.length || result.childElementCount > 0;
  shown.replaceChildren(...questions.map((text) => {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", () => { question.value = text; ask(text); });
    return button;
  }));
}

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

const TYPES = {
  txt: "text/plain", text: "text/plain", md: "text/markdown", markdown: "text/markdown", html: "text/html", htm: "text/html",
  xhtml: "application/xhtml+xml", pdf: "application/pdf", docx: `${OFFICE}wordprocessingml.document`,
  pptx: `${OFFICE}presentationml.presentation`, xlsx: `${OFFICE}spreadsheetml.sheet`, xlsm: `${OFFICE}spreadsheetml.sheet`,
  csv: "text/csv", tsv: "text/tab-separated-values", rst: "text/x-rst", epub: "application/epub+zip",
  jsonl: "application/x-ndjson", ndjson: "application/x-ndjson", eml: "message/rfc822",
};

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

document.getElementById("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  if (question.value.trim()) ask(question.value);
});
question.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    document.getElementById("ask").requestSubmit();
  }
});
picker.addEventListener("change", async () => {
  result.replaceChildren();
  await loadCollections();
  await showExamples();
});
document.getElementById("show-documents").addEventListener("click", () => {
  documentsSheet.showModal();
  listDocuments();
});
document.getElementById("more-documents").addEventListener("click", () => listDocuments(nextDocuments));
document.getElementById("files").addEventListener("change", (event) => addFiles([...event.target.files]));
for (const sheet of [sourceSheet, documentsSheet]) {
  sheet.querySelector(".close").addEventListener("click", () => sheet.close());
  sheet.addEventListener("click", (event) => { if (event.target === sheet) sheet.close(); });
}
const drop = document.getElementById("drop");
for (const name of ["dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("over", name === "dragover");
    if (name === "drop") addFiles([...event.dataTransfer.files]);
  });
}

try {
  await loadCollections();
  await showExamples();
} catch (problem) {
  result.replaceChildren(failure(problem));
}
